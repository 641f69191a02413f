// What a BranchedDirectory has inside: the branches that its folder has, and who shares with whom.
// Only for branched_directory.cc and branched_directory_state.cc.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "vfs/branch_tree.h"
#include "vfs/branched_directory.h"
#include "vfs/host_tree.h"

namespace calf::vfs {

using os::FileDescriptor;
using os::Resolve;

inline constexpr const char* kInfoFile = "branch.json";
inline constexpr const char* kDataFolder = "data";
inline constexpr const char* kDurableFile = "durable";  // make_durable() has been done
inline constexpr const char* kFresh = ".new-";          // what create() has not finished
inline constexpr const char* kDead = ".old-";           // what drop() has not finished

bool is_branch_name(std::string_view name);

inline tl::unexpected<Error> error(std::string_view what, Errno code) {
  return calf::fail(os::to_error(what, code));
}

inline tl::unexpected<Error> no_such_branch(std::string_view name) {
  return calf::fail(ErrorCode::kNotFound, "branch \"" + std::string(name) + "\" does not exist");
}

struct BranchedDirectory::State {
  struct Entry {
    Branch info;
    int64_t order = 0;                     // by age, among the branches of one parent
    FileDescriptor folder;                 // calf_branches/NAME
    std::shared_ptr<BranchBlocks> blocks;  // of an overlay; shared with its tree and the parent
    std::shared_ptr<Sharers> sharers = std::make_shared<Sharers>();
    std::weak_ptr<BranchTree> tree;
  };

  explicit State(Options chosen) : options(std::move(chosen)) {}

  Result<void> open();
  Result<void> load();
  Result<void> load_branch(const std::string& name);
  Result<void> open_blocks(Entry& entry);
  void open_all_blocks();
  Result<FileDescriptor> branches_folder();
  Result<Entry*> find(std::string_view name);
  [[nodiscard]] BlocksChain chain_of(const Entry& entry);
  [[nodiscard]] std::shared_ptr<Sharers> sharers_of(const std::string& name);
  [[nodiscard]] bool has_overlay_children(std::string_view name) const;
  [[nodiscard]] static bool is_older(const Entry& a, const Entry& b);
  [[nodiscard]] bool has_older_siblings(const Entry& entry) const;
  [[nodiscard]] int64_t next_order(std::string_view parent) const;
  [[nodiscard]] bool is_durable(const Entry& entry);
  void mark_dependent_damaged();
  Result<void> check_droppable(const Entry& entry) const;
  void attach(Entry& entry);
  Result<std::shared_ptr<BranchTree>> make_tree(Entry& entry);
  [[nodiscard]] bool can_reflink(int folder);
  Result<void> build(const CreateOptions& create, int folder, Entry& entry);
  [[nodiscard]] std::string path_of(std::string_view name) const {
    return options.path + "/" + std::string(kBranchesFolder) + "/" + std::string(name);
  }
  os::Files& files() { return *options.files; }

  Options options;
  std::mutex drop_mutex;  // one drop() at a time; taken before the other
  std::mutex mutex;
  FileDescriptor directory;
  std::map<std::string, Entry, std::less<>> branches;
  std::shared_ptr<Sharers> sharers = std::make_shared<Sharers>();  // of the directory itself
  std::shared_ptr<BranchTree> root;
};

}  // namespace calf::vfs
