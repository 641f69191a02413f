// Boots a cluster in memory and records it as a snapshot, from which others go on.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "postgres/snapshot.h"
#include "vfs/memory_file_system.h"

namespace calf::postgres {

// For the build. `installation`: PostgreSQL's own files; `data`: an initialised data directory,
// which is left as the recorded cluster has it. Gives the bytes of a snapshot that knows which
// settings it allows and has the files inside. kInternal when the postmaster does not come to
// serve. Blocks for some 100 ms; any thread that runs no other guest.
Result<std::string> make_snapshot(std::shared_ptr<vfs::FileSystem> installation,
                                  std::shared_ptr<vfs::MemoryFileSystem> data);

// For a program that starts one cluster over and over.
struct RecordOptions {
  std::shared_ptr<vfs::FileSystem> installation;
  // Of a cluster that was shut down properly; left as the recorded cluster has it.
  std::shared_ptr<vfs::FileSystem> data;
  std::vector<std::pair<std::string, std::string>> settings;
  std::string database;  // what sessions will want
};
// The snapshot has no files inside and allows no settings but the ones it was booted with. Errors
// and time as above.
Result<std::shared_ptr<const Snapshot>> record_snapshot(RecordOptions options);

}  // namespace calf::postgres
