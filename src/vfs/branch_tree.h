// One tree of a BranchedDirectory as a file system: the directory itself, or a branch. Names are
// the host's, in a directory of their own; contents of files that a branch shares with its parent
// come through BranchBlocks. Whoever changes a file here keeps the old blocks for the branches that
// were taken from this tree. Private to the branches of directories.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "os/clock.h"
#include "vfs/branch_blocks.h"
#include "vfs/directory_file_system.h"
#include "vfs/file_system.h"

namespace calf::vfs {

// The branches that share blocks with a tree. Any thread.
class Sharers {
 public:
  // One that is newer than all there are.
  void add(std::shared_ptr<BranchBlocks> branch);
  // Gives what a branch has kept to the older ones, so that it can be removed. Takes its time: only
  // one at a time, by whoever removes it then, or calls keep_again().
  Expected<void> hand_down(BranchBlocks& branch);
  static void keep_again(BranchBlocks& branch) { branch.retire(false); }
  void remove(const BranchBlocks& branch);
  [[nodiscard]] bool any() const { return count_.load(std::memory_order_acquire) != 0; }

  // Before [offset, offset + length) of an inode changes. On the tree's thread.
  void preserve(InodeNumber number, uint64_t offset, uint64_t length,
                const BranchBlocks::ReadBase& read_base);
  // Makes the blocks kept so far durable. Those that were overwritten must not come first.
  void sync();

  // Files that somebody maps: changes of theirs go unseen, so a branch takes a copy.
  void note_mapped(InodeNumber number);
  [[nodiscard]] bool is_mapped(InodeNumber number) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<BranchBlocks>> branches_;  // by age; shared with who has them open
  std::set<InodeNumber> mapped_;
  std::atomic<uint32_t> count_{0};
};

// The blocks of a branch, then those of the branch that it was taken from, and so on; empty for the
// directory itself.
using BlocksChain = std::vector<std::shared_ptr<BranchBlocks>>;

// Reads an inode as the tree with the blocks chain[level] sees it; `file` is open on it.
Expected<void> read_through(const BlocksChain& chain, size_t level, InodeNumber number, File& file,
                            std::span<std::byte> bytes, uint64_t offset);

class BranchTree final : public FileSystem {
 public:
  struct Options {
    std::unique_ptr<DirectoryFileSystem> names;   // the tree's names
    std::unique_ptr<DirectoryFileSystem> folder;  // the branch's folder; null for the directory
    BlocksChain chain;
    std::shared_ptr<Sharers> sharers;
    std::shared_ptr<const os::Clock> clock;
  };
  explicit BranchTree(Options options);

  Expected<std::unique_ptr<File>> open(std::string_view path, const OpenOptions& options) override;
  Expected<Stat> stat(std::string_view path, Follow follow) override;
  Expected<void> mkdir(std::string_view path, uint32_t permissions) override;
  Expected<void> rmdir(std::string_view path) override;
  Expected<void> unlink(std::string_view path) override;
  Expected<void> rename(std::string_view from, std::string_view to) override;
  Expected<void> link(std::string_view from, std::string_view to) override;
  Expected<void> symlink(std::string_view target, std::string_view path) override;
  Expected<std::string> readlink(std::string_view path) override;
  Expected<void> chmod(std::string_view path, uint32_t permissions, Follow follow) override;
  Expected<void> set_times(std::string_view path, TimeChange access, TimeChange modify,
                           Follow follow) override;
  Expected<FsStat> statfs() override;

 private:
  friend class BranchFile;

  [[nodiscard]] BranchBlocks* blocks() const {
    return options_.chain.empty() ? nullptr : options_.chain.front().get();
  }
  [[nodiscard]] bool is_hidden(std::string_view path) const;
  [[nodiscard]] SharedInode* shared_at(std::string_view path, Follow follow);
  Expected<void> keep_inode(std::string_view path, const SharedInode& inode);
  Expected<std::unique_ptr<File>> open_shared(std::string_view path, const OpenOptions& options,
                                              SharedInode& inode);
  Expected<std::unique_ptr<File>> open_plain(std::string_view path, const OpenOptions& options);

  Options options_;
};

}  // namespace calf::vfs
