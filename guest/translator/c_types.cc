#include "c_types.h"

#include <cstdio>

namespace calf::translator {

const char* c_type(ValueType type) {
  switch (type) {
    case ValueType::kI32:
      return "u32";
    case ValueType::kI64:
      return "u64";
    case ValueType::kF32:
      return "f32";
    case ValueType::kF64:
      return "f64";
  }
  return "void";
}

namespace {

const char* result_type(const FunctionType& type) {
  return type.results.empty() ? "void" : c_type(type.results[0]);
}

std::string parameter_list(const FunctionType& type, bool with_names) {
  if (type.params.empty()) return "(void)";
  std::string out = "(";
  for (size_t i = 0; i < type.params.size(); ++i) {
    if (i) out += ',';
    out += c_type(type.params[i]);
    if (with_names) out += " l" + std::to_string(i);
  }
  return out + ')';
}

}  // namespace

std::string c_prototype(const FunctionType& type, const std::string& symbol, bool with_names) {
  return std::string(result_type(type)) + ' ' + symbol + parameter_list(type, with_names);
}

std::string c_function_pointer(const FunctionType& type) {
  return std::string(result_type(type)) + "(*)" + parameter_list(type, false);
}

std::string type_hash(const FunctionType& type) {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (char c : signature_text(type)) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  char text[32];
  std::snprintf(text, sizeof text, "0x%llxull", static_cast<unsigned long long>(hash ? hash : 1));
  return text;
}

}  // namespace calf::translator
