// The tree that a guest sees: file systems mounted at absolute paths. A path belongs to the longest
// mount point that is a prefix of it; what no mount covers does not exist. The directories that
// lead to mount points exist, read-only.
//
// Paths here are absolute guest paths ("/pglite/data/base/5/1259"), or relative with the directory
// that they are relative to given beside them. ".." and symlinks may lead from one mount into
// another, but never out of the tree.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vfs/file_system.h"
#include "vfs/memory_file_system.h"

namespace calf::vfs {

// Cluster thread. Several guest processes share one.
class Namespace {
 public:
  explicit Namespace(std::shared_ptr<const os::Clock> clock);
  ~Namespace();

  // Mounts `file_system` at `point`, an absolute, normal path ("/pglite/data", "/"). kBusy when
  // something is mounted there already, kInvalid for a path that is not normal. The file system may
  // be shared with other namespaces of the same thread.
  Expected<void> mount(std::string_view point, std::shared_ptr<FileSystem> file_system);

  // The file system mounted exactly at `point`, or null.
  [[nodiscard]] FileSystem* mounted_at(std::string_view point) const;

  // `base` is an absolute, normal path (a process's working directory, or that of a directory
  // descriptor); it matters only when `path` is relative. An empty path is kNoEntry.
  Expected<std::unique_ptr<File>> open(std::string_view base, std::string_view path,
                                       const OpenOptions& options);
  [[nodiscard]] Expected<Stat> stat(std::string_view base, std::string_view path, Follow follow);
  Expected<void> mkdir(std::string_view base, std::string_view path, uint32_t permissions);
  Expected<void> rmdir(std::string_view base, std::string_view path);
  Expected<void> unlink(std::string_view base, std::string_view path);
  // kCrossDevice between mounts, also for link.
  Expected<void> rename(std::string_view from_base, std::string_view from, std::string_view to_base,
                        std::string_view to);
  Expected<void> link(std::string_view from_base, std::string_view from, std::string_view to_base,
                      std::string_view to);
  Expected<void> symlink(std::string_view target, std::string_view base, std::string_view path);
  Expected<std::string> readlink(std::string_view base, std::string_view path);
  Expected<void> chmod(std::string_view base, std::string_view path, uint32_t permissions,
                       Follow follow);
  Expected<void> set_times(std::string_view base, std::string_view path, TimeChange access,
                           TimeChange modify, Follow follow);
  [[nodiscard]] Expected<FsStat> statfs(std::string_view base, std::string_view path);
  // Is the path on a mount that cannot be written?
  [[nodiscard]] Expected<bool> on_read_only_mount(std::string_view base, std::string_view path);

  // The absolute, normal path of what `path` names, all symlinks resolved except, with kNo, the
  // last component. The last component need not exist. For chdir and for naming directory
  // descriptors.
  Expected<std::string> canonical(std::string_view base, std::string_view path, Follow follow);

 private:
  struct Mount {
    std::string point;                        // "/pglite/data"; "" for the root
    std::shared_ptr<FileSystem> file_system;  // shared with other namespaces of the thread
    bool has_nested = false;                  // another mount lies below
  };
  // A file system and a path inside it. `path` may point into `buffer`: do not move a Place.
  struct Place {
    FileSystem* file_system = nullptr;
    std::string_view path;
    std::string buffer;

    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
  };

  [[nodiscard]] const Mount& mount_of(std::string_view absolute) const;
  void place_at(std::string absolute, Place& place) const;
  // False when the path cannot be placed without looking at symlinks (it has "..").
  bool place_quickly(std::string_view base, std::string_view path, Place& place) const;
  Expected<void> place_slowly(std::string_view base, std::string_view path, Follow follow,
                              Place& place);
  template <typename Operation>
  auto with_place(std::string_view base, std::string_view path, Follow follow, Operation operation)
      -> decltype(operation(std::declval<FileSystem&>(), path));
  template <typename Operation>
  Expected<void> with_two_places(std::string_view from_base, std::string_view from,
                                 std::string_view to_base, std::string_view to,
                                 Operation operation);

  std::shared_ptr<MemoryFileSystem> skeleton_;  // the directories above mount points
  std::vector<Mount> mounts_;                   // longest point first; the root is last
};

}  // namespace calf::vfs
