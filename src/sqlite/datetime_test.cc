#include "sqlite/datetime.h"

#include <gtest/gtest.h>

#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

const Clock kClock{.now_micros = 0, .zone = Zone::find("UTC")};

TEST(DateTime, ReadsWhatItPrints) {
  for (const char* text : {"2024-02-29 12:34:56.789", "0044-03-15 00:00:00 BC", "infinity",
                           "1969-12-31 23:59:59.999999"}) {
    EXPECT_EQ(timestamp_text(read_timestamp(text, kClock)), text);
  }
}

TEST(DateTime, ADayThatIsNotThereIs22008) {
  try {
    read_date("2023-02-29", kClock);
    FAIL();
  } catch (const SqlError& error) {
    EXPECT_EQ(error.report.sqlstate, "22008");
  }
}

TEST(DateTime, AMonthLaterIsTheLastDayIfNeedBe) {
  const std::int64_t january = read_timestamp("2024-01-31", kClock);
  EXPECT_EQ(timestamp_text(add_interval(january, Interval::read("1 month"))),
            "2024-02-29 00:00:00");
}

TEST(Interval, PrintsAsPostgresDoes) {
  EXPECT_EQ(Interval::read("1 year 2 months -3 days 4:05:06.7").to_string(),
            "1 year 2 mons -3 days +04:05:06.7");
  EXPECT_EQ(Interval::read("P1Y2M3DT4H").to_string(), "1 year 2 mons 3 days 04:00:00");
  EXPECT_EQ(Interval::read("0").to_string(), "00:00:00");
}

TEST(Interval, RefusesWhatIsNone) {
  for (const char* text : {"", "day", "1 fortnight", "P"})
    EXPECT_THROW(Interval::read(text), SqlError) << text;
}

TEST(Zone, KnowsOffsetsInBothNotations) {
  EXPECT_EQ(Zone::find("+02")->at(0).seconds, 7200);
  EXPECT_EQ(Zone::find("<+02>-02")->at(0).seconds, 7200);
  EXPECT_EQ(Zone::find("../../etc/passwd"), nullptr);
}

}  // namespace
}  // namespace calf::sqlite
