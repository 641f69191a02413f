// Whole files as the build's tools read and write them: packs and snapshots.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace calf::vfs {

// All of the file. kIo. Blocks.
Result<std::string> read_tool_file(const std::filesystem::path& path);

// Writes beside and renames, so that an interrupted build leaves no half of a file. kIo, or what
// errno says. Blocks.
Result<void> write_tool_file(const std::filesystem::path& path, const std::string& bytes);

}  // namespace calf::vfs
