// The start of a writer: from the lease to a database file that goes on where the archive ends.
#pragma once

#include "archive/archiver.h"
#include "archive/lease.h"
#include "archive/local_state.h"

namespace calf::archive {

struct Takeover {
  LocalState state;
  Lease lease;
  Head head;              // its `next` is this writer's first position
  bool restored = false;  // the file was made from the archive just now
};

// See Archiver::open. The database file is right when it returns, and not open.
Result<Takeover> take_over(blob::ObjectStore& store, const ArchiverOptions& options,
                           const blob::Limits& limits);

}  // namespace calf::archive
