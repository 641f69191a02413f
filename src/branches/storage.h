// Where a branch's files come from and go to: a copy-on-write copy of a live data directory. Not
// for what runs on them (branches.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vfs/file_system.h"

namespace calf::branches {

// Used under the lock of Branches, but for what says otherwise.
class Storage {
 public:
  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  virtual ~Storage() = default;

  // The files of `live` as they are now, for branch `name`. On the thread of the cluster that runs
  // on `live` (if one does), while none of its processes is in the middle of anything: at once,
  // whatever the size. Both sides go their own ways from here on.
  virtual Result<std::shared_ptr<vfs::FileSystem>> clone(vfs::FileSystem& live,
                                                         std::string_view name) = 0;

  // Forgets what clone() has made for `name`: no later run of the program finds it, and the name is
  // free. Its files can still be used; what is returned deletes them, on any thread, when nobody
  // does.
  virtual Result<std::function<void()>> drop(std::string_view name) = 0;

  // Branches that an earlier run of the program has left, to be gone on with.
  struct Kept {
    std::string name, parent;
    int64_t created_at_us = 0;  // since 1970
    std::shared_ptr<vfs::FileSystem> files;
  };
  virtual Result<std::vector<Kept>> kept() = 0;

  // May one clone be cloned any number of times, for nothing?
  [[nodiscard]] virtual bool clones_are_free() const = 0;
};

// For clusters in memory: nothing is kept, a clone's cost is its number of files.
std::unique_ptr<Storage> make_memory_storage();

}  // namespace calf::branches
