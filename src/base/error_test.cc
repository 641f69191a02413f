#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/result.h"

namespace calf {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return fail(ErrorCode::kInvalidArgument, "odd number", "pass an even one");
  return n / 2;
}

Result<int> quarter(int n) {
  CALF_TRY(int h, half(n));
  return half(h);
}

TEST(Error, carries_errno_and_its_meaning) {
  Error e = Error::from_errno("opening x", ENOSPC);
  EXPECT_EQ(e.code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(e.system_errno, ENOSPC);
  EXPECT_NE(e.message.find("opening x: "), std::string::npos);
}

TEST(Error, adds_context_in_front) {
  Error e = Error{.message = "b", .hint = "c"};
  EXPECT_EQ(std::move(e).with_context("a").to_string(), "a: b (hint: c)");
}

TEST(Result, try_passes_values_and_errors) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().hint, "pass an even one");
}

}  // namespace
}  // namespace calf
