#include "node/embedded.h"

extern "C" {
// embedded_packs.S
extern const std::byte calf_installation_pack[];
extern const std::byte calf_installation_pack_end[];
extern const std::byte calf_template_pack[];
extern const std::byte calf_template_pack_end[];
extern const std::byte calf_snapshot[];
extern const std::byte calf_snapshot_end[];
}

namespace calf::node {

Result<std::shared_ptr<const vfs::Pack>> installation_pack() {
  static const auto pack = vfs::Pack::open({calf_installation_pack, calf_installation_pack_end});
  return pack;
}

Result<std::shared_ptr<const vfs::Pack>> template_pack() {
  static const auto pack = vfs::Pack::open({calf_template_pack, calf_template_pack_end});
  return pack;
}

Result<std::shared_ptr<const postgres::Snapshot>> fresh_cluster() {
  static const auto snapshot = postgres::Snapshot::open({calf_snapshot, calf_snapshot_end});
  return snapshot;
}

Result<std::shared_ptr<const vfs::Pack>> fresh_cluster_pack() {
  static const auto pack = [] -> Result<std::shared_ptr<const vfs::Pack>> {
    CALF_TRY(const auto snapshot, fresh_cluster());
    return vfs::Pack::open(snapshot->data_pack());
  }();
  return pack;
}

}  // namespace calf::node
