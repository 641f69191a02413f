// An identity of its own for a cluster that was made from the template, as initdb would have given
// it one. A copy of a cluster that is to stay one (a backup, a branch) keeps its parent's.
#pragma once

#include "base/result.h"
#include "os/clock.h"
#include "os/random.h"
#include "pgfiles/control_file.h"
#include "vfs/file_system.h"

namespace calf::pgfiles {

// Writes a new system identifier and authentication nonce into pg_control, and the identifier into
// the WAL segments, which PostgreSQL compares with it. `data` is the data directory of a cluster
// that nobody runs; on an error it may be half done. Does not sync. kDataCorrupted, kIo.
Result<void> give_new_identity(vfs::FileSystem& data, const os::Clock& clock, os::Random& random);

}  // namespace calf::pgfiles
