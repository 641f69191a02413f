// Boots a fresh cluster in memory and records it as a snapshot. For the build; a program only goes
// on from one.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "vfs/memory_file_system.h"

namespace calf::postgres {

// `installation`: PostgreSQL's own files; `data`: an initialised data directory, which is left as
// the recorded cluster has it. Gives the snapshot's bytes. kInternal when the postmaster does not
// come to serve. Blocks for some 100 ms; any thread that runs no other guest.
Result<std::string> make_snapshot(std::shared_ptr<vfs::FileSystem> installation,
                                  std::shared_ptr<vfs::MemoryFileSystem> data);

}  // namespace calf::postgres
