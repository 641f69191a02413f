#include "sqlite/datetime.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

// What a text of a date, a time or both says.
struct Fields {
  std::optional<std::int64_t> year;
  int month = 0;
  int day = 0;
  bool has_time = false;
  std::int64_t time_micros = 0;
  std::shared_ptr<const Zone> zone{};
  std::string_view keyword{};
};

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kDays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

[[noreturn]] void bad_syntax(std::string_view type, std::string_view text) {
  raise("22007",
        "invalid input syntax for type " + std::string(type) + ": \"" + std::string(text) + "\"");
}
[[noreturn]] void out_of_range(std::string_view text) {
  raise("22008", "date/time field value out of range: \"" + std::string(text) + "\"");
}

bool is_leap(std::int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}
int days_in_month(std::int64_t year, int month) {
  constexpr std::array kDaysIn = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && is_leap(year) ? 29 : kDaysIn[static_cast<std::size_t>(month - 1)];
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// Reads a text token by token.
class FieldReader {
 public:
  FieldReader(std::string_view type, std::string_view text)
      : type_(type), whole_(text), lowered_(lower(text)), rest_(lowered_) {}

  Fields read() {
    while (skip_spaces(), !rest_.empty()) read_token();
    if (before_christ_ && fields_.year) fields_.year = 1 - *fields_.year;
    check();
    return fields_;
  }

 private:
  void skip_spaces() {
    while (!rest_.empty() &&
           (std::isspace(static_cast<unsigned char>(rest_[0])) || rest_[0] == ',')) {
      rest_.remove_prefix(1);
    }
  }
  [[noreturn]] void fail() const { bad_syntax(type_, whole_); }

  std::string_view take_while(int (*accepts)(int)) {
    std::size_t n = 0;
    while (n < rest_.size() && accepts(static_cast<unsigned char>(rest_[n])) != 0) ++n;
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }
  bool take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  int number(std::string_view digits) const {
    if (digits.empty() || digits.size() > 9) fail();
    return std::atoi(std::string(digits).c_str());
  }

  void read_token() {
    const char c = rest_[0];
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      read_number();
    } else if ((c == '+' || c == '-') && fields_.has_time) {
      read_offset();
    } else if (std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '-') {
      read_word();
    } else {
      fail();
    }
  }

  void read_number() {
    const std::string_view digits = take_while(std::isdigit);
    if (!rest_.empty() && rest_[0] == ':') return read_time(number(digits));
    if (!rest_.empty() && (rest_[0] == '-' || rest_[0] == '/' || rest_[0] == '.') && !have_date()) {
      return read_numeric_date(digits);
    }
    if (digits.size() == 8 && !have_date()) {
      return set_date(number(digits.substr(0, 4)), number(digits.substr(4, 2)),
                      number(digits.substr(6)));
    }
    if (digits.size() == 6 && have_date() && !fields_.has_time) {
      return set_time(number(digits.substr(0, 2)), number(digits.substr(2, 2)),
                      number(digits.substr(4)), 0);
    }
    if (fields_.month != 0 && fields_.day == 0 && digits.size() <= 2) {
      fields_.day = number(digits);
    } else if (!fields_.year && (fields_.day != 0 || digits.size() >= 3)) {
      fields_.year = full_year(digits);
    } else if (fields_.day == 0) {
      fields_.day = number(digits);
    } else {
      fail();
    }
  }

  [[nodiscard]] bool have_date() const { return fields_.day != 0 && fields_.month != 0; }

  std::int64_t full_year(std::string_view digits) const {
    const int year = number(digits);
    if (digits.size() > 2) return year;
    return year < 70 ? 2000 + year : 1900 + year;
  }

  // 2024-01-31, 1/31/2024 (month first), 31-Jan-2024, 2024-Jan-31.
  void read_numeric_date(std::string_view first) {
    const char separator = rest_[0];
    rest_.remove_prefix(1);
    const bool word = !rest_.empty() && std::isalpha(static_cast<unsigned char>(rest_[0])) != 0;
    const std::string_view second = word ? take_while(std::isalpha) : take_while(std::isdigit);
    const int middle = word ? month_of(second) : number(second);
    if (!take(separator)) fail();
    const std::string_view third = take_while(std::isdigit);
    if (first.size() >= 3) return set_date(number(first), middle, number(third));
    if (word) return set_date(full_year(third), middle, number(first));
    set_date(full_year(third), number(first), middle);
  }

  [[nodiscard]] int month_of(std::string_view word) const {
    for (std::size_t i = 0; i < kMonths.size(); ++i) {
      if (word.size() >= 3 && word.starts_with(kMonths[i])) return static_cast<int>(i) + 1;
    }
    fail();
  }

  void set_date(std::int64_t year, int month, int day) {
    if (have_date()) fail();
    fields_.year = year;
    fields_.month = month;
    fields_.day = day;
    if (!rest_.empty() && rest_[0] == 't' && rest_.size() > 1 &&
        std::isdigit(static_cast<unsigned char>(rest_[1])) != 0) {
      rest_.remove_prefix(1);
    }
  }

  void read_time(int hour) {
    take(':');
    const int minute = number(take_while(std::isdigit));
    int second = 0;
    std::int64_t micros = 0;
    if (take(':')) {
      second = number(take_while(std::isdigit));
      if (take('.')) micros = fraction(take_while(std::isdigit));
    }
    set_time(hour, minute, second, micros);
  }

  static std::int64_t fraction(std::string_view digits) {
    const double value = std::strtod(("0." + std::string(digits)).c_str(), nullptr);
    return static_cast<std::int64_t>(value * 1e6 + 0.5);
  }

  void set_time(int hour, int minute, int second, std::int64_t micros) {
    if (fields_.has_time) fail();
    if (hour > 24 || minute > 59 || second > 60 ||
        (hour == 24 && (minute != 0 || second != 0 || micros != 0))) {
      out_of_range(whole_);
    }
    fields_.has_time = true;
    fields_.time_micros = ((hour * 60LL + minute) * 60 + second) * kMicrosPerSecond + micros;
  }

  void read_offset() {
    std::string text(1, rest_[0]);
    rest_.remove_prefix(1);
    std::string digits(
        take_while([](int c) { return static_cast<int>(std::isdigit(c) || c == ':'); }));
    if (digits.find(':') == std::string::npos && digits.size() > 2) {
      digits.insert(digits.size() - 2, ":");
    }
    fields_.zone = Zone::find(text + digits);
    if (fields_.zone == nullptr) fail();
  }

  void read_word() {
    const std::string_view word = take_while([](int c) {
      return static_cast<int>(std::isalpha(c) != 0 || c == '_' || c == '/' || c == '-');
    });
    for (std::size_t i = 0; i < kMonths.size(); ++i) {
      if (word.size() >= 3 && word.starts_with(kMonths[i]) && fields_.month == 0 &&
          word.find('/') == std::string_view::npos) {
        fields_.month = static_cast<int>(i) + 1;
        return;
      }
    }
    for (const std::string_view day : kDays) {
      if (word.starts_with(day) && word.ends_with("day")) return;
      if (word == day) return;
    }
    if (word == "ad" || word == "t") return;
    if (word == "bc") {
      before_christ_ = true;
    } else if (word == "am" || word == "pm") {
      read_meridiem(word == "pm");
    } else if (word == "now" || word == "today" || word == "tomorrow" || word == "yesterday" ||
               word == "epoch" || word == "infinity" || word == "-infinity") {
      fields_.keyword = word == "now"         ? "now"
                        : word == "today"     ? "today"
                        : word == "tomorrow"  ? "tomorrow"
                        : word == "yesterday" ? "yesterday"
                        : word == "epoch"     ? "epoch"
                        : word == "infinity"  ? "infinity"
                                              : "-infinity";
    } else {
      const std::size_t at = static_cast<std::size_t>(word.data() - lowered_.data());
      fields_.zone = Zone::find(whole_.substr(at, word.size()));
      if (fields_.zone == nullptr) fail();
    }
  }

  void read_meridiem(bool afternoon) {
    const std::int64_t hours = fields_.time_micros / (3600 * kMicrosPerSecond);
    if (!fields_.has_time || hours > 12 || hours == 0) fail();
    if (afternoon && hours < 12) fields_.time_micros += 12 * 3600 * kMicrosPerSecond;
    if (!afternoon && hours == 12) fields_.time_micros -= 12 * 3600 * kMicrosPerSecond;
  }

  void check() const {
    if (!fields_.keyword.empty()) return;
    if (fields_.year || fields_.month != 0 || fields_.day != 0) {
      if (!fields_.year || fields_.day == 0 || fields_.month == 0) fail();
      if (fields_.month > 12 || *fields_.year > 294'276 ||
          fields_.day > days_in_month(*fields_.year, fields_.month)) {
        out_of_range(whole_);
      }
    } else if (!fields_.has_time) {
      fail();
    }
  }

  std::string_view type_;
  std::string_view whole_;
  std::string lowered_;
  std::string_view rest_;
  Fields fields_;
  bool before_christ_ = false;
};

std::int64_t keyword_days(std::string_view keyword, const Clock& clock) {
  const std::int64_t local = clock.zone->to_local(clock.now_micros);
  const std::int64_t today = local / kMicrosPerDay - (local % kMicrosPerDay < 0 ? 1 : 0);
  if (keyword == "epoch") return 0;
  if (keyword == "tomorrow") return today + 1;
  if (keyword == "yesterday") return today - 1;
  return today;
}

std::optional<std::int64_t> infinity_of(std::string_view keyword) {
  if (keyword == "infinity") return kInfinity;
  if (keyword == "-infinity") return kMinusInfinity;
  return std::nullopt;
}

std::string pad(std::int64_t value, int width) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*lld", width, static_cast<long long>(value));
  return text;
}

struct Split {
  std::int64_t days;
  std::int64_t micros;
};
Split split(std::int64_t micros) {
  std::int64_t days = micros / kMicrosPerDay;
  if (micros % kMicrosPerDay < 0) --days;
  return {days, micros - days * kMicrosPerDay};
}

// Year, month and day; " BC" goes to the end of the whole text.
std::string plain_date(std::int64_t days, bool& before_christ) {
  const CivilDate date = civil_from_days(days);
  before_christ = date.year <= 0;
  return pad(before_christ ? 1 - date.year : date.year, 4) + "-" + pad(date.month, 2) + "-" +
         pad(date.day, 2);
}

std::int64_t read_moment(std::string_view type, std::string_view text, const Clock& clock,
                         bool with_zone) {
  const Fields fields = FieldReader(type, text).read();
  if (const auto infinity = infinity_of(fields.keyword)) return *infinity;
  const Zone& zone = fields.zone != nullptr ? *fields.zone : *clock.zone;
  if (fields.keyword == "now") {
    return with_zone ? clock.now_micros : clock.zone->to_local(clock.now_micros);
  }
  if (fields.keyword == "epoch") return 0;
  if (fields.keyword.empty() && !fields.year) bad_syntax(type, text);
  const std::int64_t days = fields.keyword.empty()
                                ? days_from_civil(*fields.year, fields.month, fields.day)
                                : keyword_days(fields.keyword, clock);
  const std::int64_t local = days * kMicrosPerDay + fields.time_micros;
  return check_timestamp(with_zone ? zone.to_utc(local) : local);
}

}  // namespace

std::int64_t days_from_civil(std::int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t of_era = year - era * 400;
  const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

CivilDate civil_from_days(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t of_era = days - era * 146'097;
  const std::int64_t year = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::int64_t shifted = (5 * of_year + 2) / 153;
  const int month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  return {.year = year + era * 400 + (month <= 2 ? 1 : 0),
          .month = month,
          .day = static_cast<int>(of_year - (153 * shifted + 2) / 5 + 1)};
}

std::int64_t system_now_micros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::int64_t check_timestamp(std::int64_t micros) {
  // 4714-11-24 BC to 294276 AD.
  constexpr std::int64_t kFirst = -210'866'803'200'000'000;
  if (micros == kInfinity || micros == kMinusInfinity) return micros;
  if (micros < kFirst) raise("22008", "timestamp out of range");
  return micros;
}

std::int64_t read_date(std::string_view text, const Clock& clock) {
  const Fields fields = FieldReader("date", text).read();
  if (const auto infinity = infinity_of(fields.keyword)) return *infinity;
  if (!fields.keyword.empty()) return keyword_days(fields.keyword, clock);
  if (!fields.year) bad_syntax("date", text);
  return days_from_civil(*fields.year, fields.month, fields.day);
}

std::int64_t read_time(std::string_view text) {
  const Fields fields = FieldReader("time", text).read();
  if (!fields.has_time) bad_syntax("time", text);
  return fields.time_micros;
}

std::int64_t read_timestamp(std::string_view text, const Clock& clock) {
  return read_moment("timestamp", text, clock, false);
}

std::int64_t read_timestamptz(std::string_view text, const Clock& clock) {
  return read_moment("timestamp with time zone", text, clock, true);
}

std::string date_text(std::int64_t days) {
  if (days == kInfinity) return "infinity";
  if (days == kMinusInfinity) return "-infinity";
  bool before_christ = false;
  std::string text = plain_date(days, before_christ);
  return before_christ ? text + " BC" : text;
}

std::string time_text(std::int64_t micros) {
  const std::int64_t seconds = micros / kMicrosPerSecond;
  std::string text =
      pad(seconds / 3600, 2) + ":" + pad(seconds / 60 % 60, 2) + ":" + pad(seconds % 60, 2);
  if (const std::int64_t fraction = micros % kMicrosPerSecond; fraction != 0) {
    text += "." + pad(fraction, 6);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text;
}

std::string timestamp_text(std::int64_t micros) {
  if (micros == kInfinity) return "infinity";
  if (micros == kMinusInfinity) return "-infinity";
  const Split parts = split(micros);
  bool before_christ = false;
  std::string text = plain_date(parts.days, before_christ) + " " + time_text(parts.micros);
  return before_christ ? text + " BC" : text;
}

std::string timestamptz_text(std::int64_t micros, const Zone& zone) {
  if (micros == kInfinity || micros == kMinusInfinity) return timestamp_text(micros);
  const std::int64_t local = zone.to_local(micros);
  const std::int64_t offset = (local - micros) / kMicrosPerSecond;
  const std::int64_t size = std::abs(offset);
  std::string suffix = (offset < 0 ? "-" : "+") + pad(size / 3600, 2);
  if (size % 3600 != 0) suffix += ":" + pad(size / 60 % 60, 2);
  if (size % 60 != 0) suffix += ":" + pad(size % 60, 2);
  std::string text = timestamp_text(local);
  if (text.ends_with(" BC")) return text.insert(text.size() - 3, suffix);
  return text + suffix;
}

std::int64_t add_interval(std::int64_t local_micros, const Interval& interval) {
  if (local_micros == kInfinity || local_micros == kMinusInfinity) return local_micros;
  Split parts = split(local_micros);
  if (interval.months != 0) {
    CivilDate date = civil_from_days(parts.days);
    const std::int64_t months = date.year * 12 + date.month - 1 + interval.months;
    date.year = (months >= 0 ? months : months - 11) / 12;
    date.month = static_cast<int>(months - date.year * 12) + 1;
    date.day = std::min(date.day, days_in_month(date.year, date.month));
    parts.days = days_from_civil(date.year, date.month, date.day);
  }
  parts.days += interval.days;
  std::int64_t result = 0;
  if (__builtin_mul_overflow(parts.days, kMicrosPerDay, &result) ||
      __builtin_add_overflow(result, parts.micros, &result) ||
      __builtin_add_overflow(result, interval.micros, &result)) {
    raise("22008", "timestamp out of range");
  }
  return check_timestamp(result);
}

std::int64_t add_interval_in_zone(std::int64_t utc_micros, const Interval& interval,
                                  const Zone& zone) {
  if (interval.months == 0 && interval.days == 0) {
    return add_interval(utc_micros, interval);
  }
  const Interval calendar{.months = interval.months, .days = interval.days};
  const std::int64_t moved = zone.to_utc(add_interval(zone.to_local(utc_micros), calendar));
  return add_interval(moved, {.micros = interval.micros});
}

Interval subtract_timestamps(std::int64_t a, std::int64_t b) {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(a, b, &difference) || a == kInfinity || b == kMinusInfinity) {
    raise("22008", "cannot subtract infinite timestamps");
  }
  return {.days = static_cast<std::int32_t>(difference / kMicrosPerDay),
          .micros = difference % kMicrosPerDay};
}

Interval age(std::int64_t a, std::int64_t b) {
  const bool swapped = a < b;
  if (swapped) std::swap(a, b);
  const Split later = split(a);
  const Split earlier = split(b);
  const CivilDate x = civil_from_days(later.days);
  const CivilDate y = civil_from_days(earlier.days);
  std::int64_t months = (x.year - y.year) * 12 + x.month - y.month;
  std::int64_t days = x.day - y.day;
  std::int64_t micros = later.micros - earlier.micros;
  if (micros < 0) {
    micros += kMicrosPerDay;
    --days;
  }
  if (days < 0) {
    // The days of the month in which the earlier one lies (of the later one when swapped).
    days += swapped ? days_in_month(x.year, x.month) : days_in_month(y.year, y.month);
    --months;
  }
  const Interval result{.months = static_cast<std::int32_t>(months),
                        .days = static_cast<std::int32_t>(days),
                        .micros = micros};
  return swapped ? result.negated() : result;
}

std::int64_t round_micros(std::int64_t micros, int precision) {
  if (precision >= 6 || precision < 0 || micros == kInfinity || micros == kMinusInfinity)
    return micros;
  std::int64_t unit = 1;
  for (int i = precision; i < 6; ++i) unit *= 10;
  const std::int64_t half = micros < 0 ? -(unit / 2) : unit / 2;
  return (micros + half) / unit * unit;
}

}  // namespace calf::sqlite
