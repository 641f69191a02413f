// Whole-file operations on a guest's tree. Paths are absolute guest paths; errors name them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "vfs/namespace.h"

namespace calf::initdb {

Result<std::string> read_file(vfs::Namespace& tree, const std::string& path);
// Makes the file; kAlreadyExists when there is one.
Result<void> write_file(vfs::Namespace& tree, const std::string& path, std::string_view text);
Result<void> make_directory(vfs::Namespace& tree, const std::string& path);
// kAlreadyExists when there is anything in the directory.
Result<void> expect_empty(vfs::Namespace& tree, const std::string& directory);
// Everything inside `directory`, not itself.
Result<void> remove_contents(vfs::Namespace& tree, const std::string& directory);
// Makes everything below and `directory` itself durable.
Result<void> sync_tree(vfs::Namespace& tree, const std::string& directory);

}  // namespace calf::initdb
