#include "initdb/scripts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace calf::initdb {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const ClusterFacts kFacts{.superuser = "o'neil",
                          .encoding = 6,
                          .collate = "C",
                          .character_type = "C.UTF-8",
                          .locale = "C.UTF-8"};

TEST(BootstrapScript, fills_placeholders_in_rows) {
  const auto script = bootstrap_script(
      "# PostgreSQL 18\ninsert ( 19 name NAMEDATALEN f )\ninsert ( 10 POSTGRES t )\n"
      "insert ( 1 template1 ENCODING LOCALE_PROVIDER LC_COLLATE LC_CTYPE DATLOCALE ICU_RULES )\n",
      kFacts);
  ASSERT_TRUE(script);
  EXPECT_EQ(*script,
            "# PostgreSQL 18\ninsert ( 19 name 64 f )\ninsert ( 10 'o''neil' t )\n"
            "insert ( 1 template1 6 b 'C' 'C.UTF-8' 'C.UTF-8' _null_ )\n");
}

TEST(BootstrapScript, leaves_parts_of_words_and_values_alone) {
  ClusterFacts facts = kFacts;
  facts.superuser = "ENCODING";
  const auto script =
      bootstrap_script("# PostgreSQL 18\ninsert ( XENCODING 'a POSTGRESQL' POSTGRES )\n", facts);
  ASSERT_TRUE(script);
  EXPECT_EQ(*script, "# PostgreSQL 18\ninsert ( XENCODING 'a POSTGRESQL' 'ENCODING' )\n");
}

TEST(BootstrapScript, refuses_another_version) {
  const auto script = bootstrap_script("# PostgreSQL 17\n", kFacts);
  ASSERT_FALSE(script);
  EXPECT_EQ(script.error().code, ErrorCode::kDataCorrupted);
}

TEST(PostBootstrapScript, keeps_the_order_of_the_steps) {
  const std::string script =
      post_bootstrap_script({.system_constraints = "<constraints>",
                             .system_functions = "<functions>",
                             .system_views = "<views>",
                             .snowball_create = "<snowball>",
                             .information_schema = "<schema>",
                             .sql_features_path = "/features"},
                            {.superuser = "postgres", .password = {}, .encoding = 6});
  size_t at = 0;
  for (const char* step :
       {"REVOKE ALL ON pg_authid", "<constraints>", "<functions>", "pg_stop_making_pinned_objects",
        "<views>", "pg_description", "COLLATION", "<snowball>", "relacl", "pg_init_privs",
        "<schema>", "COPY", "plpgsql", "ANALYZE", "VACUUM FREEZE", "template0",
        "DATABASE postgres"}) {
    at = script.find(step, at);
    ASSERT_NE(at, std::string::npos) << step;
  }
  EXPECT_THAT(script, Not(HasSubstr("PASSWORD")));
}

TEST(PostBootstrapScript, quotes_the_superuser_and_the_password) {
  const std::string script =
      post_bootstrap_script({}, {.superuser = "a\"b'c", .password = "x'\\y", .encoding = 6});
  EXPECT_THAT(script, HasSubstr("ALTER USER \"a\"\"b'c\" WITH PASSWORD E'x''\\\\y';\n\n"));
  EXPECT_THAT(script, HasSubstr("E'=r/\"a\"\"b''c\"'"));
}

TEST(PostBootstrapScript, gives_a_utf8_locale_to_utf8_clusters_only) {
  EXPECT_THAT(post_bootstrap_script({}, {.superuser = "p", .password = {}, .encoding = 8}),
              Not(HasSubstr("\"C.utf8\"")));
}

}  // namespace
}  // namespace calf::initdb
