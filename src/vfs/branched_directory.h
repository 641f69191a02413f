// A data directory of the host and its branches: copy-on-write copies of it at one instant, kept in
// the folder calf_branches inside of it (docs/decisions/0009-branches-of-directories.md).
//
// Where the file system has reflinks, a branch is a tree of reflinked files. Elsewhere it is an
// overlay: hard links of the parent's files, and the blocks that either side has changed since.
// Then whoever writes the parent's files must do it through root(): nothing else keeps the old
// blocks for the branches. The directory itself stays a plain PostgreSQL directory.
//
// Not here: clusters, and which names SQL gives to branches.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/clock.h"
#include "os/files.h"
#include "vfs/file_system.h"

namespace calf::vfs {

inline constexpr std::string_view kBranchesFolder = "calf_branches";

// What is a branch's data is not whole on its own: blocks may be its parent's.
struct BranchPlace {
  std::string directory;  // which the branch belongs to
  std::string name;
};
// If the path of a directory of the host is that of a branch's data.
std::optional<BranchPlace> branch_at(const std::string& path);

// Any thread, except where said otherwise. The file systems that it hands out each belong to one
// cluster's thread, and keep what they need alive.
class BranchedDirectory {
 public:
  enum class Sharing : uint8_t { kReflinkOrOverlay, kOverlay };
  struct Options {
    std::string path;                        // an existing directory, which the caller has locked
    std::shared_ptr<os::Files> files;        // required
    std::shared_ptr<const os::Clock> clock;  // required
    Sharing sharing = Sharing::kReflinkOrOverlay;  // of branches made from now on
    std::string boot_id;  // which run of the machine this is; empty: asks the kernel
  };

  // Opens the branches that share blocks with the directory, too, and removes what a killed
  // create() or drop() has left. A branch that cannot be opened is logged and listed as damaged.
  // Errors: as DirectoryFileSystem::open.
  static Result<std::unique_ptr<BranchedDirectory>> open(Options options);
  ~BranchedDirectory();

  // The directory's own files, without calf_branches.
  [[nodiscard]] std::shared_ptr<FileSystem> root() const;

  struct Branch {
    std::string name;
    std::string parent;  // a branch; empty: the directory itself
    int64_t created_at_ns = 0;
    bool overlay = false;
    bool damaged = false;  // may only be dropped
    bool scratch = false;  // see CreateOptions
  };
  // By name.
  [[nodiscard]] std::vector<Branch> list() const;

  struct CreateOptions {
    std::string name;    // a letter or digit, then letters, digits, '_', '-', '.'; at most 63
    std::string parent;  // "" for the directory, or a branch
    std::vector<std::string> leave_out;  // files at the top of the tree: "postmaster.pid"
    // Never finished, so that the next open() removes it if nobody drops it before; list() has the
    // name that drop() takes.
    bool scratch = false;
  };
  // The parent's files as they are now. Call it on the thread of the parent's cluster while nobody
  // uses its files. Survives the end of the program at once, a power cut after make_durable().
  // Takes some 20 µs a file. Errors: kInvalidArgument for a name, kAlreadyExists, kNotFound (the
  // parent), kResourceExhausted, kIo; then nothing is left of it.
  Result<std::shared_ptr<FileSystem>> create(const CreateOptions& options);
  // Waits for the disk. After it, a power cut leaves the branch as its cluster last synced it.
  Result<void> make_durable(std::string_view name);
  // For create(): writes dirty files of the directory back, since reflinking would wait for them.
  Result<void> prepare();

  // A branch's files. The same file system again while somebody has it. kNotFound, kDataCorrupted.
  Result<std::shared_ptr<FileSystem>> open_branch(std::string_view name);
  // kNotFound; kUnavailable while its file system is in use, or a branch shares blocks with it.
  Result<void> drop(std::string_view name);
  // Disk space of a branch's own: blocks that are not shared with the parent. For reflinks this is
  // what the file system says of the files, shared blocks included.
  Result<uint64_t> own_bytes(std::string_view name);

 private:
  struct State;
  explicit BranchedDirectory(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace calf::vfs
