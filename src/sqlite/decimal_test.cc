#include "sqlite/decimal.h"

#include <gtest/gtest.h>

#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

std::string quotient(const char* a, const char* b) {
  return (Decimal::read(a) / Decimal::read(b)).to_string();
}

TEST(Decimal, KeepsTheScaleThatWasWritten) {
  EXPECT_EQ(Decimal::read("1.500").to_string(), "1.500");
  EXPECT_EQ(Decimal::read("-.5e1").to_string(), "-5");
  EXPECT_EQ((Decimal::read("1.00") * Decimal::read("2.000")).to_string(), "2.00000");
}

TEST(Decimal, DividesWithPostgresScale) {
  EXPECT_EQ(quotient("1", "3"), "0.33333333333333333333");
  EXPECT_EQ(quotient("10", "3"), "3.3333333333333333");
  EXPECT_EQ(quotient("3", "2"), "1.5000000000000000");
}

TEST(Decimal, DivisionByZeroIs22012) {
  try {
    quotient("1", "0");
    FAIL();
  } catch (const SqlError& error) {
    EXPECT_EQ(error.report.sqlstate, "22012");
  }
}

TEST(Decimal, RoundsHalfAwayFromZero) {
  EXPECT_EQ(Decimal::read("2.5").rounded(0).to_string(), "3");
  EXPECT_EQ(Decimal::read("-2.5").rounded(0).to_string(), "-3");
  EXPECT_EQ(Decimal::read("1250").rounded(-2).to_string(), "1300");
}

TEST(Decimal, OrdersByValueAndNanLast) {
  EXPECT_EQ(compare(Decimal::read("1.0"), Decimal::read("1.00")), 0);
  EXPECT_LT(compare(Decimal::read("9"), Decimal::read("10")), 0);
  EXPECT_GT(compare(Decimal::read("NaN"), Decimal::read("Infinity")), 0);
}

TEST(Decimal, RefusesWhatIsNoNumber) {
  for (const char* text : {"", ".", "1e", "1.2.3", "x", "1 2"})
    EXPECT_FALSE(Decimal::parse(text)) << text;
}

TEST(Decimal, ATooLargeExponentIsAnErrorAndTakesNoMemory) {
  EXPECT_THROW(Decimal::parse("1e999999999"), SqlError);
}

}  // namespace
}  // namespace calf::sqlite
