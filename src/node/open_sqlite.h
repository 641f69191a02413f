// The composition root for the SQLite engine.
#pragma once

#include "base/result.h"
#include "cli/engine_factory.h"

namespace calf::node {

// cli::open_cluster for EngineKind::kSqlite.
Result<cli::OpenedCluster> open_sqlite(const cli::ClusterOptions& options);

}  // namespace calf::node
