#include "sqlite/json.h"

#include <gtest/gtest.h>

#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

TEST(Json, JsonbSortsKeysByLengthAndKeepsTheLast) {
  EXPECT_EQ(canonical_jsonb(R"({"bb":1,"a":2,"a":3.0})"), R"({"a": 3.0, "bb": 1})");
}

TEST(Json, NumbersKeepTheirDigits) {
  EXPECT_EQ(canonical_jsonb("[1.50,12345678901234567890,1e2]"),
            "[1.50, 12345678901234567890, 100]");
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text :
       {"", "{", "[1,]", "01", "1.", "nul", "\"\x01\"", "\"\\x\"", "{\"a\" 1}", "1 2"}) {
    EXPECT_THROW(Json::parse(text), SqlError) << text;
  }
}

TEST(Json, NestingIsBounded) {
  EXPECT_THROW(Json::parse(std::string(100'000, '[')), SqlError);
}

TEST(Json, Contains) {
  const auto check = [](const char* a, const char* b) {
    return contains(Json::parse(a), Json::parse(b));
  };
  EXPECT_TRUE(check(R"({"a":[1,2],"b":1})", R"({"a":[2]})"));
  EXPECT_TRUE(check("[1,2]", "1"));
  EXPECT_FALSE(check("[[1]]", "1"));
}

}  // namespace
}  // namespace calf::sqlite
