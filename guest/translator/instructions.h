// WASM's instructions: names, stack signatures, and a decoder over a function body.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wasm_module.h"

namespace calf::translator {

// Opcodes that the translator treats by name; all others are found in the table of plain operations
// by number. Operations with the prefix 0xFC are 0xFC00 + their number.
enum Opcode : uint16_t {
  kUnreachable = 0x00,
  kNop = 0x01,
  kBlock = 0x02,
  kLoop = 0x03,
  kIf = 0x04,
  kElse = 0x05,
  kEnd = 0x0b,
  kBr = 0x0c,
  kBrIf = 0x0d,
  kBrTable = 0x0e,
  kReturn = 0x0f,
  kCall = 0x10,
  kCallIndirect = 0x11,
  kDrop = 0x1a,
  kSelect = 0x1b,
  kSelectTyped = 0x1c,
  kLocalGet = 0x20,
  kLocalSet = 0x21,
  kLocalTee = 0x22,
  kGlobalGet = 0x23,
  kGlobalSet = 0x24,
  kI32Load = 0x28,
  kI64Load32U = 0x35,
  kI32Store = 0x36,
  kI64Store32 = 0x3e,
  kMemorySize = 0x3f,
  kMemoryGrow = 0x40,
  kI32Const = 0x41,
  kI64Const = 0x42,
  kF32Const = 0x43,
  kF64Const = 0x44,
  kI32Eqz = 0x45,
  kI32Eq = 0x46,
  kI32Ne = 0x47,
  kI32Add = 0x6a,
  kI32Sub = 0x6b,
  kI32Mul = 0x6c,
  kMemoryInit = 0xfc08,
  kDataDrop = 0xfc09,
  kMemoryCopy = 0xfc0a,
  kMemoryFill = 0xfc0b,
};

// A plain operation: pops `params`, pushes `result`, has no immediate but that of a memory access.
struct Operation {
  const char* name = nullptr;
  const char* params = "";  // one letter each: i I f F = i32 i64 f32 f64; leftmost is deepest
  char result = 0;          // 0: none
};
// The operation for an opcode, or nullptr if it is no plain operation (control, calls, variables,
// unknown).
const Operation* find_operation(uint16_t opcode);
std::string opcode_name(uint16_t opcode);
ValueType type_of_letter(char letter);

inline bool is_load(uint16_t opcode) {
  return opcode >= kI32Load && opcode <= kI64Load32U;
}
inline bool is_store(uint16_t opcode) {
  return opcode >= kI32Store && opcode <= kI64Store32;
}

struct Instruction {
  uint16_t opcode = 0;
  uint64_t value = 0;      // constant's bits, index, branch depth, or the offset of a memory access
  int64_t block_type = 0;  // block, loop, if: -64 none, -1 … -4 a value type, else a type index
  std::vector<uint32_t> targets;  // br_table, the default last
};

// Decodes one instruction after the other; throws TranslateError with the opcode's number if it is
// not supported.
class InstructionReader {
 public:
  InstructionReader(const Module& module, const FunctionBody& body);
  bool next(Instruction& instruction);  // false at the end of the body

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  const std::string* name_;
};

}  // namespace calf::translator
