// The library has PostgreSQL alone: see src/node/sqlite/CMakeLists.txt.
#include "node/open_sqlite.h"

namespace calf::node {

Result<cli::OpenedCluster> open_sqlite(const cli::ClusterOptions&) {
  return fail(ErrorCode::kUnsupported, "the library has no SQLite engine",
              "calf serve --engine sqlite");
}

}  // namespace calf::node
