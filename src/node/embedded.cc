#include "node/embedded.h"

extern "C" {
// embedded_packs.S
extern const std::byte calf_installation_pack[];
extern const std::byte calf_installation_pack_end[];
extern const std::byte calf_template_pack[];
extern const std::byte calf_template_pack_end[];
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

}  // namespace calf::node
