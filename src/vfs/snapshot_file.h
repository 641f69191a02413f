// A tree of files as one portable, compressed, checksummed file (docs/formats/snapshot-file.md):
// what `calf snapshot save` writes and `--from` reads. Streamed in both directions, with memory for
// a block or two.
//
// Not here: the file itself (sinks and sources are the caller's), and what the tree means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "vfs/file_system.h"
#include "vfs/tree_copy.h"

namespace calf::vfs {

using SnapshotSink = std::function<Result<void>(std::span<const std::byte> bytes)>;
// Fills the buffer as far as there is something: fewer bytes only at the end.
using SnapshotSource = std::function<Result<size_t>(std::span<std::byte> buffer)>;

struct SnapshotFileInfo {
  int64_t created_at_ns = 0;
  uint64_t entries = 0;     // directories, files and symlinks
  uint64_t tree_bytes = 0;  // of regular files
  uint64_t file_bytes = 0;  // of the snapshot
};

struct SnapshotWriteOptions {
  int64_t created_at_ns = 0;
  std::vector<std::string> leave_out;  // names at the top of the tree
  CopyObserver observer;               // may be empty
};

// Writes the tree, which belongs to the calling thread. The same tree gives the same bytes but for
// `created_at_ns`. kUnsupported for a symlink that leads out of the tree; the sink's and the
// observer's errors; kIo. Blocks.
Result<SnapshotFileInfo> write_snapshot_file(FileSystem& tree, const SnapshotSink& sink,
                                             const SnapshotWriteOptions& options);

// Puts the tree of a snapshot into the root of `target`, which must be empty. The whole source is
// read to its end. kDataCorrupted when anything in it is not as it was written, kUnsupported for a
// later version's format; then `target` has part of it, which the caller throws away. The source's
// errors and kIo, kResourceExhausted of the target. Blocks.
Result<SnapshotFileInfo> read_snapshot_file(const SnapshotSource& source, FileSystem& target,
                                            const CopyObserver& observer);

}  // namespace calf::vfs
