// For tests only: "opens" the real PostgreSQL server whose socket CALF_TEST_POSTGRES names,
// whatever the location.
#include <cstdlib>

#include "cli/engine_factory.h"
#include "server/testing/proxy_engine.h"

namespace calf::cli {

Result<OpenedCluster> open_cluster(const ClusterOptions&) {
  const char* socket = std::getenv("CALF_TEST_POSTGRES");
  if (socket == nullptr) return fail(ErrorCode::kNotFound, "CALF_TEST_POSTGRES is not set");
  return OpenedCluster{.engine = std::make_unique<server::testing::ProxyEngine>(socket),
                       .created = std::getenv("CALF_TEST_CREATED") != nullptr};
}

Result<SavedSnapshot> save_snapshot(const SaveSnapshotOptions&) {
  return fail(ErrorCode::kUnsupported, "another server's files cannot be saved");
}

Result<std::unique_ptr<DirectoryOwner>> own_directory(const std::filesystem::path&) {
  return fail(ErrorCode::kUnsupported, "a proxy has no data directory");
}

Result<std::unique_ptr<BranchView>> view_branch(const std::filesystem::path&, const std::string&) {
  return fail(ErrorCode::kUnsupported, "a proxy has no data directory");
}

}  // namespace calf::cli
