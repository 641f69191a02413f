// Snapshot files of a cluster that runs: a branch is made, saved, and dropped.
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "capi/cluster_handle.h"

namespace calf::capi {
namespace {

std::string fresh_name() {
  static std::atomic<unsigned> number{0};
  return "snapshot-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
}

Answer<calf_status> save(calf_cluster* cluster, const std::string& branch, const char* file) {
  CAPI_CHECK_OK(check(cluster));
  const std::shared_ptr<server::Engine> engine = cluster->engine;
  const auto saved = cluster->snapshots->save_branch(branch, file);
  if (!saved) return fail_with(saved.error());
  return CALF_OK;
}

}  // namespace
}  // namespace calf::capi

using namespace calf::capi;

extern "C" calf_status calf_snapshot_save(calf_cluster* cluster, const char* file,
                                          calf_error** error) {
  const calf_status usable = guarded(error, [&]() -> Answer<calf_status> {
    CAPI_CHECK_OK(check(cluster));
    if (file == nullptr || *file == '\0') return fail(CALF_ERROR_INVALID, "there is no file name");
    if (cluster->snapshots == nullptr)
      return fail(CALF_ERROR_UNSUPPORTED, "this engine has no snapshots");
    return CALF_OK;
  });
  if (usable != CALF_OK) return usable;
  const std::string branch = fresh_name();
  const calf_status branched = calf_branch_create(cluster, branch.c_str(), error);
  if (branched != CALF_OK) return branched;
  const calf_status saved = guarded(error, [&] { return save(cluster, branch, file); });
  // What went wrong with the file is what the caller wants to hear.
  const calf_status dropped =
      calf_branch_drop(cluster, branch.c_str(), saved == CALF_OK ? error : nullptr);
  return saved == CALF_OK ? dropped : saved;
}
