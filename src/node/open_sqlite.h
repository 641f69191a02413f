// The composition root for the SQLite engine: node/sqlite in the program, capi/without_sqlite.cc in
// the library.
#pragma once

#include "base/result.h"
#include "cli/engine_factory.h"

namespace calf::node {

// cli::open_cluster for EngineKind::kSqlite.
Result<cli::OpenedCluster> open_sqlite(const cli::ClusterOptions& options);

}  // namespace calf::node
