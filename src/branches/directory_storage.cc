#include "base/log.h"
#include "branches/storage.h"
#include "vfs/branched_directory.h"

namespace calf::branches {
namespace {

// A branch's files are the directory's, copied on write, in a folder inside of it.
class DirectoryStorage final : public Storage {
 public:
  explicit DirectoryStorage(std::shared_ptr<vfs::BranchedDirectory> directory)
      : directory_(std::move(directory)) {}

  Result<std::shared_ptr<vfs::FileSystem>> clone(vfs::FileSystem&, std::string_view parent,
                                                 std::string_view name) override {
    // Not the notes about who runs on the parent's files.
    return directory_->create({.name = std::string(name),
                               .parent = std::string(parent),
                               .leave_out = {"postmaster.pid", "postmaster.opts", "calf.lock"}});
  }
  Result<void> settle(std::string_view name) override { return directory_->make_durable(name); }
  Result<void> drop(std::string_view name) override { return directory_->drop(name); }

  std::vector<Kept> kept() override {
    std::vector<Kept> kept;
    for (const auto& branch : directory_->list()) {
      if (branch.damaged) log::error("branch {} is damaged: it can only be dropped", branch.name);
      kept.push_back({.name = branch.name,
                      .parent = branch.parent,
                      .created_at_us = branch.created_at_ns / 1000});
    }
    return kept;
  }
  Result<std::shared_ptr<vfs::FileSystem>> open(std::string_view name) override {
    return directory_->open_branch(name);
  }
  [[nodiscard]] bool clones_are_free() const override { return false; }

 private:
  std::shared_ptr<vfs::BranchedDirectory> directory_;
};

}  // namespace

std::unique_ptr<Storage> make_directory_storage(std::shared_ptr<vfs::BranchedDirectory> directory) {
  return std::make_unique<DirectoryStorage>(std::move(directory));
}

}  // namespace calf::branches
