// The tree of a new branch: directories and symlinks copied, files linked, reflinked or copied.
// Private to the branches of directories.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "vfs/branch_tree.h"
#include "vfs/host_tree.h"

namespace calf::vfs {

class BranchCopy {
 public:
  enum class Method : uint8_t { kHardLink, kReflink };
  struct Options {
    os::Files* files = nullptr;
    Method method = Method::kHardLink;
    const BlocksChain* chain = nullptr;  // the parent's
    const Sharers* sharers = nullptr;    // the parent's
    const std::vector<std::string>* leave_out = nullptr;
  };
  explicit BranchCopy(const Options& options) : options_(options) {}

  // Fills the empty directory `to` with what is in `from`. Both are open directories of the host.
  Expected<void> run(int from, int to);
  // The files that are linked, as they are now.
  [[nodiscard]] std::vector<SharedInode> take_inodes();

 private:
  Expected<void> entry(int from, int to, const HostEntry& entry);
  Expected<void> directory(int from, int to, const std::string& name);
  Expected<void> symlink(int from, int to, const std::string& name);
  Expected<void> regular(int from, int to, const std::string& name);
  Expected<void> copy(int from, int to, const std::string& name, const struct stat& stat);
  Expected<void> copy_bytes(int from, int to);

  Options options_;
  std::unordered_map<InodeNumber, SharedInode> inodes_;
  std::vector<std::byte> buffer_;
  int depth_ = 0;
};

}  // namespace calf::vfs
