// The whole of initdb, with the real image.
#include "initdb/initdb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include "os/clock.h"
#include "os/files.h"
#include "postgres/guest_tree.h"
#include "postgres/standalone.h"
#include "vfs/directory_file_system.h"
#include "vfs/memory_file_system.h"
#include "vfs/pack.h"

namespace calf::initdb {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::shared_ptr<vfs::FileSystem> in_memory(std::shared_ptr<const vfs::Pack> pack) {
  vfs::MemoryFileSystem::Options options;
  options.clock = std::make_shared<os::SystemClock>();
  options.read_only = pack != nullptr;
  options.pack = std::move(pack);
  return std::move(vfs::MemoryFileSystem::create(options)).value();
}

std::shared_ptr<vfs::FileSystem> installation() {
  static const std::string blob = [] {
    std::ifstream file(CALF_TEST_INSTALLATION, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  return in_memory(vfs::Pack::open(std::as_bytes(std::span(blob))).value());
}

// PostgreSQL's own files, and nothing in the data directory.
std::shared_ptr<vfs::Namespace> empty_tree() {
  return postgres::make_guest_tree(installation(), in_memory(nullptr),
                                   std::make_shared<os::SystemClock>())
      .value();
}

// What single-user mode prints for `sql` in database postgres.
std::string ask(const std::shared_ptr<vfs::Namespace>& tree, const std::string& sql) {
  auto outcome =
      postgres::run_standalone({.tree = tree,
                                .arguments = {"/pglite/bin/postgres", "--single", "-j", "postgres"},
                                .input = sql + ";\n\n"});
  if (!outcome) return outcome.error().to_string();
  return outcome->exit_code == 0 ? outcome->output : "failed: " + outcome->errors;
}

// One cluster for all questions about the normal case; each making takes seconds.
class NewCluster : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    tree_ = empty_tree();
    const auto made = initialise(tree_, {});
    ASSERT_TRUE(made) << made.error().to_string();
  }
  static void TearDownTestSuite() { tree_.reset(); }
  static std::shared_ptr<vfs::Namespace> tree_;
};
std::shared_ptr<vfs::Namespace> NewCluster::tree_;

TEST_F(NewCluster, answers_queries) {
  EXPECT_THAT(ask(tree_, "SELECT version()"), HasSubstr("PostgreSQL 18."));
}

TEST_F(NewCluster, has_the_three_databases) {
  EXPECT_THAT(ask(tree_,
                  "SELECT string_agg(concat(oid, ' ', datname, ' ', encoding, datlocprovider, "
                  "datlocale, datcollate, datctype), "
                  "',' ORDER BY oid) FROM pg_database"),
              HasSubstr("\"1 template1 6bC.UTF-8CC.UTF-8,4 template0 6bC.UTF-8CC.UTF-8,5 postgres "
                        "6bC.UTF-8CC.UTF-8\""));
}

TEST_F(NewCluster, takes_its_settings_from_the_configuration) {
  EXPECT_THAT(
      ask(tree_,
          "SELECT current_setting('TimeZone') || current_setting('max_connections') || "
          "current_setting('data_checksums') || current_setting('default_text_search_config')"),
      HasSubstr("\"Etc/UTC100onpg_catalog.english\""));
}

TEST_F(NewCluster, can_make_databases_and_use_plpgsql_and_stemming) {
  EXPECT_THAT(ask(tree_,
                  "CREATE DATABASE another;\n\nDO $$ BEGIN RAISE NOTICE 'x'; END $$;\n\n"
                  "SELECT to_tsvector('running')"),
              HasSubstr("\"'run':1\""));
}

TEST_F(NewCluster, knows_the_root_collation_of_icu) {
  EXPECT_THAT(ask(tree_,
                  "SELECT string_agg(c, '' ORDER BY c COLLATE \"und-x-icu\") FROM "
                  "unnest('{b,B,a,A}'::text[]) c"),
              HasSubstr("\"aAbB\""));
}

TEST_F(NewCluster, was_shut_down_cleanly) {
  const auto outcome = postgres::run_standalone(
      {.tree = tree_, .arguments = {"/pglite/bin/postgres", "--single", "postgres"}, .input = ""});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->exit_code, 0);
  EXPECT_THAT(outcome->errors, Not(HasSubstr("recovery")));
}

TEST_F(NewCluster, is_not_made_twice) {
  EXPECT_EQ(initialise(tree_, {}).error().code, ErrorCode::kAlreadyExists);
}

TEST(Initialise, takes_a_name_a_password_and_an_encoding) {
  const auto tree = empty_tree();
  const auto made = initialise(tree, {.superuser = "Anna Ä.",
                                      .password = "it's; a \\secret",
                                      .encoding = "latin1",
                                      .locale = "C",
                                      .host_authentication = "scram-sha-256",
                                      .data_checksums = false,
                                      .settings = {{"work_mem", "8MB"}}});
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_THAT(ask(tree,
                  "SELECT rolname || rolpassword, current_setting('data_checksums') AS sums, "
                  "current_setting('server_encoding') AS enc, current_setting('work_mem') AS mem "
                  "FROM pg_authid WHERE oid = 10"),
              AllOf(HasSubstr("Anna Ä.SCRAM-SHA-256$"), HasSubstr("sums = \"off\""),
                    HasSubstr("enc = \"LATIN1\""), HasSubstr("mem = \"8MB\"")));
}

TEST(Initialise, fills_a_directory_of_the_host) {
  std::string path = ::testing::TempDir() + "initdb_test_XXXXXX";
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  auto data =
      vfs::DirectoryFileSystem::open({.path = path, .files = std::make_shared<os::SystemFiles>()});
  ASSERT_TRUE(data);
  const auto made = initialise(installation(), std::move(*data), {});
  EXPECT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(std::filesystem::status(path + "/base/1").permissions(),
            std::filesystem::perms::owner_all);
  EXPECT_TRUE(std::filesystem::exists(path + "/base/5/PG_VERSION"));
  EXPECT_FALSE(std::filesystem::exists(path + "/postmaster.pid"));
  std::filesystem::remove_all(path);
}

TEST(Initialise, reports_the_guests_words_and_cleans_up_when_a_step_fails) {
  const auto tree = empty_tree();
  const auto made = initialise(tree, {.settings = {{"no_such_setting", "1"}}});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("no_such_setting"));
  EXPECT_EQ(tree->stat("/", "/pglite/data/PG_VERSION", vfs::Follow::kNo).error(),
            os::Errno::kNoEntry);
}

TEST(Initialise, refuses_options_before_touching_anything) {
  const Options kWrong[] = {
      {.superuser = "pg_me"},
      {.superuser = ""},
      {.superuser = "o'neil"},
      {.encoding = "SJIS"},
      {.locale = "de_DE.UTF-8"},
      {.password = "two\nlines"},
      {.encoding = "LATIN1", .locale = "C.UTF-8"},
      {.local_authentication = "md5", .host_authentication = "md5"},
      {.host_authentication = "magic"},
  };
  const auto tree = empty_tree();
  for (const Options& options : kWrong) {
    const auto made = initialise(tree, options);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument) << made.error().message;
  }
}

}  // namespace
}  // namespace calf::initdb
