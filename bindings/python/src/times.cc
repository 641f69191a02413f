#include "times.h"

#include <charconv>

namespace calf::python {
namespace {

// Reads numbers and signs from the front; ok() is false after the first surprise.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) { ok_ = take(c) && ok_; }
  long number() {
    long value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) {
      ok_ = false;
      return 0;
    }
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }
  // ".5" → 500000.
  int microseconds() {
    if (!take('.')) return 0;
    int value = 0, digits = 0;
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
      if (digits++ < 6) value = value * 10 + (rest_[0] - '0');
      rest_.remove_prefix(1);
    }
    for (; digits < 6; ++digits) value *= 10;
    return value;
  }
  std::string_view word() {
    const auto end = rest_.find(' ');
    const auto value = rest_.substr(0, end);
    rest_.remove_prefix(value.size());
    return value;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

PyObject* cannot(const char* what, std::string_view value) {
  const Ref text(to_python(value));
  if (!text) return nullptr;
  const char* why = "is not written as expected; DateStyle must be ISO and IntervalStyle postgres";
  if (value.ends_with("infinity"))
    why = "has no counterpart in Python; read it as text with ::text";
  else if (value.ends_with("BC"))
    why = "is before the year 1, which Python does not have; read it as text with ::text";
  PyErr_Format(shared().data_error, "the %s %R %s", what, text.get(), why);
  return nullptr;
}

// Python's own ValueError for what its types cannot hold becomes a DataError.
PyObject* or_data_error(PyObject* made, const char* what, std::string_view value) {
  if (made != nullptr || !PyErr_ExceptionMatches(PyExc_Exception)) return made;
  PyErr_Clear();
  const Ref text(to_python(value));
  if (text)
    PyErr_Format(shared().data_error,
                 "the %s %R is out of Python's range; read it as text with ::text", what,
                 text.get());
  return nullptr;
}

// tzinfo of "+02", "-03:30" or "+05:53:28". Borrowed.
PyObject* read_zone(Scanner& scanner) {
  const bool west = scanner.take('-');
  if (!west) scanner.expect('+');
  long seconds = scanner.number() * 3600;
  if (scanner.take(':')) seconds += scanner.number() * 60;
  if (scanner.take(':')) seconds += scanner.number();
  if (!scanner.ok()) return nullptr;
  if (seconds == 0) return shared().utc;
  if (west) seconds = -seconds;
  auto& zones = shared().zones;
  if (const auto found = zones.find(seconds); found != zones.end()) return found->second;
  const Ref delta(PyObject_CallFunction(shared().timedelta, "il", 0, seconds));
  PyObject* zone =
      delta ? PyObject_CallFunctionObjArgs(shared().timezone, delta.get(), nullptr) : nullptr;
  if (zone != nullptr) zones.emplace(seconds, zone);
  return zone;
}

struct ClockTime {
  int hour, minute, second, microsecond;
};
ClockTime read_clock(Scanner& scanner) {
  ClockTime clock{};
  clock.hour = static_cast<int>(scanner.number());
  scanner.expect(':');
  clock.minute = static_cast<int>(scanner.number());
  scanner.expect(':');
  clock.second = static_cast<int>(scanner.number());
  clock.microsecond = scanner.microseconds();
  return clock;
}

struct CalendarDate {
  int year, month, day;
};
CalendarDate read_date(Scanner& scanner) {
  CalendarDate date{};
  date.year = static_cast<int>(scanner.number());
  scanner.expect('-');
  date.month = static_cast<int>(scanner.number());
  scanner.expect('-');
  date.day = static_cast<int>(scanner.number());
  return date;
}

// "04:05:06.7", "-04:05:06": seconds and microseconds, both with the sign.
bool read_interval_clock(Scanner& scanner, long& seconds, long& microseconds) {
  const bool negative = scanner.take('-');
  if (!negative) scanner.take('+');
  long value = scanner.number() * 3600;
  scanner.expect(':');
  value += scanner.number() * 60;
  scanner.expect(':');
  value += scanner.number();
  const long fraction = scanner.microseconds();
  seconds = negative ? -value : value;
  microseconds = negative ? -fraction : fraction;
  return scanner.ok();
}

// Days of "3 mons"; false for an unknown unit.
bool days_of(std::string_view unit, long count, long& days) {
  if (unit.starts_with("year"))
    days += count * 365;
  else if (unit.starts_with("mon"))
    days += count * 30;
  else if (unit.starts_with("day"))
    days += count;
  else
    return false;
  return true;
}

}  // namespace

PyObject* decode_date(std::string_view value) {
  Scanner scanner(value);
  const auto date = read_date(scanner);
  if (!scanner.ok() || !scanner.at_end()) return cannot("date", value);
  return or_data_error(PyObject_CallFunction(shared().date, "iii", date.year, date.month, date.day),
                       "date", value);
}

PyObject* decode_time(std::string_view value, ZoneRule rule) {
  Scanner scanner(value);
  const auto clock = read_clock(scanner);
  PyObject* const zone = rule == ZoneRule::kWith && scanner.ok() ? read_zone(scanner) : Py_None;
  if (zone == nullptr && PyErr_Occurred()) return nullptr;
  if (zone == nullptr || !scanner.ok() || !scanner.at_end()) return cannot("time", value);
  return or_data_error(PyObject_CallFunction(shared().time, "iiiiO", clock.hour, clock.minute,
                                             clock.second, clock.microsecond, zone),
                       "time", value);
}

PyObject* decode_timestamp(std::string_view value, ZoneRule rule) {
  Scanner scanner(value);
  const auto date = read_date(scanner);
  scanner.expect(' ');
  const auto clock = read_clock(scanner);
  PyObject* const zone = rule == ZoneRule::kWith && scanner.ok() ? read_zone(scanner) : Py_None;
  if (zone == nullptr && PyErr_Occurred()) return nullptr;
  if (zone == nullptr || !scanner.ok() || !scanner.at_end()) return cannot("timestamp", value);
  return or_data_error(
      PyObject_CallFunction(shared().datetime, "iiiiiiiO", date.year, date.month, date.day,
                            clock.hour, clock.minute, clock.second, clock.microsecond, zone),
      "timestamp", value);
}

PyObject* decode_interval(std::string_view value) {
  Scanner scanner(value);
  long days = 0, seconds = 0, microseconds = 0;
  do {
    // A number with a unit, or the clock at the end.
    if (scanner.rest().substr(0, scanner.rest().find(' ')).find(':') != std::string_view::npos) {
      if (!read_interval_clock(scanner, seconds, microseconds)) return cannot("interval", value);
      continue;
    }
    scanner.take('+');
    const long count = scanner.number();
    scanner.expect(' ');
    if (!scanner.ok() || !days_of(scanner.word(), count, days)) return cannot("interval", value);
  } while (scanner.take(' '));
  if (!scanner.at_end()) return cannot("interval", value);
  return or_data_error(
      PyObject_CallFunction(shared().timedelta, "lll", days, seconds, microseconds), "interval",
      value);
}

}  // namespace calf::python
