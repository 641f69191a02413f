// A tar archive, as it comes from a stream, into a tree: data directories that others have archived
// (pg_basebackup -Ft, tar, PGlite). Formats: ustar, pax ("path" and "size") and GNU's long names;
// not compressed.
//
// Not here: writing archives, and what the tree means.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "vfs/file_system.h"

namespace calf::vfs {

// Fills the buffer as far as there is something: fewer bytes only at the end.
using TarSource = std::function<Result<size_t>(std::span<std::byte> buffer)>;

// Puts the archive's files and directories into the root of `target`, with the owner's permissions
// alone and long runs of zeros as holes; directories that the archive does not name are made.
// Entries below a name of `leave_out` are left out. Reads to the archive's end and no further than
// the block behind it; needs memory for one buffer. kDataCorrupted when it is no archive or breaks
// the format (a path that leads out of it, an end too soon), kUnsupported for links, devices and
// what else has no place in a data directory; then `target` has part of it, which the caller throws
// away. The source's errors, and those of the target. Blocks.
Result<void> read_tar(const TarSource& source, FileSystem& target,
                      const std::vector<std::string>& leave_out);

}  // namespace calf::vfs
