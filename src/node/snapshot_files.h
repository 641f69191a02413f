// Snapshot files of the host (vfs/snapshot_file.h) as clusters' data, in both directions; and tar
// archives of data directories, in one.
#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "cli/engine_factory.h"
#include "vfs/file_system.h"
#include "vfs/snapshot_file.h"

namespace calf::node {

// A data directory's files in memory. kNotFound, kDataCorrupted, kInvalidArgument when it is no
// snapshot or one of another version of PostgreSQL. Blocks.
Result<std::shared_ptr<vfs::FileSystem>> load_snapshot(const std::filesystem::path& file,
                                                       const cli::WorkObserver& observer);

// The data directory `path`, whole or not at all; it must be missing or empty (kAlreadyExists).
// Errors as above, and of the disk. Blocks.
Result<void> create_from_snapshot(const std::filesystem::path& file,
                                  const std::filesystem::path& path,
                                  const cli::WorkObserver& observer);

// The same for a tar archive of a data directory (vfs/tar_read.h). The source is read by the
// calling thread; kUnsupported for what cannot be loaded.
Result<std::shared_ptr<vfs::FileSystem>> load_archive(const cli::ArchiveSource& source);
Result<void> create_from_archive(const cli::ArchiveSource& source,
                                 const std::filesystem::path& path);

// Writes the data directory `tree`, which belongs to the calling thread and does not change, into
// `file`: beside, synced, then renamed over what was there. Blocks.
Result<vfs::SnapshotFileInfo> save_tree(vfs::FileSystem& tree, const std::filesystem::path& file,
                                        const cli::WorkObserver& observer);

}  // namespace calf::node
