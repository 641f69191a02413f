// `calf-translate inspect`: shows what a person needs who writes or mends anchors
// (guest/hooks.txt).
#pragma once

#include <string>
#include <vector>

#include "wasm_module.h"

namespace calf::translator {

// Runs one inspection and prints to standard output. Throws TranslateError for an unknown command
// or name.
void inspect(const Module& module, const std::vector<std::string>& arguments);
extern const char kInspectHelp[];

}  // namespace calf::translator
