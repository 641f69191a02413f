// to_char, to_date, to_timestamp: the patterns of PostgreSQL's formatting.c that people use. What
// is not known here is refused, not printed.
#include <algorithm>
#include <array>
#include <cstring>

#include "sqlite/decimal.h"
#include "sqlite/functions.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

constexpr std::array kMonths = {"January",   "February", "March",    "April",
                                "May",       "June",     "July",     "August",
                                "September", "October",  "November", "December"};
constexpr std::array kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                              "Thursday", "Friday", "Saturday"};

std::string zero_padded(std::int64_t value, int width, bool fill) {
  if (fill) return std::to_string(value);
  char text[32];
  std::snprintf(text, sizeof text, "%0*lld", width, static_cast<long long>(value));
  return text;
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}
std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// The keyword's own spelling says how a name is written: MONTH, Month, month.
std::string cased(std::string name, std::string_view keyword) {
  if (std::isupper(static_cast<unsigned char>(keyword[1])) != 0) return upper(std::move(name));
  if (std::isupper(static_cast<unsigned char>(keyword[0])) != 0) return name;
  return lower(std::move(name));
}

std::string padded_name(std::string name, bool fill) {
  if (!fill) name.resize(std::max<std::size_t>(name.size(), 9), ' ');
  return name;
}

struct Moment {
  CivilDate date;
  std::int64_t days;
  std::int64_t micros;  // of the day (of an interval: all of its time)
  std::string zone;
  int offset_s;
  bool interval = false;
};

constexpr auto kKeywords = std::to_array<std::string_view>(
    {"HH24", "HH12",  "HH",   "MI",  "SSSSS", "SSSS", "SS",   "MS",   "US",   "FF1",  "FF2",
     "FF3",  "FF4",   "FF5",  "FF6", "AM",    "PM",   "A.M.", "P.M.", "YYYY", "YYY",  "YY",
     "Y",    "Y,YYY", "IYYY", "IYY", "IY",    "I",    "BC",   "B.C.", "AD",   "A.D.", "MONTH",
     "MON",  "MM",    "DAY",  "DY",  "DDD",   "IDDD", "DD",   "ID",   "D",    "IW",   "WW",
     "W",    "CC",    "J",    "Q",   "RM",    "TZH",  "TZM",  "TZ",   "OF",   "FX"});

// Keywords are written MM or mm; names of months and days also Month.
bool spells(std::string_view text, std::string_view word) {
  const bool name = word == "MONTH" || word == "MON" || word == "DAY" || word == "DY";
  return text == word || text == lower(std::string(word)) ||
         (name && text == std::string(1, word[0]) + lower(std::string(word.substr(1))));
}

// The longest keyword at the front.
std::string_view keyword_at(std::string_view pattern) {
  std::string_view best;
  for (const std::string_view word : kKeywords) {
    if (word.size() > best.size() && spells(pattern.substr(0, word.size()), word)) best = word;
  }
  return best;
}

// Only what an interval has.
void check_interval_field(std::string_view key) {
  for (const std::string_view known :
       {"HH24", "HH12", "HH",  "MI",  "SS",  "SSSS", "SSSSS", "MS", "US",
        "FF1",  "FF2",  "FF3", "FF4", "FF5", "FF6",  "AM",    "PM", "A.M.",
        "P.M.", "YYYY", "YYY", "YY",  "Y",   "MM",   "DD",    "FX"}) {
    if (key == known) return;
  }
  for (const std::string_view none : {"MONTH", "MON", "DAY", "DY", "D", "ID", "TZ", "TZH", "TZM",
                                      "OF", "AD", "BC", "A.D.", "B.C."}) {
    if (key == none)
      raise("22007", "invalid format specification for an interval value",
            "Intervals are not tied to specific calendar dates.");
  }
  unsupported("the to_char pattern \"" + std::string(key) + "\" of an interval");
}

std::string roman_month(int month, std::string_view spelled, bool fill) {
  constexpr std::array kRoman = {"I",   "II",   "III", "IV", "V",  "VI",
                                 "VII", "VIII", "IX",  "X",  "XI", "XII"};
  std::string out = kRoman[static_cast<std::size_t>(month - 1)];
  if (!fill) out.resize(std::max<std::size_t>(out.size(), 4), ' ');
  return spelled[0] == 'r' ? lower(std::move(out)) : out;
}

// Of the year that ISO weeks count in, and its days.
std::string iso_field(std::string_view key, const Moment& m, bool fill) {
  const std::int64_t monday = m.days - ((m.days + 3) % 7 + 7) % 7;
  const std::int64_t year = civil_from_days(monday + 3).year;
  const std::int64_t fourth = days_from_civil(static_cast<int>(year), 1, 4);
  const std::int64_t first = fourth - ((fourth + 3) % 7 + 7) % 7;
  if (key == "IYYY") return zero_padded(year, 4, fill);
  if (key == "IYY") return zero_padded(year % 1000, 3, fill);
  if (key == "IY") return zero_padded(year % 100, 2, fill);
  if (key == "I") return std::to_string(year % 10);
  if (key == "IDDD") return zero_padded(m.days - first + 1, 3, fill);
  return zero_padded((monday - first) / 7 + 1, 2, fill);  // IW
}

std::string ordinal(std::int64_t value) {
  if (value % 100 >= 11 && value % 100 <= 13) return "th";
  return value % 10 == 1 ? "st" : value % 10 == 2 ? "nd" : value % 10 == 3 ? "rd" : "th";
}

std::string field(std::string_view key, std::string_view spelled, const Moment& m, bool fill) {
  const std::int64_t hours = m.micros / (3600 * kMicrosPerSecond);
  const std::int64_t micros = m.micros % kMicrosPerSecond;
  const auto year = m.date.year > 0 || m.interval ? m.date.year : 1 - m.date.year;
  if (m.interval) check_interval_field(key);
  const auto weekday = static_cast<std::size_t>(((m.days + 4) % 7 + 7) % 7);
  const std::int64_t day_of_year = m.days - days_from_civil(m.date.year, 1, 1) + 1;
  if (key == "HH24") return zero_padded(hours, 2, fill);
  if (key == "HH12" || key == "HH") return zero_padded(hours % 12 == 0 ? 12 : hours % 12, 2, fill);
  if (key == "MI") return zero_padded(m.micros / (60 * kMicrosPerSecond) % 60, 2, fill);
  if (key == "SS") return zero_padded(m.micros / kMicrosPerSecond % 60, 2, fill);
  if (key == "SSSS" || key == "SSSSS") return std::to_string(m.micros / kMicrosPerSecond);
  if (key == "MS") return zero_padded(micros / 1000, 3, false);
  if (key == "US") return zero_padded(micros, 6, false);
  if (key.starts_with("FF"))
    return zero_padded(micros, 6, false).substr(0, static_cast<std::size_t>(key[2] - '0'));
  if (key == "AM" || key == "PM")
    return cased(hours >= 12 ? "PM" : "AM", std::string(2, spelled[0]));
  if (key == "A.M." || key == "P.M.")
    return cased(hours >= 12 ? "P.M." : "A.M.", std::string(2, spelled[0]));
  if (key == "YYYY") return zero_padded(year, 4, fill);
  if (key == "YYY") return zero_padded(year % 1000, 3, fill);
  if (key == "YY") return zero_padded(year % 100, 2, fill);
  if (key == "Y") return std::to_string(year % 10);
  if (key == "Y,YYY") return std::to_string(year / 1000) + "," + zero_padded(year % 1000, 3, false);
  if (key == "MONTH")
    return padded_name(cased(kMonths[static_cast<std::size_t>(m.date.month - 1)], spelled), fill);
  if (key == "MON")
    return cased(std::string(kMonths[static_cast<std::size_t>(m.date.month - 1)]).substr(0, 3),
                 spelled);
  if (key == "MM") return zero_padded(m.date.month, 2, fill);
  if (key == "DAY") return padded_name(cased(kDays[weekday], spelled), fill);
  if (key == "DY") return cased(std::string(kDays[weekday]).substr(0, 3), spelled);
  if (key == "DDD") return zero_padded(day_of_year, 3, fill);
  if (key == "DD") return zero_padded(m.date.day, 2, fill);
  if (key == "D") return std::to_string(weekday + 1);
  if (key == "ID") return std::to_string(weekday == 0 ? 7 : weekday);
  if (key == "WW") return zero_padded((day_of_year - 1) / 7 + 1, 2, fill);
  if (key == "W") return std::to_string((m.date.day - 1) / 7 + 1);
  if (key == "CC") return zero_padded((year + 99) / 100, 2, fill);
  if (key == "Q") return std::to_string((m.date.month - 1) / 3 + 1);
  if (key == "TZ")
    return std::islower(static_cast<unsigned char>(spelled[0])) != 0 ? lower(m.zone) : m.zone;
  if (key == "OF") {
    const int size = std::abs(m.offset_s);
    return (m.offset_s < 0 ? "-" : "+") + zero_padded(size / 3600, 2, false) +
           (size % 3600 != 0 ? ":" + zero_padded(size / 60 % 60, 2, false) : "");
  }
  if (key == "TZH")
    return (m.offset_s < 0 ? "-" : "+") + zero_padded(std::abs(m.offset_s) / 3600, 2, false);
  if (key == "TZM") return zero_padded(std::abs(m.offset_s) / 60 % 60, 2, false);
  if (key == "AD" || key == "BC") return cased(m.date.year > 0 ? "AD" : "BC", spelled);
  if (key == "A.D." || key == "B.C.")
    return cased(m.date.year > 0 ? "A.D." : "B.C.", std::string(2, spelled[0]));
  if (key == "J") {
    constexpr std::int64_t kEpoch = 2440588;
    return std::to_string(m.days + kEpoch);
  }
  if (key == "RM") return roman_month(m.date.month, spelled, fill);
  if (key == "FX") return {};
  if (key.starts_with("I")) return iso_field(key, m, fill);
  unsupported("the to_char pattern \"" + std::string(spelled) + "\"");
}

std::string format_with(const Moment& moment, std::string_view pattern) {
  std::string out;
  bool fill = false;
  while (!pattern.empty()) {
    if (pattern.starts_with("FM") || pattern.starts_with("fm") || pattern.starts_with("TM") ||
        pattern.starts_with("tm")) {
      fill = true;
      pattern.remove_prefix(2);
      continue;
    }
    if (pattern.starts_with("\\\"")) {
      out += '"';
      pattern.remove_prefix(2);
      continue;
    }
    if (pattern[0] == '"') {
      const std::size_t end = std::min(pattern.find('"', 1), pattern.size());
      out += pattern.substr(1, end - 1);
      pattern.remove_prefix(std::min(end + 1, pattern.size()));
      continue;
    }
    const std::string_view key = keyword_at(pattern);
    if (key.empty()) {
      out += pattern[0];
      pattern.remove_prefix(1);
      continue;
    }
    const std::string_view spelled = pattern.substr(0, key.size());
    const std::string value = field(key, spelled, moment, fill);
    out += value;
    pattern.remove_prefix(key.size());
    if (pattern.starts_with("th") || pattern.starts_with("TH")) {
      const std::string suffix = ordinal(std::atoll(value.c_str()));
      out += pattern[0] == 'T' ? upper(suffix) : suffix;
      pattern.remove_prefix(2);
    }
    if (pattern.starts_with("SP") || pattern.starts_with("sp")) pattern.remove_prefix(2);
    fill = false;
  }
  return out;
}

// What a number pattern asks for.
struct NumberPattern {
  std::string integer{};   // 9, 0 and ','
  std::string fraction{};  // 9 and 0
  std::string prefix{};
  std::string ordinal;  // "TH" or "th"
  std::string suffix{};
  bool point = false;
  bool fill = false;
  char sign = 0;  // S, M(I), P(R), or 0: before the number
  bool sign_last = false;
};

NumberPattern read_number_pattern(std::string_view pattern) {
  NumberPattern p;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = static_cast<char>(std::toupper(static_cast<unsigned char>(pattern[i])));
    const char next =
        i + 1 < pattern.size()
            ? static_cast<char>(std::toupper(static_cast<unsigned char>(pattern[i + 1])))
            : '\0';
    const bool begun = !p.integer.empty() || p.point;
    if (c == 'F' && next == 'M') {
      p.fill = true;
      ++i;
    } else if (c == '9' || c == '0') {
      (p.point ? p.fraction : p.integer) += c;
    } else if (c == ',' || c == 'G') {
      if (p.point) unsupported("a group separator behind the point");
      p.integer += ',';
    } else if (c == '.' || c == 'D') {
      p.point = true;
    } else if (c == 'S' && next != 'G') {
      p.sign = 'S';
      p.sign_last = begun;
    } else if (c == 'M' && next == 'I') {
      p.sign = 'M';
      p.sign_last = begun;
      ++i;
    } else if (c == 'P' && next == 'R') {
      p.sign = 'P';
      ++i;
    } else if (c == 'T' && next == 'H') {
      p.ordinal = pattern[i] == 'T' && pattern[i + 1] == 'H' ? "TH" : "th";
      ++i;
    } else if (c == 'L' || c == 'V' || c == 'E' || c == 'R' || c == 'T' || c == 'B' ||
               (c == 'S' && next == 'G')) {
      unsupported("the to_char pattern \"" + std::string(pattern) + "\"");
    } else if (c == '"') {
      const std::size_t end = std::min(pattern.find('"', i + 1), pattern.size());
      (begun ? p.suffix : p.prefix) += pattern.substr(i + 1, end - i - 1);
      i = end;
    } else {
      (begun ? p.suffix : p.prefix) += pattern[i];
    }
  }
  if (p.point && (p.fraction.empty() || p.integer.find_first_of("90") == std::string::npos))
    unsupported("the to_char pattern \"" + std::string(pattern) + "\"");
  return p;
}

// st, nd, rd, th.
std::string ordinal_of(const std::string& digits, bool upper) {
  const char last = digits.empty() ? '0' : digits.back();
  const bool teen = digits.size() > 1 && digits[digits.size() - 2] == '1';
  if (!teen && last == '1') return upper ? "ST" : "st";
  if (!teen && last == '2') return upper ? "ND" : "nd";
  if (!teen && last == '3') return upper ? "RD" : "rd";
  return upper ? "TH" : "th";
}

}  // namespace

std::string format_moment(std::int64_t local, std::string_view pattern, const std::string& zone,
                          int offset) {
  if (local == kInfinity || local == kMinusInfinity) return "";
  const std::int64_t days = local / kMicrosPerDay - (local % kMicrosPerDay < 0 ? 1 : 0);
  return format_with({.date = civil_from_days(days),
                      .days = days,
                      .micros = local - days * kMicrosPerDay,
                      .zone = zone,
                      .offset_s = offset},
                     pattern);
}

std::string format_interval(const Interval& interval, std::string_view pattern) {
  if (interval.months < 0 || interval.days < 0 || interval.micros < 0)
    unsupported("to_char of a negative interval");
  return format_with(
      {.date = {.year = interval.months / 12, .month = interval.months % 12, .day = interval.days},
       .days = 0,
       .micros = interval.micros,
       .zone = "",
       .offset_s = 0,
       .interval = true},
      pattern);
}

std::string format_number(const Decimal& value, std::string_view pattern) {
  const NumberPattern p = read_number_pattern(pattern);
  if (!value.finite()) unsupported("to_char of a value that is not finite");
  const Decimal rounded = value.rounded(static_cast<int>(p.fraction.size()));
  const bool negative = rounded.sign() < 0;
  std::string digits = rounded.to_string();
  if (negative) digits.erase(0, 1);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  std::string whole = digits.substr(0, point);
  const std::string fraction = point < digits.size() ? digits.substr(point + 1) : "";
  if (whole == "0" && p.point && p.integer.find('0') == std::string::npos) whole = "";
  const auto places = static_cast<std::size_t>(
      std::count_if(p.integer.begin(), p.integer.end(), [](char c) { return c != ','; }));
  const bool overflow = whole.size() > places;
  // From right to left, one digit a place; blanks left of the first digit.
  const std::size_t first_zero = p.integer.find('0');
  std::string body;
  std::size_t at = whole.size();
  for (std::size_t i = p.integer.size(); i-- > 0;) {
    const bool forced = first_zero != std::string::npos && i >= first_zero;
    if (p.integer[i] == ',') {
      body += overflow                                                        ? ','
              : at > 0 || (first_zero != std::string::npos && i > first_zero) ? ','
                                                                              : ' ';
    } else if (overflow) {
      body += '#';
    } else if (at > 0) {
      body += whole[--at];
    } else {
      body += forced ? '0' : ' ';
    }
  }
  std::reverse(body.begin(), body.end());
  if (p.point) {
    body += '.';
    std::string tail = overflow ? std::string(p.fraction.size(), '#') : fraction;
    if (p.fill && !overflow) {
      const std::size_t keep =
          p.fraction.rfind('0') == std::string::npos ? 0 : p.fraction.rfind('0') + 1;
      while (tail.size() > keep && tail.back() == '0') tail.pop_back();
    }
    body += tail;
    // FM leaves one digit of nothing.
    if (p.fill && body.find_first_not_of(" .") == std::string::npos)
      body = std::string(body.size() - 1, ' ') + "0.";
  }
  const std::size_t first = std::min(body.find_first_not_of(' '), body.size());
  std::string sign = negative ? "-" : " ";
  if (p.sign == 'S') sign = negative ? "-" : "+";
  if (p.sign == 'P') {
    body = body.substr(0, first) + (negative ? "<" : " ") + body.substr(first) +
           (negative ? ">" : " ");
  } else if (p.sign_last || p.sign == 'M') {
    body = p.sign_last ? body + sign : sign + body;
  } else {
    body.insert(first, sign);
  }
  if (p.fill) {
    body.erase(0, std::min(body.find_first_not_of(' '), body.size()));
    body.erase(body.find_last_not_of(' ') + 1);
  }
  if (!p.ordinal.empty() && !negative && !p.point && !overflow)
    body += ordinal_of(whole, p.ordinal == "TH");
  return p.prefix + body + p.suffix;
}

std::int64_t parse_moment(std::string_view text, std::string_view pattern) {
  std::int64_t year = 1;
  std::int64_t month = 1;
  std::int64_t day = 1;
  std::int64_t micros = 0;
  bool afternoon = false;
  bool twelve = false;
  std::int64_t hour = 0;
  const std::string whole(text);
  const auto number = [&](std::size_t width) {
    while (!text.empty() && text[0] == ' ') text.remove_prefix(1);
    std::size_t n = 0;
    while (n < width && n < text.size() && std::isdigit(static_cast<unsigned char>(text[n])) != 0)
      ++n;
    if (n == 0)
      raise("22007", "invalid value \"" + std::string(text.substr(0, width)) + "\" for \"" +
                         std::string(pattern.substr(0, width)) + "\"");
    const std::int64_t value = std::stoll(std::string(text.substr(0, n)));
    text.remove_prefix(n);
    return value;
  };
  while (!pattern.empty()) {
    const std::string_view key = keyword_at(pattern);
    if (key.empty()) {
      pattern.remove_prefix(1);
      if (!text.empty() && std::isalnum(static_cast<unsigned char>(text[0])) == 0)
        text.remove_prefix(1);
      continue;
    }
    if (key == "YYYY")
      year = number(4);
    else if (key == "YY") {
      const std::int64_t two = number(2);
      year = two < 70 ? 2000 + two : 1900 + two;
    } else if (key == "MM")
      month = number(2);
    else if (key == "DD")
      day = number(2);
    else if (key == "HH24")
      hour = number(2);
    else if (key == "HH12" || key == "HH") {
      hour = number(2);
      twelve = true;
    } else if (key == "MI")
      micros += number(2) * 60 * kMicrosPerSecond;
    else if (key == "SS")
      micros += number(2) * kMicrosPerSecond;
    else if (key == "MS")
      micros += number(3) * 1000;
    else if (key == "US")
      micros += number(6);
    else if (key == "AM" || key == "PM") {
      afternoon = lower(std::string(text.substr(0, 2))) == "pm";
      text.remove_prefix(std::min<std::size_t>(2, text.size()));
    } else if (key == "MON" || key == "MONTH") {
      month = 0;
      for (std::size_t i = 0; i < kMonths.size() && month == 0; ++i) {
        const std::string name = key == "MON" ? std::string(kMonths[i]).substr(0, 3) : kMonths[i];
        if (lower(std::string(text.substr(0, name.size()))) == lower(name)) {
          month = static_cast<std::int64_t>(i) + 1;
          text.remove_prefix(name.size());
        }
      }
      if (month == 0)
        raise("22007",
              "invalid value \"" + std::string(text) + "\" for \"" + std::string(key) + "\"");
    } else {
      unsupported("the to_date pattern \"" + std::string(key) + "\"");
    }
    pattern.remove_prefix(key.size());
  }
  if (twelve) hour = hour % 12 + (afternoon ? 12 : 0);
  if (month < 1 || month > 12 || day < 1 || day > 31 ||
      civil_from_days(days_from_civil(year, static_cast<int>(month), static_cast<int>(day))).day !=
          day ||
      hour > 23) {
    raise("22008", "date/time field value out of range: \"" + whole + "\"");
  }
  return days_from_civil(year, static_cast<int>(month), static_cast<int>(day)) * kMicrosPerDay +
         hour * 3600 * kMicrosPerSecond + micros;
}

}  // namespace calf::sqlite
