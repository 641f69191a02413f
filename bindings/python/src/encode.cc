#include "encode.h"

#include <bit>

#include "types.h"

namespace calf::python {
namespace {

constexpr std::uint16_t kText = 0, kBinary = 1;
constexpr std::size_t kMaxParameters = 65535;

template <typename Unsigned>
std::string_view big_endian(Unsigned value, char* bytes) {
  for (std::size_t i = 0; i < sizeof value; ++i)
    bytes[i] = static_cast<char>(value >> (8 * (sizeof value - 1 - i)));
  return {bytes, sizeof value};
}

bool encode_int(PyObject* value, Parameters& parameters) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (number == -1 && PyErr_Occurred()) return false;
  char bytes[8];
  if (overflow == 0 && number == static_cast<std::int32_t>(number)) {
    parameters.add(oid::kInt4, kBinary, big_endian(static_cast<std::uint32_t>(number), bytes));
    return true;
  }
  if (overflow == 0) {
    parameters.add(oid::kInt8, kBinary, big_endian(static_cast<std::uint64_t>(number), bytes));
    return true;
  }
  const Ref digits(PyObject_Str(value));
  std::string_view text;
  if (!digits || !text_of(digits.get(), text)) return false;
  parameters.add(oid::kNumeric, kText, text);
  return true;
}

// All values of a statement go into one message.
bool has_room(const Parameters& parameters, std::size_t size) {
  if (parameters.bytes.size() + size <= MessageWriter::kMaxMessageBytes) return true;
  PyErr_SetString(shared().data_error, "the parameters of a statement may have 1 GiB at most");
  return false;
}

bool add_bytes(unsigned type, PyObject* value, Parameters& parameters) {
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(value, &data, &size) != 0) return false;
  if (!has_room(parameters, static_cast<std::size_t>(size))) return false;
  parameters.add(type, kBinary, {data, static_cast<std::size_t>(size)});
  return true;
}

bool add_text(unsigned type, PyObject* value, Parameters& parameters) {
  std::string_view text;
  if (!text_of(value, text)) return false;
  if (text.find('\0') != std::string_view::npos) {
    PyErr_SetString(shared().data_error, "PostgreSQL text fields cannot contain NUL (0x00) bytes");
    return false;
  }
  if (!has_room(parameters, text.size())) return false;
  parameters.add(type, kText, text);
  return true;
}

// The package's `dump` says (oid, text | bytes | None).
bool encode_other(PyObject* value, Parameters& parameters) {
  const Ref dumped(PyObject_CallFunctionObjArgs(shared().dump, value, nullptr));
  if (!dumped) return false;
  if (!PyTuple_Check(dumped.get()) || PyTuple_Size(dumped.get()) != 2) {
    PyErr_SetString(PyExc_TypeError, "an adapter must return (oid, str, bytes or None)");
    return false;
  }
  const auto type = PyLong_AsUnsignedLong(PyTuple_GetItem(dumped.get(), 0));
  if (type == static_cast<unsigned long>(-1) && PyErr_Occurred()) return false;
  PyObject* const content = PyTuple_GetItem(dumped.get(), 1);
  if (content == Py_None) {
    parameters.add_null();
    return true;
  }
  if (PyBytes_Check(content)) return add_bytes(static_cast<unsigned>(type), content, parameters);
  return add_text(static_cast<unsigned>(type), content, parameters);
}

bool wrong_count(std::size_t wanted, std::size_t given) {
  PyErr_Format(shared().programming_error,
               "the query has %zu placeholders but %zu parameters were passed", wanted, given);
  return false;
}

bool encode_named(const Query& query, PyObject* values, Parameters& parameters) {
  if (!PyMapping_Check(values) || PyTuple_Check(values) || PyList_Check(values)) {
    PyErr_SetString(PyExc_TypeError, "the query has named placeholders (%(name)s): pass a mapping");
    return false;
  }
  for (const auto& name : query.names) {
    const Ref key(to_python(name));
    const Ref value(key ? PyObject_GetItem(values, key.get()) : nullptr);
    if (!value) {
      if (PyErr_ExceptionMatches(PyExc_KeyError)) {
        PyErr_Clear();
        PyErr_Format(shared().programming_error, "query parameter missing: %s", name.c_str());
      }
      return false;
    }
    if (!encode(value.get(), parameters)) return false;
  }
  return true;
}

}  // namespace

bool encode(PyObject* value, Parameters& parameters) {
  if (value == Py_None) {
    parameters.add_null();
    return true;
  }
  PyTypeObject* const type = Py_TYPE(value);
  if (type == &PyLong_Type) return encode_int(value, parameters);
  if (type == &PyUnicode_Type) return add_text(oid::kUnknown, value, parameters);
  if (type == &PyFloat_Type) {
    char bytes[8];
    const auto bits = std::bit_cast<std::uint64_t>(PyFloat_AsDouble(value));
    parameters.add(oid::kFloat8, kBinary, big_endian(bits, bytes));
    return true;
  }
  if (type == &PyBool_Type) {
    parameters.add(oid::kBool, kBinary, std::string_view(value == Py_True ? "\1" : "\0", 1));
    return true;
  }
  if (type == &PyBytes_Type) return add_bytes(oid::kBytea, value, parameters);
  return encode_other(value, parameters);
}

bool encode_all(const Query& query, PyObject* values, Parameters& parameters) {
  parameters.clear();
  if (query.count > kMaxParameters) {
    PyErr_SetString(shared().programming_error, "a statement may have 65535 parameters at most");
    return false;
  }
  if (query.style == Query::Style::kNamed) return encode_named(query, values, parameters);
  if (PyTuple_CheckExact(values)) {
    const auto given = static_cast<std::size_t>(PyTuple_Size(values));
    if (given != query.count) return wrong_count(query.count, given);
    for (std::size_t i = 0; i < given; ++i)
      if (!encode(PyTuple_GetItem(values, static_cast<Py_ssize_t>(i)), parameters)) return false;
    return true;
  }
  if (PyDict_Check(values) && query.count == 0) return true;
  if (PyUnicode_Check(values) || PyBytes_Check(values) || PyDict_Check(values) ||
      !PySequence_Check(values)) {
    PyErr_SetString(PyExc_TypeError, "query parameters should be a sequence or a mapping");
    return false;
  }
  const Ref sequence(PySequence_Tuple(values));
  return sequence && encode_all(query, sequence.get(), parameters);
}

}  // namespace calf::python
