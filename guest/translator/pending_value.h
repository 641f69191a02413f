// An operand of the stack machine that is not computed yet: a C expression and what it depends on.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "wasm_module.h"

namespace calf::translator {

struct Value {
  std::string text;
  ValueType type = ValueType::kI32;
  bool is_condition = false;  // a C int that is 0 or 1
  bool is_name = false;       // a temporary: copying it again is pointless
  bool reads_memory = false, reads_global = false;
  bool literal = false;  // straight from i32.const
  std::vector<uint32_t> locals;
  std::optional<uint64_t> constant;
};

// A new value from operands, depending on all that they depend on.
inline Value combine(std::string expression, ValueType type,
                     std::initializer_list<const Value*> operands) {
  Value value;
  value.text = std::move(expression);
  value.type = type;
  for (const Value* operand : operands) {
    value.reads_memory |= operand->reads_memory;
    value.reads_global |= operand->reads_global;
    value.locals.insert(value.locals.end(), operand->locals.begin(), operand->locals.end());
  }
  return value;
}

// An operand as C text of exactly the value's type.
inline std::string text(const Value& value) {
  return value.is_condition ? "(u32)" + value.text : value.text;
}
inline std::string condition(const Value& value) {
  return value.text;
}

// "base,offset" for the access macros.
inline std::string address(const Value& base, uint64_t offset) {
  if (base.constant) return "0," + std::to_string((*base.constant & 0xffffffffu) + offset) + "u";
  return text(base) + ',' + std::to_string(offset) + "u";
}

}  // namespace calf::translator
