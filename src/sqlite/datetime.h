// Dates, times, moments and intervals, as PostgreSQL reads, computes and prints them.
// Stored in SQLite as numbers since the Unix epoch: days (date) and microseconds (timestamp,
// timestamptz; time: since midnight). An interval is its text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace calf::sqlite {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;
// 'infinity' and '-infinity', in days as in microseconds.
constexpr std::int64_t kInfinity = INT64_MAX;
constexpr std::int64_t kMinusInfinity = INT64_MIN;
// PostgreSQL counts from 2000-01-01.
constexpr std::int64_t kPostgresEpochDays = 10'957;

// A time zone: UTC, an offset, or one of the system's zone files. Immutable; any thread.
class Zone {
 public:
  virtual ~Zone() = default;
  struct Offset {
    int seconds;  // east of Greenwich
    std::string abbreviation;
  };
  [[nodiscard]] virtual Offset at(std::int64_t utc_seconds) const = 0;
  [[nodiscard]] std::int64_t to_utc(std::int64_t local_micros) const;
  [[nodiscard]] std::int64_t to_local(std::int64_t utc_micros) const;

  // nullptr: no such zone. "UTC", "Europe/Berlin", "+02", "-03:30", "<+02>-02" (POSIX's sign).
  static std::shared_ptr<const Zone> find(std::string_view name);
};

struct Clock {                         // what "now" is to a statement
  std::int64_t now_micros = 0;         // of the transaction's start, UTC
  std::shared_ptr<const Zone> zone{};  // of the session
};

struct CivilDate {
  std::int64_t year;  // astronomical: 0 is 1 BC
  int month;
  int day;
};
std::int64_t days_from_civil(std::int64_t year, int month, int day);
CivilDate civil_from_days(std::int64_t days);

struct Interval {
  std::int32_t months = 0;
  std::int32_t days = 0;
  std::int64_t micros = 0;

  // Raises 22007.
  static Interval read(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  // As one number, months of 30 days: how PostgreSQL compares.
  [[nodiscard]] __int128 span() const;
  [[nodiscard]] Interval negated() const;
};
Interval operator+(const Interval& a, const Interval& b);  // raises 22008
Interval operator*(const Interval& a, double factor);      // raises 22008

// Readers raise 22007 (syntax) or 22008 (out of range).
std::int64_t read_date(std::string_view text, const Clock& clock);
std::int64_t read_time(std::string_view text);
std::int64_t read_timestamp(std::string_view text, const Clock& clock);
std::int64_t read_timestamptz(std::string_view text, const Clock& clock);

std::string date_text(std::int64_t days);
std::string time_text(std::int64_t micros);
std::string timestamp_text(std::int64_t micros);
std::string timestamptz_text(std::int64_t micros, const Zone& zone);

// timestamp ± interval. Raises 22008 when out of range.
std::int64_t add_interval(std::int64_t local_micros, const Interval& interval);
std::int64_t add_interval_in_zone(std::int64_t utc_micros, const Interval& interval,
                                  const Zone& zone);
Interval subtract_timestamps(std::int64_t a, std::int64_t b);
Interval age(std::int64_t a, std::int64_t b);
// Rounds to `precision` digits of a second (0 to 6).
std::int64_t round_micros(std::int64_t micros, int precision);
// Raises 22008 outside of PostgreSQL's range.
std::int64_t check_timestamp(std::int64_t micros);

std::int64_t system_now_micros();

}  // namespace calf::sqlite
