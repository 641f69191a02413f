// Copies of whole trees from one file system into another, and out of Calf as a directory of the
// host.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "vfs/file_system.h"

namespace calf::vfs {

// How far long work has come. `total_bytes` is known from the beginning.
struct CopyProgress {
  uint64_t done_bytes = 0;
  uint64_t total_bytes = 0;
};
// Called now and then; an error ends the work with it.
using CopyObserver = std::function<Result<void>(const CopyProgress&)>;

struct CopyOptions {
  std::vector<std::string> leave_out;  // names at the top of the tree
  CopyObserver observer;               // may be empty
};

// Writes all of `bytes` but long runs of zeros: into a new file they are holes, whose size the
// caller sets in the end.
Expected<void> write_sparsely(File& target, std::span<const std::byte> bytes, uint64_t offset);

// The contents of regular files in a tree.
Result<uint64_t> tree_bytes(FileSystem& tree, const std::vector<std::string>& leave_out);

// Copies everything in `from` into the root of `to`, with modes and modification times; long runs
// of zeros become holes. Both belong to the calling thread. Errors name the path. Blocks.
Result<void> copy_tree(FileSystem& from, FileSystem& to, const CopyOptions& options);

// The tree as the plain directory `path` of the host: see create_directory_whole().
Result<void> write_directory(FileSystem& tree, const std::string& path, const CopyOptions& options);

}  // namespace calf::vfs
