// Dates and times: arithmetic, fields, truncation, clocks.
#include <cmath>

#include "sqlite/decimal.h"
#include "sqlite/functions.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

constexpr std::int64_t kMicrosPerHour = 3600 * kMicrosPerSecond;

Interval interval(const Call& c, std::size_t i) {
  return Interval::read(c.text(i));
}
Datum of(const Interval& value) {
  return Datum::of(value.to_string());
}
bool finite(std::int64_t value) {
  return value != kInfinity && value != kMinusInfinity;
}

std::int64_t day_of(std::int64_t micros) {
  return micros / kMicrosPerDay - (micros % kMicrosPerDay < 0 ? 1 : 0);
}

std::int64_t day_sum(std::int64_t days, std::int64_t change) {
  return finite(days) ? days + change : days;
}

std::int64_t wrap_time(std::int64_t micros) {
  const std::int64_t rest = micros % kMicrosPerDay;
  return rest < 0 ? rest + kMicrosPerDay : rest;
}

// ISO 8601: weeks begin on Monday, and the first one has a Thursday.
struct IsoWeek {
  std::int64_t year;
  int week;
};
IsoWeek iso_week(std::int64_t days) {
  const std::int64_t weekday = ((days + 3) % 7 + 7) % 7;  // Monday is 0
  const std::int64_t thursday = days - weekday + 3;
  const std::int64_t year = civil_from_days(thursday).year;
  return {.year = year, .week = static_cast<int>((thursday - days_from_civil(year, 1, 1)) / 7) + 1};
}

std::string with_fraction(std::int64_t value, int digits) {
  return Decimal(Decimal::Integer(value), digits).to_string();
}

std::string seconds_text(std::int64_t micros) {
  return with_fraction(micros, 6);
}

[[noreturn]] void unknown_field(const std::string& field, const char* type) {
  raise("22023", "unit \"" + field + "\" not recognized for type " + type);
}
[[noreturn]] void unsupported_field(const std::string& field, const char* type) {
  raise("0A000", "unit \"" + field + "\" not supported for type " + type);
}

std::string whole(std::int64_t value) {
  return std::to_string(value);
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

// The field of a time of day; empty when it is not one of those.
std::string time_field(const std::string& field, std::int64_t micros) {
  if (field == "hour" || field == "hours") return whole(micros / kMicrosPerHour);
  if (field == "minute" || field == "minutes") return whole(micros / (60 * kMicrosPerSecond) % 60);
  const std::int64_t seconds = micros % (60 * kMicrosPerSecond);
  if (field == "second" || field == "seconds") return seconds_text(seconds);
  if (field == "millisecond" || field == "milliseconds") return with_fraction(seconds, 3);
  if (field == "microsecond" || field == "microseconds") return whole(seconds);
  return {};
}

std::string date_field(const std::string& field, std::int64_t days) {
  const CivilDate date = civil_from_days(days);
  if (field == "year" || field == "years") return whole(date.year > 0 ? date.year : date.year - 1);
  if (field == "month" || field == "months") return whole(date.month);
  if (field == "day" || field == "days") return whole(date.day);
  if (field == "quarter") return whole((date.month - 1) / 3 + 1);
  if (field == "dow") return whole(((days + 4) % 7 + 7) % 7);
  if (field == "isodow") return whole(((days + 3) % 7 + 7) % 7 + 1);
  if (field == "doy") return whole(days - days_from_civil(date.year, 1, 1) + 1);
  if (field == "week") return whole(iso_week(days).week);
  if (field == "isoyear") return whole(iso_week(days).year);
  if (field == "decade") return whole(floor_div(date.year, 10));
  if (field == "century")
    return whole(date.year > 0 ? (date.year + 99) / 100 : -((99 - (date.year - 1)) / 100));
  if (field == "millennium")
    return whole(date.year > 0 ? (date.year + 999) / 1000 : -((999 - (date.year - 1)) / 1000));
  if (field == "julian") return whole(days + 2'440'588);
  return {};
}

std::string moment_field(const std::string& field, std::int64_t local, std::int64_t utc,
                         const char* type) {
  if (!finite(local)) {
    const bool endless = field == "epoch" || field == "year" || field == "century" ||
                         field == "decade" || field == "millennium" || field == "isoyear" ||
                         field == "julian";
    return endless ? (local == kInfinity ? "Infinity" : "-Infinity") : "";
  }
  const std::int64_t days = day_of(local);
  if (field == "epoch") return seconds_text(utc);
  std::string value = time_field(field, local - days * kMicrosPerDay);
  if (value.empty()) value = date_field(field, days);
  if (value.empty()) unknown_field(field, type);
  return value;
}

std::string zoned_field(const std::string& field, std::int64_t utc, const Zone& zone) {
  const std::int64_t local = finite(utc) ? zone.to_local(utc) : utc;
  const std::int64_t offset = (local - utc) / kMicrosPerSecond;
  if (field == "timezone") return whole(offset);
  if (field == "timezone_hour") return whole(offset / 3600);
  if (field == "timezone_minute") return whole(offset / 60 % 60);
  return moment_field(field, local, utc, "timestamp with time zone");
}

std::string interval_field(const std::string& field, const Interval& value) {
  if (field == "year" || field == "years") return whole(value.months / 12);
  if (field == "month" || field == "months") return whole(value.months % 12);
  if (field == "day" || field == "days") return whole(value.days);
  if (field == "quarter") return whole(value.months % 12 / 3 + 1);
  if (field == "decade") return whole(value.months / 120);
  if (field == "century") return whole(value.months / 1200);
  if (field == "millennium") return whole(value.months / 12000);
  if (field == "epoch") {
    // A year has 365.25 days, the months beyond whole years 30.
    const std::int64_t days4 = std::int64_t{value.months / 12} * 1461 +
                               (std::int64_t{value.months % 12} * 30 + value.days) * 4;
    return (Decimal(Decimal::Integer(days4) * (kMicrosPerDay / 4) + value.micros, 6)).to_string();
  }
  const bool negative = value.micros < 0;
  std::string text = time_field(field, negative ? -value.micros : value.micros);
  if (text.empty()) {
    if (field == "dow" || field == "doy" || field == "week" || field == "isodow" ||
        field == "isoyear")
      unsupported_field(field, "interval");
    unknown_field(field, "interval");
  }
  if (negative && text.find_first_not_of("0.") != std::string::npos) text.insert(0, "-");
  return text;
}

Datum numeric_or_null(const std::string& text) {
  return text.empty() ? Datum{} : Datum::of(text);
}
Datum float_or_null(const std::string& text) {
  return text.empty() ? Datum{} : Datum::of(std::strtod(text.c_str(), nullptr));
}

std::int64_t truncate(const std::string& field, std::int64_t local) {
  if (!finite(local)) return local;
  const std::int64_t days = day_of(local);
  const std::int64_t time = local - days * kMicrosPerDay;
  const auto cut = [&](std::int64_t unit) { return days * kMicrosPerDay + time / unit * unit; };
  if (field == "microsecond" || field == "microseconds") return local;
  if (field == "millisecond" || field == "milliseconds") return cut(1000);
  if (field == "second" || field == "seconds") return cut(kMicrosPerSecond);
  if (field == "minute" || field == "minutes") return cut(60 * kMicrosPerSecond);
  if (field == "hour" || field == "hours") return cut(kMicrosPerHour);
  if (field == "day" || field == "days") return days * kMicrosPerDay;
  if (field == "week" || field == "weeks") return (days - ((days + 3) % 7 + 7) % 7) * kMicrosPerDay;
  const CivilDate date = civil_from_days(days);
  const auto start = [](std::int64_t year, int month) {
    return days_from_civil(year, month, 1) * kMicrosPerDay;
  };
  if (field == "month" || field == "months") return start(date.year, date.month);
  if (field == "quarter") return start(date.year, (date.month - 1) / 3 * 3 + 1);
  if (field == "year" || field == "years") return start(date.year, 1);
  if (field == "decade") return start(floor_div(date.year, 10) * 10, 1);
  if (field == "century") return start(floor_div(date.year - 1, 100) * 100 + 1, 1);
  if (field == "millennium") return start(floor_div(date.year - 1, 1000) * 1000 + 1, 1);
  unknown_field(field, "timestamp without time zone");
}

Interval truncate(const std::string& field, Interval value) {
  const auto cut = [&](std::int64_t unit) { value.micros = value.micros / unit * unit; };
  if (field == "microsecond" || field == "microseconds") return value;
  if (field == "millisecond" || field == "milliseconds") return cut(1000), value;
  if (field == "second" || field == "seconds") return cut(kMicrosPerSecond), value;
  if (field == "minute" || field == "minutes") return cut(60 * kMicrosPerSecond), value;
  if (field == "hour" || field == "hours") return cut(kMicrosPerHour), value;
  value.micros = 0;
  if (field == "day" || field == "days") return value;
  value.days = 0;
  if (field == "month" || field == "months") return value;
  if (field == "quarter") return value.months -= value.months % 3, value;
  value.months -= value.months % 12;
  if (field == "year" || field == "years") return value;
  if (field == "decade") return value.months -= value.months % 120, value;
  if (field == "century") return value.months -= value.months % 1200, value;
  unknown_field(field, "interval");
}

const Zone& named_zone(const std::string& name) {
  thread_local std::shared_ptr<const Zone> last;
  last = Zone::find(name);
  if (last == nullptr) raise("22023", "time zone \"" + name + "\" not recognized");
  return *last;
}

// Hours into days and days into months, with equal signs at the end.
Interval justify_hours(Interval value) {
  const std::int64_t days = value.micros / kMicrosPerDay;
  Interval out{.months = value.months,
               .days = static_cast<std::int32_t>(value.days + days),
               .micros = value.micros - days * kMicrosPerDay};
  if (out.days > 0 && out.micros < 0) return {out.months, out.days - 1, out.micros + kMicrosPerDay};
  if (out.days < 0 && out.micros > 0) return {out.months, out.days + 1, out.micros - kMicrosPerDay};
  return out;
}
Interval justify_days(Interval value) {
  Interval out{
      .months = value.months + value.days / 30, .days = value.days % 30, .micros = value.micros};
  if (out.months > 0 && out.days < 0) return {out.months - 1, out.days + 30, out.micros};
  if (out.months < 0 && out.days > 0) return {out.months + 1, out.days - 30, out.micros};
  return out;
}
Interval justify_interval(Interval value) {
  const std::int64_t days = value.days + value.micros / kMicrosPerDay;
  Interval out{.months = static_cast<std::int32_t>(value.months + days / 30),
               .days = static_cast<std::int32_t>(days % 30),
               .micros = value.micros % kMicrosPerDay};
  if (out.months > 0 && (out.days < 0 || (out.days == 0 && out.micros < 0))) {
    out.days += 30;
    --out.months;
  } else if (out.months < 0 && (out.days > 0 || (out.days == 0 && out.micros > 0))) {
    out.days -= 30;
    ++out.months;
  }
  return justify_hours(out);
}

void add_arithmetic(FunctionTable& t) {
  t.scalar("+(date,int4) date",
           [](const Call& c) { return Datum::of(day_sum(c.integer(0), c.integer(1))); });
  t.scalar("+(int4,date) date",
           [](const Call& c) { return Datum::of(day_sum(c.integer(1), c.integer(0))); });
  t.scalar("-(date,int4) date",
           [](const Call& c) { return Datum::of(day_sum(c.integer(0), -c.integer(1))); });
  t.scalar("-(date,date) int4", [](const Call& c) {
    if (!finite(c.integer(0)) || !finite(c.integer(1)))
      raise("22008", "cannot subtract infinite dates");
    return Datum::of(c.integer(0) - c.integer(1));
  });
  t.scalar("+(date,time) timestamp",
           [](const Call& c) { return Datum::of(c.integer(0) * kMicrosPerDay + c.integer(1)); });
  t.scalar("+(timestamp,interval) timestamp",
           [](const Call& c) { return Datum::of(add_interval(c.integer(0), interval(c, 1))); });
  t.scalar("+(interval,timestamp) timestamp",
           [](const Call& c) { return Datum::of(add_interval(c.integer(1), interval(c, 0))); });
  t.scalar("-(timestamp,interval) timestamp", [](const Call& c) {
    return Datum::of(add_interval(c.integer(0), interval(c, 1).negated()));
  });
  t.scalar("+(timestamptz,interval) timestamptz", [](const Call& c) {
    return Datum::of(add_interval_in_zone(c.integer(0), interval(c, 1), *c.clock().zone));
  });
  t.scalar("+(interval,timestamptz) timestamptz", [](const Call& c) {
    return Datum::of(add_interval_in_zone(c.integer(1), interval(c, 0), *c.clock().zone));
  });
  t.scalar("-(timestamptz,interval) timestamptz", [](const Call& c) {
    return Datum::of(add_interval_in_zone(c.integer(0), interval(c, 1).negated(), *c.clock().zone));
  });
  t.scalar("+(date,interval) timestamp", [](const Call& c) {
    return Datum::of(add_interval(c.integer(0) * kMicrosPerDay, interval(c, 1)));
  });
  t.scalar("+(interval,date) timestamp", [](const Call& c) {
    return Datum::of(add_interval(c.integer(1) * kMicrosPerDay, interval(c, 0)));
  });
  t.scalar("-(date,interval) timestamp", [](const Call& c) {
    return Datum::of(add_interval(c.integer(0) * kMicrosPerDay, interval(c, 1).negated()));
  });
  t.scalar("-(timestamp,timestamp) interval",
           [](const Call& c) { return of(subtract_timestamps(c.integer(0), c.integer(1))); });
  t.scalar("-(timestamptz,timestamptz) interval",
           [](const Call& c) { return of(subtract_timestamps(c.integer(0), c.integer(1))); });
  t.scalar("+(time,interval) time", [](const Call& c) {
    return Datum::of(wrap_time(c.integer(0) + interval(c, 1).micros % kMicrosPerDay));
  });
  t.scalar("-(time,interval) time", [](const Call& c) {
    return Datum::of(wrap_time(c.integer(0) - interval(c, 1).micros % kMicrosPerDay));
  });
  t.scalar("-(time,time) interval",
           [](const Call& c) { return of(Interval{.micros = c.integer(0) - c.integer(1)}); });
  t.scalar("+(interval,interval) interval",
           [](const Call& c) { return of(interval(c, 0) + interval(c, 1)); });
  t.scalar("-(interval,interval) interval",
           [](const Call& c) { return of(interval(c, 0) + interval(c, 1).negated()); });
  t.scalar("-(interval) interval", [](const Call& c) { return of(interval(c, 0).negated()); });
  t.scalar("*(interval,float8) interval",
           [](const Call& c) { return of(interval(c, 0) * c.real(1)); });
  t.scalar("*(float8,interval) interval",
           [](const Call& c) { return of(interval(c, 1) * c.real(0)); });
  t.scalar("/(interval,float8) interval", [](const Call& c) {
    if (c.real(1) == 0) raise("22012", "division by zero");
    return of(interval(c, 0) * (1 / c.real(1)));
  });
}

void add_fields(FunctionTable& t) {
  struct Source {
    const char* type;
    Implementation extract;
    Implementation date_part;
  };
  const Source sources[] = {
      {"timestamp",
       [](const Call& c) {
         return numeric_or_null(moment_field(lower_text(c.text(0)), c.integer(1), c.integer(1),
                                             "timestamp without time zone"));
       },
       [](const Call& c) {
         return float_or_null(moment_field(lower_text(c.text(0)), c.integer(1), c.integer(1),
                                           "timestamp without time zone"));
       }},
      {"timestamptz",
       [](const Call& c) {
         return numeric_or_null(zoned_field(lower_text(c.text(0)), c.integer(1), *c.clock().zone));
       },
       [](const Call& c) {
         return float_or_null(zoned_field(lower_text(c.text(0)), c.integer(1), *c.clock().zone));
       }},
      {"date",
       [](const Call& c) {
         const std::string field = lower_text(c.text(0));
         if (!time_field(field, 0).empty()) unsupported_field(field, "date");
         if (field == "epoch" && finite(c.integer(1)))
           return Datum::of(whole(c.integer(1) * 86'400));
         const std::int64_t micros =
             finite(c.integer(1)) ? c.integer(1) * kMicrosPerDay : c.integer(1);
         return numeric_or_null(moment_field(field, micros, micros, "date"));
       },
       [](const Call& c) {
         const std::int64_t micros =
             finite(c.integer(1)) ? c.integer(1) * kMicrosPerDay : c.integer(1);
         return float_or_null(moment_field(lower_text(c.text(0)), micros, micros, "date"));
       }},
      {"interval",
       [](const Call& c) {
         return numeric_or_null(interval_field(lower_text(c.text(0)), interval(c, 1)));
       },
       [](const Call& c) {
         return float_or_null(interval_field(lower_text(c.text(0)), interval(c, 1)));
       }},
      {"time",
       [](const Call& c) {
         const std::string field = lower_text(c.text(0));
         if (field == "epoch") return Datum::of(seconds_text(c.integer(1)));
         std::string value = time_field(field, c.integer(1));
         if (value.empty()) {
           if (!date_field(field, 0).empty()) unsupported_field(field, "time without time zone");
           unknown_field(field, "time without time zone");
         }
         return Datum::of(std::move(value));
       },
       [](const Call& c) {
         return float_or_null(time_field(lower_text(c.text(0)), c.integer(1)));
       }}};
  for (const Source& source : sources) {
    t.scalar(std::string("extract(text,") + source.type + ") numeric", source.extract);
    t.scalar(std::string("date_part(text,") + source.type + ") float8", source.date_part);
  }
  t.scalar("date_trunc(text,timestamp) timestamp",
           [](const Call& c) { return Datum::of(truncate(lower_text(c.text(0)), c.integer(1))); });
  t.scalar("date_trunc(text,timestamptz) timestamptz", [](const Call& c) {
    const Zone& zone = *c.clock().zone;
    if (!finite(c.integer(1))) return c.arguments[1];
    return Datum::of(zone.to_utc(truncate(lower_text(c.text(0)), zone.to_local(c.integer(1)))));
  });
  t.scalar("date_trunc(text,timestamptz,text) timestamptz", [](const Call& c) {
    const Zone& zone = named_zone(c.text(2));
    if (!finite(c.integer(1))) return c.arguments[1];
    return Datum::of(zone.to_utc(truncate(lower_text(c.text(0)), zone.to_local(c.integer(1)))));
  });
  t.scalar("date_trunc(text,interval) interval",
           [](const Call& c) { return of(truncate(lower_text(c.text(0)), interval(c, 1))); });
}

void add_clocks(FunctionTable& t) {
  for (const char* name : {"now", "transaction_timestamp", "statement_timestamp"}) {
    t.scalar(std::string(name) + "() timestamptz",
             [](const Call& c) { return Datum::of(c.clock().now_micros); });
  }
  t.scalar("clock_timestamp() timestamptz", [](const Call&) {
     return Datum::of(system_now_micros());
   }).stable = false;
  t.scalar("current_date() date", [](const Call& c) {
    return Datum::of(day_of(c.clock().zone->to_local(c.clock().now_micros)));
  });
  t.scalar("localtimestamp() timestamp",
           [](const Call& c) { return Datum::of(c.clock().zone->to_local(c.clock().now_micros)); });
  t.scalar("localtime() time", [](const Call& c) {
    return Datum::of(wrap_time(c.clock().zone->to_local(c.clock().now_micros)));
  });
}

void add_zones(FunctionTable& t) {
  t.scalar("timezone(text,timestamptz) timestamp", [](const Call& c) {
    return Datum::of(finite(c.integer(1)) ? named_zone(c.text(0)).to_local(c.integer(1))
                                          : c.integer(1));
  });
  t.scalar("timezone(text,timestamp) timestamptz", [](const Call& c) {
    return Datum::of(finite(c.integer(1)) ? named_zone(c.text(0)).to_utc(c.integer(1))
                                          : c.integer(1));
  });
}

void add_construction(FunctionTable& t) {
  t.scalar("make_date(int4,int4,int4) date", [](const Call& c) {
    const std::string text = std::to_string(c.integer(0)) + "-" + std::to_string(c.integer(1)) +
                             "-" + std::to_string(c.integer(2));
    if (c.integer(1) < 1 || c.integer(1) > 12 || c.integer(2) < 1 || c.integer(2) > 31 ||
        c.integer(0) < 1)
      raise("22008", "date field value out of range: " + text);
    const std::int64_t days = days_from_civil(c.integer(0), static_cast<int>(c.integer(1)),
                                              static_cast<int>(c.integer(2)));
    if (civil_from_days(days).day != c.integer(2))
      raise("22008", "date field value out of range: " + text);
    return Datum::of(days);
  });
  t.scalar("to_timestamp(float8) timestamptz", [](const Call& c) {
    return Datum::of(static_cast<std::int64_t>(std::nearbyint(c.real(0) * 1e6)));
  });
  t.scalar("to_timestamp(text,text) timestamptz", [](const Call& c) {
    return Datum::of(c.clock().zone->to_utc(parse_moment(c.text(0), c.text(1))));
  });
  t.scalar("to_date(text,text) date",
           [](const Call& c) { return Datum::of(day_of(parse_moment(c.text(0), c.text(1)))); });
  t.scalar("to_char(timestamp,text) text",
           [](const Call& c) { return Datum::of(format_moment(c.integer(0), c.text(1), "", 0)); });
  t.scalar("to_char(timestamptz,text) text", [](const Call& c) {
    const Zone& zone = *c.clock().zone;
    const Zone::Offset offset = zone.at(c.integer(0) / kMicrosPerSecond);
    return Datum::of(
        format_moment(zone.to_local(c.integer(0)), c.text(1), offset.abbreviation, offset.seconds));
  });
  t.scalar("to_char(interval,text) text",
           [](const Call& c) { return Datum::of(format_interval(interval(c, 0), c.text(1))); });
  t.scalar("to_char(numeric,text) text", [](const Call& c) {
    return Datum::of(format_number(Decimal::read(c.text(0)), c.text(1)));
  });
  t.scalar("to_char(int8,text) text", [](const Call& c) {
    return Datum::of(format_number(Decimal::of(c.integer(0)), c.text(1)));
  });
  t.scalar("to_char(float8,text) text", [](const Call& c) {
    return Datum::of(format_number(Decimal::of(c.real(0)), c.text(1)));
  });
  t.scalar("age(timestamp,timestamp) interval",
           [](const Call& c) { return of(age(c.integer(0), c.integer(1))); });
  t.scalar("age(timestamptz,timestamptz) interval", [](const Call& c) {
    return of(age(c.clock().zone->to_local(c.integer(0)), c.clock().zone->to_local(c.integer(1))));
  });
  t.scalar("age(timestamp) interval", [](const Call& c) {
    return of(
        age(day_of(c.clock().zone->to_local(c.clock().now_micros)) * kMicrosPerDay, c.integer(0)));
  });
  t.scalar("justify_hours(interval) interval",
           [](const Call& c) { return of(justify_hours(interval(c, 0))); });
  t.scalar("justify_days(interval) interval",
           [](const Call& c) { return of(justify_days(interval(c, 0))); });
  t.scalar("justify_interval(interval) interval",
           [](const Call& c) { return of(justify_interval(interval(c, 0))); });
  t.scalar("isfinite(timestamp) bool",
           [](const Call& c) { return Datum::of_bool(finite(c.integer(0))); });
  t.scalar("isfinite(timestamptz) bool",
           [](const Call& c) { return Datum::of_bool(finite(c.integer(0))); });
  t.scalar("isfinite(date) bool",
           [](const Call& c) { return Datum::of_bool(finite(c.integer(0))); });
}

}  // namespace

void add_time_functions(FunctionTable& t) {
  add_arithmetic(t);
  add_fields(t);
  add_clocks(t);
  add_zones(t);
  add_construction(t);
}

}  // namespace calf::sqlite
