// What a function does, as far as anchors and people who look for anchors care: its calls, loads
// and stores in the order of the code, with every operand that is a constant. Values that pass
// through locals count as unknown.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "instructions.h"
#include "wasm_module.h"

namespace calf::translator {

using Constant = std::optional<uint64_t>;

struct CallFact {
  bool indirect = false;
  uint32_t callee = 0;  // function index, or type index if indirect
  std::vector<Constant> arguments;
  Constant table_index;  // indirect only
};
struct AccessFact {
  uint16_t opcode = 0;
  Constant address;  // constant base + offset
  uint32_t offset = 0;
  Constant value;  // what a store writes
};
struct ConstantFact {
  uint32_t value = 0;
  uint16_t consumer = 0;  // opcode of the next instruction that takes it
};

struct FunctionFacts {
  enum class Kind { kCall, kLoad, kStore, kConstant };
  std::vector<std::pair<Kind, uint32_t>> order;  // kind, index in the vector of that kind
  std::vector<CallFact> calls;                   // direct and indirect
  std::vector<AccessFact> loads, stores;
  std::vector<ConstantFact> constants;  // every i32.const

  std::vector<uint32_t> direct_callees() const;  // in order, with repetitions
};

FunctionFacts gather_facts(const Module& module, uint32_t function);

// Linear memory as the active data segments leave it, with side modules placed at 0.
class InitialMemory {
 public:
  explicit InitialMemory(const Module& module);
  std::optional<uint32_t> word(uint32_t address) const;
  // The NUL-terminated text at an address if there is one that a person can read.
  std::optional<std::string> text(uint32_t address) const;
  // All addresses at which exactly this NUL-terminated string begins (it may be the tail of a
  // longer one).
  std::vector<uint32_t> find_string(const std::string& value) const;
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

// The module's table: function index by slot, for slots that an element segment fills (side
// modules: from 0).
std::map<uint32_t, uint32_t> initial_table(const Module& module);

}  // namespace calf::translator
