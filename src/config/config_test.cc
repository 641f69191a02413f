#include "config/config.h"

#include <gtest/gtest.h>

#include "blob/host_file.h"
#include "config/storage.h"

namespace calf::config {
namespace {

class Configuration : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / blob::random_name("calf-config-");
  }
  void TearDown() override { std::filesystem::remove(path_); }

  Result<Config> load(const std::string& text, std::map<std::string, std::string> variables = {},
                      std::vector<std::pair<std::string, std::string>> flags = {}) {
    EXPECT_TRUE(blob::write_file(path_, text));
    return Config::load(
        {.path = path_.string(),
         .flags = std::move(flags),
         .environment = [variables](const std::string& name) -> std::optional<std::string> {
           const auto found = variables.find(name);
           if (found == variables.end()) return std::nullopt;
           return found->second;
         }});
  }
  std::string refusal(const std::string& text) {
    const auto config = load(text);
    if (config) return "accepted";
    std::string said = config.error().to_string();
    if (const auto at = said.find(path_.string()); at == 0)
      said.replace(0, path_.string().size(), "F");
    return said;
  }

  std::filesystem::path path_;
};

const char* const kSeed = R"(server:
  port: 6000
  host: 0.0.0.0
  authentication:
    user: anna
    password: mysecretpassword
database:
  name: myapp
  sqlite_path: /tmp/myapp.sqlite
  transaction_mode: immediate
  connection_pool_size: 20
storage:
  backend: s3
  cache_ttl_minutes: 1
  s3:
    bucket: my-databases
    region: us-east-1
    prefix: sqlite-dbs/
logging:
  level: debug
  format: json
)";

TEST_F(Configuration, reads_the_file) {
  const auto config = load(kSeed);
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->number("server.port"), 6000);
  EXPECT_EQ(config->text("server.authentication.user"), "anna");
  EXPECT_EQ(config->number("database.connection_pool_size"), 20);
  EXPECT_EQ(config->text("database.transaction_mode"), "immediate");
  EXPECT_EQ(log_options(*config).level, log::Level::kDebug);
  EXPECT_EQ(log_options(*config).format, log::Format::kJson);
  const auto store = store_options(*config, "myapp");
  ASSERT_TRUE(store) << store.error().to_string();
  EXPECT_EQ(std::get<blob::S3Options>(**store).bucket, "my-databases");
  EXPECT_EQ(std::get<blob::S3Options>(**store).prefix, "sqlite-dbs/myapp/");
}

TEST_F(Configuration, lets_flags_win_over_variables_over_the_file) {
  EXPECT_EQ(load("")->text("server.port"), "5432");
  EXPECT_EQ(load("server: {port: 1}")->text("server.port"), "1");
  EXPECT_EQ(load("server: {port: 1}", {{"PG_PORT", "2"}})->text("server.port"), "2");
  EXPECT_EQ(
      load("server: {port: 1}", {{"PG_PORT", "2"}}, {{"server.port", "3"}})->text("server.port"),
      "3");
  EXPECT_FALSE(load("")->given("server.port"));
  EXPECT_EQ(load("")->duration_ms("storage.retention"), 7 * 86'400'000);
  EXPECT_EQ(load("", {{"CACHE_TTL_MINUTES", "0.5"}})->duration_ms("storage.cache_ttl_minutes"),
            30'000);
  for (const char* minutes : {"0", "-1", "nan", "inf", "1e9", "5m", ""}) {
    EXPECT_FALSE(load("", {{"CACHE_TTL_MINUTES", minutes}})) << minutes;
  }
  EXPECT_EQ(load("", {{"STORAGE", "Local"}})->text("storage.backend"), "local");
}

TEST_F(Configuration, lets_libpqs_variables_win_over_the_others_that_mean_the_same) {
  const auto config = load("", {{"PG_PORT", "2"}, {"PGPORT", "3"}});
  EXPECT_EQ(config->text("server.port"), "3");
  EXPECT_EQ(config->source("server.port"), "PGPORT");
  EXPECT_EQ(load("", {{"PGPORT", "x"}}, {{"server.port", "4"}})->text("server.port"), "4");
}

TEST_F(Configuration, gives_a_stores_url_the_credentials_of_the_storage_section) {
  const auto config =
      load("storage: {s3: {access_key_id: a, secret_access_key: b}, azure: {key: a2V5}}");
  const auto s3 = store_options_at("s3://bucket/there", *config);
  EXPECT_EQ(std::get<blob::S3Options>(*s3).keys->access_key_id, "a");
  EXPECT_EQ(std::get<blob::S3Options>(*s3).prefix, "there/");
  const auto azure = store_options_at("azure://account/container", *config);
  EXPECT_EQ(std::get<blob::AzureOptions>(*azure).access.key, "a2V5");
  EXPECT_FALSE(store_options_at("ftp://x", *config));
}

TEST_F(Configuration, refuses_what_it_does_not_know_with_file_and_line) {
  EXPECT_EQ(refusal("server:\n  prot: 1\n"),
            "F:2: there is no option server.prot (hint: did you mean server.port?)");
  EXPECT_EQ(refusal("server:\n  port: 70000\n"),
            "F:2: server.port cannot be \"70000\": a port is a number from 0 to 65535");
  EXPECT_EQ(refusal("\nstorage:\n  backend: ftp\n").substr(0, 3), "F:3");
  EXPECT_EQ(refusal("server: 5\n"), "F:1: server is a section, not a value");
  EXPECT_EQ(refusal("bogus:\n  a: 1\n").substr(0, 32), "F:2: there is no option bogus (h");
  EXPECT_EQ(refusal("server:\n  port: [1, 2]\n").substr(0, 4), "F:2:");
  EXPECT_EQ(refusal("- a\n- b\n").substr(0, 4), "F:1:");
  EXPECT_EQ(refusal("server: {port: 1\nx").substr(0, 2), "F:");
  EXPECT_EQ(refusal("storage:\n  interval: soon\n").substr(0, 4), "F:2:");
  const auto variable = load("", {{"PG_PORT", "x"}});
  EXPECT_EQ(variable.error().message.substr(0, 8), "PG_PORT:");
  const auto flag = load("", {}, {{"server.prt", "1"}});
  EXPECT_EQ(flag.error().hint, "did you mean server.port?");
  EXPECT_EQ(Config::load({.path = "/does/not/exist"}).error().code, ErrorCode::kNotFound);
}

TEST_F(Configuration, describes_itself_with_sources_and_without_secrets) {
  const auto config = load(kSeed, {{"PG_HOST", "::1"}, {"AZURE_STORAGE_KEY", "topsecret"}});
  ASSERT_TRUE(config);
  const std::string text = config->describe();
  EXPECT_EQ(text.find("mysecretpassword"), std::string::npos);
  EXPECT_EQ(text.find("topsecret"), std::string::npos);
  EXPECT_NE(text.find("port: 6000  # " + path_.string() + ":2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("host: \"::1\"  # PG_HOST\n"), std::string::npos) << text;
  EXPECT_NE(text.find("durability: interval  # default\n"), std::string::npos) << text;
  const auto again = load(text);  // it is a file itself
  ASSERT_TRUE(again) << again.error().to_string() << text;
  EXPECT_EQ(again->text("server.host"), "::1");
}

TEST_F(Configuration, wants_what_a_backend_needs) {
  EXPECT_FALSE(store_options(*load("storage: {backend: s3}"), "shop"));
  EXPECT_FALSE(store_options(*load("storage: {backend: azure}"), "shop"));
  EXPECT_FALSE((*store_options(*load(""), "shop")).has_value());
  const auto local = load("storage: {backend: local, local: {base_path: /d}}");
  EXPECT_EQ(std::get<blob::FolderOptions>(**store_options(*local, "shop")).path, "/d/shop");
  for (const char* name : {"", "a b", "../x", "a/b", "ü"}) {
    EXPECT_FALSE(store_options(*local, name)) << name;
  }
  EXPECT_EQ(archiver_options(*load("storage: {durability: commit, interval: 250ms}")).interval_ms,
            250);
}

}  // namespace
}  // namespace calf::config
