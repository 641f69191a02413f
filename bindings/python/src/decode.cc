#include "decode.h"

#include <charconv>

#include "times.h"
#include "types.h"

namespace calf::python {
namespace {

using Kind = Decoder::Kind;
constexpr int kMaxArrayDepth = 6;  // PostgreSQL's MAXDIM

Kind kind_of(std::uint32_t type) {
  switch (type) {
    case oid::kBool:
      return Kind::kBool;
    case oid::kBytea:
      return Kind::kBytea;
    case oid::kInt2:
    case oid::kInt4:
    case oid::kInt8:
    case oid::kOid:
      return Kind::kInt;
    case oid::kFloat4:
    case oid::kFloat8:
      return Kind::kFloat;
    case oid::kNumeric:
      return Kind::kNumeric;
    case oid::kDate:
      return Kind::kDate;
    case oid::kTime:
      return Kind::kTime;
    case oid::kTimetz:
      return Kind::kTimetz;
    case oid::kTimestamp:
      return Kind::kTimestamp;
    case oid::kTimestamptz:
      return Kind::kTimestamptz;
    case oid::kInterval:
      return Kind::kInterval;
    default:
      return Kind::kText;
  }
}

PyObject* unreadable(std::string_view value, const char* what) {
  const Ref text(to_python(value));
  if (text) PyErr_Format(shared().data_error, "cannot read the %s %R", what, text.get());
  return nullptr;
}

PyObject* decode_int(std::string_view value) {
  long long number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size())
    return unreadable(value, "integer");
  return PyLong_FromLongLong(number);
}

PyObject* decode_float(std::string_view value) {
  double number = 0;  // from_chars knows "NaN", "Infinity" and "-Infinity"
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (end != value.data() + value.size() || error == std::errc::invalid_argument)
    return unreadable(value, "number");
  return PyFloat_FromDouble(number);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// bytea_output = escape: backslashes doubled, other bytes as \ooo.
PyObject* decode_escaped_bytes(std::string_view value) {
  std::string bytes;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '\\') {
      bytes.push_back(value[i]);
    } else if (i + 1 < value.size() && value[i + 1] == '\\') {
      bytes.push_back('\\');
      ++i;
    } else if (i + 3 < value.size()) {
      bytes.push_back(static_cast<char>((value[i + 1] - '0') * 64 + (value[i + 2] - '0') * 8 +
                                        (value[i + 3] - '0')));
      i += 3;
    } else {
      return unreadable(value, "bytea");
    }
  }
  return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
}

PyObject* decode_bytes(std::string_view value) {
  if (value.substr(0, 2) != "\\x") return decode_escaped_bytes(value);
  value.remove_prefix(2);
  Ref result(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(value.size() / 2)));
  if (!result) return nullptr;
  char* out = PyBytes_AsString(result.get());
  for (std::size_t i = 0; i + 1 < value.size(); i += 2) {
    const int high = hex_digit(value[i]), low = hex_digit(value[i + 1]);
    if (high < 0 || low < 0) return unreadable(value, "bytea");
    *out++ = static_cast<char>(high * 16 + low);
  }
  return result.release();
}

PyObject* decode_text(std::string_view value) {
  return PyUnicode_DecodeUTF8(value.data(), static_cast<Py_ssize_t>(value.size()), nullptr);
}

PyObject* call_with_text(PyObject* callable, std::string_view value) {
  const Ref text(decode_text(value));
  return text ? PyObject_CallFunctionObjArgs(callable, text.get(), nullptr) : nullptr;
}

PyObject* decode_value(Kind kind, PyObject* loader, std::string_view value) {
  switch (kind) {
    case Kind::kText:
      return decode_text(value);
    case Kind::kBool:
      return PyBool_FromLong(value == "t");
    case Kind::kInt:
      return decode_int(value);
    case Kind::kFloat:
      return decode_float(value);
    case Kind::kNumeric:
      return call_with_text(shared().decimal, value);
    case Kind::kBytea:
      return decode_bytes(value);
    case Kind::kDate:
      return decode_date(value);
    case Kind::kTime:
      return decode_time(value, ZoneRule::kWithout);
    case Kind::kTimetz:
      return decode_time(value, ZoneRule::kWith);
    case Kind::kTimestamp:
      return decode_timestamp(value, ZoneRule::kWithout);
    case Kind::kTimestamptz:
      return decode_timestamp(value, ZoneRule::kWith);
    case Kind::kInterval:
      return decode_interval(value);
    case Kind::kLoader:
      return call_with_text(loader, value);
    case Kind::kArray:
      break;
  }
  return decode_text(value);
}

// Reads array_out's form: {1,2}, {{a,b},{NULL,"c,d"}}, [0:1]={…}.
class ArrayReader {
 public:
  ArrayReader(std::string_view text, const Decoder& decoder)
      : text_(text), rest_(text), decoder_(decoder) {}

  PyObject* read() {
    if (rest_.starts_with('[')) {
      const auto equals = rest_.find('=');
      rest_.remove_prefix(equals == std::string_view::npos ? rest_.size() : equals + 1);
    }
    Ref list(read_list(1));
    if (list && !rest_.empty()) return unreadable(text_, "array");
    return list.release();
  }

 private:
  PyObject* read_list(int depth) {
    if (depth > kMaxArrayDepth || !take('{')) return unreadable(text_, "array");
    Ref list(PyList_New(0));
    if (!list) return nullptr;
    if (take('}')) return list.release();
    do {
      const Ref element(rest_.starts_with('{') ? read_list(depth + 1) : read_element());
      if (!element || PyList_Append(list.get(), element.get()) != 0) return nullptr;
    } while (take(','));
    if (!take('}')) return unreadable(text_, "array");
    return list.release();
  }

  PyObject* read_element() {
    if (take('"')) return read_quoted();
    const auto end = rest_.find_first_of(",}");
    if (end == std::string_view::npos) return unreadable(text_, "array");
    const auto value = rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (value == "NULL") Py_RETURN_NONE;
    return decode_value(decoder_.element, decoder_.loader, value);
  }

  PyObject* read_quoted() {
    std::string value;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return decode_value(decoder_.element, decoder_.loader, value);
      if (c == '\\' && !rest_.empty()) {
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      value.push_back(c);
    }
    return unreadable(text_, "array");
  }

  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::string_view text_, rest_;
  const Decoder& decoder_;
};

}  // namespace

Decoder decoder_for(std::uint32_t type) {
  Decoder decoder;
  decoder.type = type;
  const auto& known = shared();
  if (const auto loader = known.loaders.find(type); loader != known.loaders.end()) {
    decoder.kind = Kind::kLoader;
    decoder.loader = loader->second;
    return decoder;
  }
  decoder.kind = kind_of(type);
  if (decoder.kind != Kind::kText) return decoder;
  const auto array = known.array_elements.find(type);
  if (array == known.array_elements.end()) return decoder;
  const auto element = decoder_for(array->second);
  decoder.kind = Kind::kArray;
  decoder.element = element.kind;
  decoder.loader = element.loader;
  return decoder;
}

PyObject* decode_row(std::string_view body, const std::vector<Decoder>& decoders) {
  MessageReader reader(body);
  if (reader.int16() != decoders.size())
    return unreadable({}, "row: it has another number of columns");
  Ref row(PyTuple_New(static_cast<Py_ssize_t>(decoders.size())));
  if (!row) return nullptr;
  for (std::size_t i = 0; i < decoders.size(); ++i) {
    const auto size = static_cast<std::int32_t>(reader.int32());
    PyObject* value;
    if (size < 0) {
      value = Py_NewRef(Py_None);
    } else {
      const auto bytes = reader.take(static_cast<std::size_t>(size));
      if (!reader.ok()) return unreadable({}, "row: it ends too soon");
      const auto& decoder = decoders[i];
      value = decoder.kind == Kind::kArray ? ArrayReader(bytes, decoder).read()
                                           : decode_value(decoder.kind, decoder.loader, bytes);
    }
    if (value == nullptr || PyTuple_SetItem(row.get(), static_cast<Py_ssize_t>(i), value) != 0)
      return nullptr;
  }
  return row.release();
}

}  // namespace calf::python
