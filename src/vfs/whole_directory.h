// Directories of the host that are there whole or not at all. Not for what is in them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "os/files.h"
#include "vfs/file_system.h"

namespace calf::vfs {

// A directory that is still being made, empty at first.
struct FreshDirectory {
  FileSystem& tree;
  std::string path;  // where the host has it for now
};

// Makes the directory `path` of the host: `fill` writes into a fresh one beside it, which is then
// synced and renamed. Whoever looks, also after a power cut at any moment, finds a whole directory
// or none. Its parents are created; what programs that were killed in the middle have left is
// removed. kAlreadyExists when it exists and is not an empty directory, or somebody else was
// faster; then, and when `fill` fails, nothing is left. Any thread. Blocks.
Result<void> create_directory_whole(
    const std::shared_ptr<os::Files>& files, const std::string& path,
    const std::function<Result<void>(const FreshDirectory& fresh)>& fill);

}  // namespace calf::vfs
