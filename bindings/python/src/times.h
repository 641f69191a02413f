// PostgreSQL's dates, times and intervals, as DateStyle ISO and IntervalStyle postgres show them →
// datetime's objects. What Python's types cannot hold (infinity, BC, years past 9999, 24:00) is a
// DataError that says so.
#pragma once

#include "python.h"

namespace calf::python {

enum class ZoneRule { kWithout, kWith };

// All: null means that a Python error is set.
PyObject* decode_date(std::string_view value);
PyObject* decode_time(std::string_view value, ZoneRule zone);
PyObject* decode_timestamp(std::string_view value, ZoneRule zone);
// Months count as 30 days and years as 365, as timedelta has neither.
PyObject* decode_interval(std::string_view value);

}  // namespace calf::python
