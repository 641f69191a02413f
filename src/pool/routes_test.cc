#include "pool/routes.h"

#include <gtest/gtest.h>

namespace calf::pool {
namespace {

using Kind = Call::Kind;

Call call(std::string_view method, std::string_view target, std::string_view body = "") {
  auto parsed = parse_call(method, target, body);
  if (!parsed) ADD_FAILURE() << parsed.error().status << " " << parsed.error().body;
  return parsed.value_or(Call{});
}

int refused(std::string_view method, std::string_view target, std::string_view body = "") {
  auto parsed = parse_call(method, target, body);
  return parsed ? 0 : parsed.error().status;
}

TEST(Routes, every_route_of_the_api) {
  EXPECT_EQ(call("POST", "/api/v1/templates", R"({"hash":"h"})").hash, "h");
  EXPECT_EQ(call("PUT", "/api/v1/templates/h").kind, Kind::kFinalize);
  EXPECT_EQ(call("DELETE", "/api/v1/templates/h").kind, Kind::kDiscard);
  EXPECT_EQ(call("DELETE", "/api/v1/admin/templates").kind, Kind::kDiscardAll);
  EXPECT_EQ(call("GET", "/api/v1/templates/h/tests").kind, Kind::kTake);
  EXPECT_EQ(call("DELETE", "/api/v1/templates/h/tests/7").kind, Kind::kUnlock);
  EXPECT_EQ(call("POST", "/api/v1/templates/h/tests/7/unlock").kind, Kind::kUnlock);
  const Call recreate = call("POST", "/api/v1/templates/h/tests/7/recreate");
  EXPECT_EQ(recreate.kind, Kind::kRecreate);
  EXPECT_EQ(recreate.hash, "h");
  EXPECT_EQ(recreate.id, 7);
}

TEST(Routes, a_slash_at_the_end_and_a_query_do_not_matter) {
  EXPECT_EQ(call("PUT", "/api/v1/templates/h/").hash, "h");
  EXPECT_EQ(call("GET", "/api/v1/templates/h/tests?x=/1").kind, Kind::kTake);
}

TEST(Routes, a_hash_is_percent_decoded) {
  EXPECT_EQ(call("PUT", "/api/v1/templates/a%2fb%20c").hash, "a/b c");
  EXPECT_EQ(refused("PUT", "/api/v1/templates/a%2"), 400);
  EXPECT_EQ(refused("PUT", "/api/v1/templates/a%zz"), 400);
}

TEST(Routes, what_is_no_route_is_not_found) {
  for (const char* target :
       {"", "/", "/api", "/api/v1", "/api/v2/templates", "/api/v1/templates/h/x",
        "/api/v1/templates/h/tests/7/x", "/api/v1/templates/h/tests/7/unlock/x", "/api/v1/admin",
        "*", "http://x/api/v1/templates/h/tests/7"}) {
    EXPECT_EQ(refused("GET", target), 404) << target;
  }
}

TEST(Routes, another_method_is_not_allowed) {
  EXPECT_EQ(refused("GET", "/api/v1/templates"), 405);
  EXPECT_EQ(refused("GET", "/api/v1/templates/h"), 405);
  EXPECT_EQ(refused("PATCH", "/api/v1/templates/h/tests"), 405);
  EXPECT_EQ(refused("GET", "/api/v1/admin/templates"), 405);
}

TEST(Routes, a_template_needs_a_hash) {
  for (const char* body : {"", "{", "[]", "{}", R"({"hash":""})", R"({"hash":1})", "null"}) {
    EXPECT_EQ(refused("POST", "/api/v1/templates", body), 400) << body;
  }
  const std::string longest(kMaxHashBytes, 'h');
  EXPECT_EQ(call("PUT", "/api/v1/templates/" + longest).hash, longest);
  EXPECT_EQ(refused("PUT", "/api/v1/templates/h" + longest), 400);
  EXPECT_EQ(refused("PUT", "/api/v1/templates//"), 400);
}

TEST(Routes, an_id_is_a_number) {
  for (const char* id : {"", "x", "1x", "99999999999999", "%31", " 1"}) {
    EXPECT_EQ(refused("POST", std::string("/api/v1/templates/h/tests/") + id + "/unlock"), 400)
        << id;
  }
}

TEST(Routes, errors_are_json_whatever_they_hold) {
  EXPECT_EQ(Answer::error(400, "a \"b\"").body, R"({"message":"a \"b\""})");
  EXPECT_NE(Answer::error(400, "\xff").body.find("message"), std::string::npos);
}

}  // namespace
}  // namespace calf::pool
