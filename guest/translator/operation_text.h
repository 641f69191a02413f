// The C expression of each plain WASM operation. The names are those of prelude.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wasm_module.h"

namespace calf::translator {

struct OperationText {
  std::string text;
  bool is_condition = false;  // a C int, 0 or 1
  bool may_trap = false;      // must be evaluated where it stands
};

// `left` is the only operand of unary operations. `right_constant` is the right operand's bits if
// it is a constant.
OperationText operation_text(uint16_t opcode, const std::string& left, const std::string& right,
                             std::optional<uint64_t> right_constant);
const char* load_macro(uint16_t opcode);
const char* store_macro(uint16_t opcode);
// A literal with exactly these bits.
std::string constant_text(ValueType type, uint64_t bits);

}  // namespace calf::translator
