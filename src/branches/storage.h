// Where a branch's files come from and go to: a copy-on-write copy of a live data directory. Not
// for what runs on them (branches.h).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vfs/file_system.h"

namespace calf::vfs {
class BranchedDirectory;
}

namespace calf::branches {

// Used under the lock of Branches, but for what says otherwise.
class Storage {
 public:
  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  virtual ~Storage() = default;

  // The files of `live` (which are branch `parent`'s; empty: the server's own) as they are now, for
  // branch `name`. On the thread of the cluster that runs on `live`, if one does, while none of its
  // processes is in the middle of anything: at once, whatever the size. Both sides go their own
  // ways from here on.
  virtual Result<std::shared_ptr<vfs::FileSystem>> clone(vfs::FileSystem& live,
                                                         std::string_view parent,
                                                         std::string_view name) = 0;
  // Waits until a power cut would leave the branch; on any thread.
  virtual Result<void> settle(std::string_view name) = 0;

  // Deletes what clone() has made for `name`; nobody uses it any more. On any thread.
  virtual Result<void> drop(std::string_view name) = 0;

  // Branches that an earlier run of the program has left, to be gone on with.
  struct Kept {
    std::string name, parent;
    int64_t created_at_us = 0;  // since 1970
  };
  virtual std::vector<Kept> kept() = 0;
  // The files of one of them.
  virtual Result<std::shared_ptr<vfs::FileSystem>> open(std::string_view name) = 0;

  // May one clone be cloned any number of times, for nothing? Else every branch has its own.
  [[nodiscard]] virtual bool clones_are_free() const = 0;
};

// For clusters in memory: nothing is kept, a clone's cost is its number of files.
std::unique_ptr<Storage> make_memory_storage();
// For clusters in a directory: branches are folders inside of it.
std::unique_ptr<Storage> make_directory_storage(std::shared_ptr<vfs::BranchedDirectory> directory);

}  // namespace calf::branches
