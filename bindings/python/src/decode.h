// Rows as PostgreSQL shows them → Python values. Common types are done here, all others by the
// callables that the package has registered for their types; types without one stay text.
#pragma once

#include "python.h"
#include "session.h"

namespace calf::python {

// How values of one column are made. Plain memory; `loader` is borrowed from Shared.
struct Decoder {
  enum class Kind : std::uint8_t {
    kText,
    kBool,
    kInt,
    kFloat,
    kNumeric,
    kBytea,
    kDate,
    kTime,
    kTimetz,
    kTimestamp,
    kTimestamptz,
    kInterval,
    kLoader,
    kArray
  };
  Kind kind = Kind::kText;
  Kind element = Kind::kText;  // of kArray
  std::uint32_t type = 0;
  PyObject* loader = nullptr;  // of kLoader, or of an array's elements
};

Decoder decoder_for(std::uint32_t type);

// A DataRow's body as a tuple of as many values as there are decoders. Null: a Python error is set.
PyObject* decode_row(std::string_view body, const std::vector<Decoder>& decoders);

}  // namespace calf::python
