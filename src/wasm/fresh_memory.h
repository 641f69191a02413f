// The memory that an image's first process begins with.
#pragma once

#include <memory>

#include "base/result.h"
#include "wasm/linear_memory.h"

namespace calf::wasm {

struct FreshMemory {
  std::unique_ptr<LinearMemory> memory;
  // What it is mapped from, for capture_since(). Null when the data were copied.
  std::shared_ptr<const MemoryImage> image;
};

// With the image's data in it. They are mapped from the program's file: most of their pages are
// never written to. Copied where that file cannot be had. One thread at a time for one memory.
Result<FreshMemory> make_fresh_memory();

}  // namespace calf::wasm
