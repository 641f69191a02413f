#include "branches/storage.h"
#include "vfs/memory_file_system.h"

namespace calf::branches {
namespace {

class MemoryStorage final : public Storage {
 public:
  Result<std::shared_ptr<vfs::FileSystem>> clone(vfs::FileSystem& live, std::string_view,
                                                 std::string_view) override {
    auto* memory = dynamic_cast<vfs::MemoryFileSystem*>(&live);
    if (memory == nullptr) {
      return fail(ErrorCode::kUnsupported, "this cluster is in a directory and cannot be branched",
                  "Clusters in memory can.");
    }
    return std::shared_ptr<vfs::FileSystem>(memory->clone());
  }
  Result<void> settle(std::string_view) override { return {}; }
  Result<void> drop(std::string_view) override { return {}; }
  std::vector<Kept> kept() override { return {}; }
  Result<std::shared_ptr<vfs::FileSystem>> open(std::string_view name) override {
    return fail(ErrorCode::kNotFound, "no branch \"" + std::string(name) + "\" is kept");
  }
  [[nodiscard]] bool clones_are_free() const override { return true; }
};

}  // namespace

std::unique_ptr<Storage> make_memory_storage() {
  return std::make_unique<MemoryStorage>();
}

}  // namespace calf::branches
