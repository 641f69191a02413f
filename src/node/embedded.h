// The files that the program carries inside: PostgreSQL's installation and the template of a fresh
// cluster, and such a cluster already booted.
#pragma once

#include <memory>

#include "base/result.h"
#include "postgres/snapshot.h"
#include "vfs/pack.h"

namespace calf::node {

// PostgreSQL's own read-only files (share, lib, bin). Opened once; any thread.
Result<std::shared_ptr<const vfs::Pack>> installation_pack();

// A data directory right after initdb. Opened once; any thread.
Result<std::shared_ptr<const vfs::Pack>> template_pack();

// A fresh cluster whose postmaster serves, and its files. Opened once; any thread.
Result<std::shared_ptr<const postgres::Snapshot>> fresh_cluster();
Result<std::shared_ptr<const vfs::Pack>> fresh_cluster_pack();

}  // namespace calf::node
