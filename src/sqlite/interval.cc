#include <cmath>
#include <cstdlib>
#include <limits>

#include "sqlite/datetime.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

[[noreturn]] void overflow() {
  raise("22008", "interval out of range");
}

// Sums up what a text says, with PostgreSQL's way of passing fractions down.
class IntervalReader {
 public:
  explicit IntervalReader(std::string_view text) : text_(text) {}

  Interval read() {
    std::string_view rest = text_;
    skip_spaces(rest);
    if (rest.empty()) fail();
    if (rest[0] == '@') rest.remove_prefix(1);
    if (rest.starts_with('P')) {
      read_iso(rest.substr(1));
    } else {
      while (skip_spaces(rest), !rest.empty()) read_part(rest);
    }
    if (!any_) fail();
    if (ago_) {
      months_ = -months_;
      days_ = -days_;
      micros_ = -micros_;
    }
    return finish();
  }

 private:
  [[noreturn]] void fail() const {
    raise("22007", "invalid input syntax for type interval: \"" + std::string(text_) + "\"");
  }
  static void skip_spaces(std::string_view& rest) {
    while (!rest.empty() && std::isspace(static_cast<unsigned char>(rest[0])) != 0) {
      rest.remove_prefix(1);
    }
  }
  double take_number(std::string_view& rest) const {
    const std::string copy(rest.substr(0, 64));
    char* end = nullptr;
    const double value = std::strtod(copy.c_str(), &end);
    if (end == copy.c_str() || !std::isfinite(value)) fail();
    rest.remove_prefix(static_cast<std::size_t>(end - copy.c_str()));
    return value;
  }
  static std::string take_word(std::string_view& rest) {
    std::string word;
    while (!rest.empty() && std::isalpha(static_cast<unsigned char>(rest[0])) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(rest[0])));
      rest.remove_prefix(1);
    }
    return word;
  }

  void read_part(std::string_view& rest) {
    any_ = true;
    if (std::isalpha(static_cast<unsigned char>(rest[0])) != 0) {
      if (take_word(rest) != "ago") fail();
      ago_ = true;
      return;
    }
    const bool negative = rest[0] == '-';
    const std::size_t end = rest.find_first_not_of("+-0123456789.:");
    const std::string_view token = rest.substr(0, end);
    if (token.find(':') != std::string_view::npos) {
      read_clock(token, negative);
      rest.remove_prefix(token.size());
      return;
    }
    if (const std::size_t dash = token.find('-', 1); dash != std::string_view::npos) {
      read_year_month(token, dash, negative);
      rest.remove_prefix(token.size());
      return;
    }
    const double amount = take_number(rest);
    skip_spaces(rest);
    const std::string unit = take_word(rest);
    add(amount, unit.empty() ? "s" : unit);
  }

  void read_year_month(std::string_view token, std::size_t dash, bool negative) {
    const double years = std::fabs(std::atof(std::string(token.substr(0, dash)).c_str()));
    const double months = std::atof(std::string(token.substr(dash + 1)).c_str());
    if (months >= 12) fail();
    months_ += (negative ? -1 : 1) * (years * 12 + months);
  }

  void read_clock(std::string_view token, bool negative) {
    if (token[0] == '-' || token[0] == '+') token.remove_prefix(1);
    double parts[3] = {0, 0, 0};
    int count = 0;
    while (count < 3) {
      parts[count++] = take_number(token);
      if (token.empty()) break;
      if (token[0] != ':') fail();
      token.remove_prefix(1);
    }
    if (!token.empty() || parts[1] >= 60 || parts[2] > 60) fail();
    const double micros = std::round((parts[0] * 3600 + parts[1] * 60) * 1e6 + parts[2] * 1e6);
    micros_ += negative ? -micros : micros;
  }

  void read_iso(std::string_view rest) {
    bool time = false;
    while (!rest.empty()) {
      if (rest[0] == 'T') {
        time = true;
        rest.remove_prefix(1);
        continue;
      }
      const double amount = take_number(rest);
      if (rest.empty()) fail();
      any_ = true;
      const char unit = rest[0];
      rest.remove_prefix(1);
      const char* name = unit == 'Y'   ? "y"
                         : unit == 'W' ? "w"
                         : unit == 'D' ? "d"
                         : unit == 'H' ? "h"
                         : unit == 'S' ? "s"
                         : unit == 'M' ? (time ? "m" : "mon")
                                       : "?";
      add(amount, name);
    }
  }

  static bool one_of(const std::string& word, std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (word == name || word == std::string(name) + "s") return true;
    }
    return false;
  }

  void add(double amount, const std::string& unit) {
    if (one_of(unit, {"microsecond", "us", "usec"}))
      micros_ += std::round(amount);
    else if (one_of(unit, {"millisecond", "ms", "msec"}))
      micros_ += std::round(amount * 1e3);
    else if (one_of(unit, {"second", "s", "sec"}))
      micros_ += std::round(amount * 1e6);
    else if (one_of(unit, {"minute", "m", "min"}))
      micros_ += std::round(amount * 60e6);
    else if (one_of(unit, {"hour", "h", "hr"}))
      micros_ += std::round(amount * 3600e6);
    else if (one_of(unit, {"day", "d"}))
      add_days(amount);
    else if (one_of(unit, {"week", "w"}))
      add_days(amount * 7);
    else if (one_of(unit, {"month", "mon"}))
      add_months(amount);
    else if (one_of(unit, {"year", "y", "yr"}))
      months_ += std::round(amount * 12);
    else if (one_of(unit, {"decade", "dec"}))
      months_ += std::round(amount * 120);
    else if (one_of(unit, {"century", "c", "cent"}) || unit == "centuries")
      months_ += std::round(amount * 1200);
    else if (one_of(unit, {"millennium", "mil"}) || unit == "millennia")
      months_ += std::round(amount * 12000);
    else
      fail();
  }
  void add_days(double days) {
    days_ += std::trunc(days);
    micros_ += std::round((days - std::trunc(days)) * static_cast<double>(kMicrosPerDay));
  }
  void add_months(double months) {
    months_ += std::trunc(months);
    add_days((months - std::trunc(months)) * 30);
  }

  [[nodiscard]] Interval finish() const {
    constexpr double kMaxInt = 2147483647.0;
    if (std::fabs(months_) > kMaxInt || std::fabs(days_) > kMaxInt || std::fabs(micros_) > 9.2e18) {
      raise("22015", "interval field value out of range: \"" + std::string(text_) + "\"");
    }
    return {.months = static_cast<std::int32_t>(months_),
            .days = static_cast<std::int32_t>(days_),
            .micros = static_cast<std::int64_t>(micros_)};
  }

  std::string_view text_;
  double months_ = 0;
  double days_ = 0;
  double micros_ = 0;
  bool any_ = false;
  bool ago_ = false;
};

}  // namespace

Interval Interval::read(std::string_view text) {
  return IntervalReader(text).read();
}

std::string Interval::to_string() const {
  std::string text;
  bool after_negative = false;
  const auto part = [&](std::int64_t value, const char* unit) {
    if (value == 0) return;
    if (!text.empty()) text += ' ';
    if (after_negative && value > 0) text += '+';
    text += std::to_string(value) + " " + unit + (value == 1 ? "" : "s");
    after_negative = value < 0;
  };
  part(months / 12, "year");
  part(months % 12, "mon");
  part(days, "day");
  if (micros != 0 || text.empty()) {
    if (!text.empty()) text += ' ';
    if (micros < 0) {
      text += '-';
    } else if (after_negative) {
      text += '+';
    }
    text += time_text(micros < 0 ? -micros : micros);
  }
  return text;
}

__int128 Interval::span() const {
  return (static_cast<__int128>(months) * 30 + days) * kMicrosPerDay + micros;
}

Interval Interval::negated() const {
  if (months == INT32_MIN || days == INT32_MIN || micros == INT64_MIN) overflow();
  return {.months = -months, .days = -days, .micros = -micros};
}

Interval operator+(const Interval& a, const Interval& b) {
  Interval sum;
  if (__builtin_add_overflow(a.months, b.months, &sum.months) ||
      __builtin_add_overflow(a.days, b.days, &sum.days) ||
      __builtin_add_overflow(a.micros, b.micros, &sum.micros)) {
    overflow();
  }
  return sum;
}

Interval operator*(const Interval& a, double factor) {
  const double months = a.months * factor;
  const double days = a.days * factor;
  constexpr double kMaxInt = 2147483647.0;
  if (!(std::fabs(months) <= kMaxInt) || !(std::fabs(days) <= kMaxInt)) overflow();
  Interval product{.months = static_cast<std::int32_t>(months),
                   .days = static_cast<std::int32_t>(days)};
  // The fractions go down: months of 30 days, days of 24 hours.
  double rest_days = (months - product.months) * 30;
  rest_days = std::round(rest_days * 1e6) / 1e6;
  double rest_seconds = (days - product.days + rest_days - std::trunc(rest_days)) * 86'400;
  rest_seconds = std::round(rest_seconds * 1e6) / 1e6;
  if (std::fabs(rest_seconds) >= 86'400) {
    product.days += static_cast<std::int32_t>(rest_seconds / 86'400);
    rest_seconds = std::fmod(rest_seconds, 86'400);
  }
  product.days += static_cast<std::int32_t>(rest_days);
  const double micros = std::round(static_cast<double>(a.micros) * factor + rest_seconds * 1e6);
  if (!(std::fabs(micros) <= 9.2e18)) overflow();
  product.micros = static_cast<std::int64_t>(micros);
  return product;
}

}  // namespace calf::sqlite
