// Hooks: what guest/hooks.txt says shall happen to functions of the image, resolved against one
// module.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "emit_function.h"
#include "wasm_module.h"

namespace calf::translator {

enum class FunctionAction {
  kName,     // the host can call it as pg_<Name>
  kReplace,  // no body; the host provides pg_<Name>
  kWrap,     // the host provides pg_<Name>, the body is pg_<Name>_original
};
struct FunctionHook {
  std::string name;
  FunctionAction action = FunctionAction::kName;
  uint32_t function = 0;
};
struct NamedNumber {
  std::string name;
  uint32_t value = 0;
};

struct Hooks {
  std::map<uint32_t, FunctionHook> functions;              // by function index
  std::vector<NamedNumber> addresses, offsets, constants;  // in the order of the file
  std::map<uint32_t, BodyPatches> patches;                 // by function index

  const FunctionHook* find_function(uint32_t function) const {
    auto at = functions.find(function);
    return at == functions.end() ? nullptr : &at->second;
  }
};

// Reads a hooks file (syntax: guest/README.md) and finds everything it names in `image`. Throws
// TranslateError naming the entry, the line and the candidates if something is not found exactly
// once or has another signature than expected.
Hooks resolve_hooks(const std::string& path, const Module& image);

}  // namespace calf::translator
