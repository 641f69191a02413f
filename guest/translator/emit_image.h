// Writes the C files of a linked image: shards of functions, the table, the invoke functions, the
// data and the structures of calf_abi.h, and the headers for the host. The same input gives the
// same bytes.
#pragma once

#include <set>
#include <string>

#include "link.h"

namespace calf::translator {

struct EmitOptions {
  std::string sources;   // directory for .c and .bin files; old ones in it are removed
  std::string headers;   // directory for headers; a header is only touched when it changes
  uint32_t shards = 48;  // of the image
  // Symbols of the image's functions that become one file, however large, so that the compiler can
  // put them into each other.
  std::set<std::string> hot;
};

void emit_image(Linker& linker, const Hooks& hooks, const EmitOptions& options);

}  // namespace calf::translator
