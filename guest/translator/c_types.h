// How WASM's types are written in the generated C.
#pragma once

#include <string>

#include "wasm_module.h"

namespace calf::translator {

const char* c_type(ValueType type);
// "u32 symbol(u32,u64)" without the semicolon; `with_names` names the parameters l0, l1, …
std::string c_prototype(const FunctionType& type, const std::string& symbol, bool with_names);
// "u32(*)(u32,u64)"
std::string c_function_pointer(const FunctionType& type);
// Equal for equal signatures in all modules, never 0. A C literal.
std::string type_hash(const FunctionType& type);

}  // namespace calf::translator
