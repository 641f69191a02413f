// Turns the body of one WASM function into a flat C function: no instance parameter, operands of
// the stack machine as C expressions, blocks as labels. The operations and memory accesses are
// macros and inline functions of prelude.h.
//
// An operand stays an unevaluated expression as long as nothing it depends on can change: it is put
// into a temporary before a local it mentions is assigned, before a store or call if it reads
// memory, and at the start of every block. A load whose value nobody uses, or that the other branch
// of a `select` would have done, may be left out by the C compiler together with the trap it could
// cause; everything else traps as WASM says.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "c_types.h"
#include "wasm_module.h"

namespace calf::translator {

// What a function index of a module means in C.
struct CallTarget {
  std::string symbol;  // empty: nothing supplies it, a call traps
  const FunctionType* type = nullptr;
};

// How one module's indices are expressed in C; filled by the linker (link.h).
struct ModuleNames {
  const Module* module = nullptr;
  std::vector<CallTarget> functions;  // by function index
  std::vector<std::optional<uint64_t>>
      global_value;              // by global index: its constant bits, if it is one
  std::vector<int> global_slot;  // by global index: slot in calf_process_state.globals, or -1
  const std::vector<CallTarget>* table = nullptr;  // by slot; an entry without a type is empty
};

// A call that goes elsewhere: direct calls of `callee` whose first argument is the constant
// `argument` call `symbol`, which has the same signature, instead.
struct CallReplacement {
  uint32_t callee = 0;
  uint32_t argument = 0;
  std::string symbol;
};
// Changes to a body that a hook asks for.
struct BodyPatches {
  std::vector<CallReplacement> calls;
  std::set<uint32_t> pid_constants;  // i32.const of these values compared by i32.eq/i32.ne become
                                     // the process's pid
  std::optional<uint32_t> resumable_call;  // the one direct call of this function can be resumed
                                           // at: see emit_resumable_call()
};

struct EmittedFunction {
  std::string code;
  std::map<std::string, const FunctionType*> callees;  // C symbols that it calls
  uint32_t patched_constants = 0, replaced_calls = 0;  // places that BodyPatches has changed
  uint32_t resumable_calls = 0;                        // likewise
};

EmittedFunction emit_function(const ModuleNames& names, uint32_t function,
                              const std::string& symbol, const BodyPatches& patches);

}  // namespace calf::translator
