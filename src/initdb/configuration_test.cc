#include "initdb/configuration.h"

#include <gtest/gtest.h>

namespace calf::initdb {
namespace {

TEST(WithSetting, uncomments_the_line_and_keeps_its_comment_in_its_column) {
  EXPECT_EQ(with_setting("#max_connections = 100\t\t\t# (change requires restart)\n",
                         {"max_connections", "20"}),
            "max_connections = 20\t\t\t# (change requires restart)\n");
}

TEST(WithSetting, moves_the_comment_when_the_value_is_longer) {
  EXPECT_EQ(with_setting("#a = 1 # why\n", {"a", "1234567890"}), "a = 1234567890 # why\n");
}

TEST(WithSetting, replaces_the_first_match_only) {
  EXPECT_EQ(with_setting("port = 1\n#port = 2\n", {"port", "3"}), "port = 3\n#port = 2\n");
}

TEST(WithSetting, takes_a_name_regardless_of_case_and_keeps_its_spelling) {
  EXPECT_EQ(with_setting("#DateStyle = 'iso'\n", {"datestyle", "iso, mdy"}),
            "DateStyle = 'iso, mdy'\n");
}

TEST(WithSetting, does_not_take_a_longer_name_for_it) {
  EXPECT_EQ(with_setting("#wal_size_x = 1\n", {"wal_size", "2"}),
            "#wal_size_x = 1\nwal_size = 2\n");
}

TEST(WithSetting, quotes_what_is_neither_identifier_nor_number) {
  EXPECT_EQ(with_setting("", {"a", "posix"}), "a = posix\n");
  EXPECT_EQ(with_setting("", {"a", "128MB"}), "a = 128MB\n");
  EXPECT_EQ(with_setting("", {"a", "Etc/UTC"}), "a = 'Etc/UTC'\n");
  EXPECT_EQ(with_setting("", {"a", "-1"}), "a = '-1'\n");
  EXPECT_EQ(with_setting("", {"a", ""}), "a = ''\n");
  EXPECT_EQ(with_setting("", {"a", "it's"}), "a = 'it''s'\n");
}

constexpr std::string_view kSample =
    "@authcomment@\n"
    "@remove-line-for-nolocal@local all all @authmethodlocal@\n"
    "host all all ::1/128 @authmethodhost@\n";

TEST(ClientAuthentication, fills_the_methods_in_without_a_warning) {
  EXPECT_EQ(client_authentication(kSample, {.local = "reject", .host = "scram-sha-256"}),
            "\nlocal all all reject\nhost all all ::1/128 scram-sha-256\n");
}

TEST(ClientAuthentication, warns_when_somebody_is_trusted) {
  EXPECT_TRUE(client_authentication(kSample, {.local = "trust", .host = "reject"})
                  .starts_with("# CAUTION: "));
}

}  // namespace
}  // namespace calf::initdb
