// Side modules (extensions): dlopen and dlsym in a process, and where the modules are.
#pragma once

#include <string_view>

#include "wasm/guest.h"

namespace calf::wasm {

// The translated module with this guest path, or null.
const calf_module* find_module(std::string_view path);

// Puts a module's initial data into linear memory. For the image itself and for side modules.
void write_segments(uint8_t* memory, const calf_module& module);

}  // namespace calf::wasm
