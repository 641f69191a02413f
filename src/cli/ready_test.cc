#include "cli/ready.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/bootstrap.h"

namespace calf::cli {
namespace {

using Kind = net::Address::Kind;

TEST(Ready, tells_programs_where_to_connect_but_not_the_password) {
  const ServeOptions options{.user = "a b", .password = "s3cret", .database = "d"};
  const server::Endpoints endpoints{.port = 6000, .tcp = {{Kind::kIp4, "0.0.0.0", 6000}}};
  const ReadyInfo info{.options = options, .endpoints = endpoints, .tls_fingerprint = ""};
  const auto json = nlohmann::json::parse(ready_json(info));
  EXPECT_EQ(json["id"], "ready");
  EXPECT_EQ(json["success"], true);
  EXPECT_EQ(json["port"], 6000);
  EXPECT_EQ(json["url"], "postgresql://a%20b@127.0.0.1:6000/d");
  EXPECT_EQ(ready_json(info).find("s3cret"), std::string::npos);
  EXPECT_EQ(ready_text(info).find("s3cret"), std::string::npos);
  EXPECT_NE(ready_text(info).find("database system is ready to accept connections"),
            std::string::npos);
  EXPECT_EQ(child_environment(info).at(0).second, "postgresql://a%20b:s3cret@127.0.0.1:6000/d");
}

TEST(Ready, names_the_engine) {
  ServeOptions options{};
  const server::Endpoints endpoints{};
  const ReadyInfo info{.options = options, .endpoints = endpoints, .tls_fingerprint = ""};
  EXPECT_NE(ready_text(info).find(", PostgreSQL 18, data in"), std::string::npos);
  options.engine = EngineKind::kSqlite;
  EXPECT_NE(ready_text(info).find(", SQLite, data in"), std::string::npos);
}

TEST(Ready, names_a_socket_when_there_is_no_tcp) {
  const ServeOptions options{};
  const server::Endpoints endpoints{
      .port = 5433, .tcp = {}, .unix_sockets = {"/tmp/x/.s.PGSQL.5433"}};
  const ReadyInfo info{.options = options, .endpoints = endpoints, .tls_fingerprint = ""};
  EXPECT_EQ(connection_url(info, UrlPassword::kLeaveOut),
            "postgresql://postgres@/postgres?host=%2Ftmp%2Fx&port=5433");
}

TEST(Ready, failures_are_one_line_of_json) {
  const auto json = nlohmann::json::parse(failure_json({.message = "a\nb", .hint = "c"}));
  EXPECT_EQ(json["success"], false);
  EXPECT_EQ(json["error"], "a\nb (hint: c)");
}

TEST(Exposure, needs_a_password_beyond_loopback) {
  ServeOptions options{};
  EXPECT_TRUE(check_exposure(options, true).has_value());
  EXPECT_FALSE(check_exposure(options, false).has_value());
  options.auth = AuthMethod::kScram;
  EXPECT_FALSE(check_exposure(options, false).has_value());
  options.password = "x";
  EXPECT_TRUE(check_exposure(options, false).has_value());
  options.auth = AuthMethod::kTrust;
  EXPECT_FALSE(check_exposure(options, false).has_value());
  EXPECT_TRUE(check_exposure(options, true).has_value());
}

TEST(Hba, has_one_method_for_everybody) {
  const std::string text = hba_text(AuthMethod::kScram);
  EXPECT_NE(text.find("host all all all scram-sha-256\n"), std::string::npos);
  EXPECT_EQ(text.find("trust"), std::string::npos);
}

}  // namespace
}  // namespace calf::cli
