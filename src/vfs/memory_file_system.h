// Files in memory; nothing touches the disk. Contents are reference-counted chunks that are copied
// when written, so a clone of the whole tree shares them. A tree can start as a pack's: its
// directories and contents appear as they are used.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "os/clock.h"
#include "vfs/file_system.h"

namespace calf::vfs {

class Pack;
struct MemoryTree;  // the inodes; private to the implementation

class MemoryFileSystem final : public FileSystem {
 public:
  struct Options {
    std::shared_ptr<const os::Clock> clock;  // times of files; required
    uint64_t limit_bytes = UINT64_MAX;  // contents written here (not the pack's): kNoSpace above
    bool read_only = false;             // every change is kReadOnly
    std::shared_ptr<const Pack> pack;   // the tree to start with; null: an empty root (mode 0700)
    std::string_view pack_subtree;  // the pack's directory that becomes the root; "": its own root
  };

  // kNoEntry or kNotDirectory when pack_subtree is not a directory of the pack.
  static Expected<std::unique_ptr<MemoryFileSystem>> create(const Options& options);
  ~MemoryFileSystem() override;

  // A second file system with the same files, sharing contents until either side writes. Files that
  // are open but have no name any more are not in it, nor is anything that is open. The clone may
  // live on another thread. Takes time proportional to the number of files used so far, some 50 ns
  // each. `limit_bytes` counts anew for the clone.
  [[nodiscard]] std::unique_ptr<MemoryFileSystem> clone() const;

  // Bytes of contents held by this file system, shared ones included, the pack's not.
  [[nodiscard]] uint64_t used_bytes() const;

  // Of these, bytes that are not shared with any other file system: what this one takes. Looks at
  // every piece of contents that could be its own.
  [[nodiscard]] uint64_t own_bytes() const;

  // The only switch after creation: e.g. filled first, then handed out read-only.
  void set_read_only(bool read_only);

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
  bool read_only() const override;

 private:
  explicit MemoryFileSystem(std::unique_ptr<MemoryTree> tree);

  std::unique_ptr<MemoryTree> tree_;
};

}  // namespace calf::vfs
