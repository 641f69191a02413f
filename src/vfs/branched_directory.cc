#include "vfs/branched_directory.h"

#include <filesystem>

#include "base/assert.h"
#include "base/log.h"
#include "vfs/branched_directory_state.h"

namespace calf::vfs {
namespace {

// Disk space of the regular files that are not shared through `blocks`, if that is given.
Expected<uint64_t> plain_bytes(os::Files& files, int directory, BranchBlocks* blocks) {
  uint64_t total = 0;
  CALF_ERRNO_CHECK(each_entry(files, directory, [&](const HostEntry& entry) -> Expected<void> {
    if (entry.kind == FileKind::kDirectory) {
      CALF_ERRNO_TRY(auto inside, open_directory(files, directory, entry.name));
      CALF_ERRNO_TRY(uint64_t below, plain_bytes(files, inside.get(), blocks));
      total += below;
    } else if (entry.kind == FileKind::kRegular &&
               (blocks == nullptr || blocks->find(entry.inode) == nullptr)) {
      CALF_ERRNO_TRY(struct stat stat,
                     files.fstatat(directory, entry.name.c_str(), AT_SYMLINK_NOFOLLOW));
      total += static_cast<uint64_t>(stat.st_blocks) * 512;
    }
    return {};
  }));
  return total;
}

}  // namespace

std::optional<BranchPlace> branch_at(const std::string& path) {
  std::error_code error;
  const auto data = std::filesystem::weakly_canonical(path, error);
  const auto folder = data.parent_path();
  if (data.filename() != kDataFolder || folder.parent_path().filename() != kBranchesFolder ||
      !std::filesystem::exists(folder / kInfoFile, error))
    return std::nullopt;
  return BranchPlace{.directory = folder.parent_path().parent_path().string(),
                     .name = folder.filename().string()};
}

BranchedDirectory::BranchedDirectory(std::unique_ptr<State> state) : state_(std::move(state)) {}
BranchedDirectory::~BranchedDirectory() = default;

Result<std::unique_ptr<BranchedDirectory>> BranchedDirectory::open(Options options) {
  ASSERT(options.files != nullptr && options.clock != nullptr);
  auto state = std::make_unique<State>(std::move(options));
  CALF_CHECK_OK(state->open());
  return std::unique_ptr<BranchedDirectory>(new BranchedDirectory(std::move(state)));
}

std::shared_ptr<FileSystem> BranchedDirectory::root() const {
  return state_->root;
}

std::vector<BranchedDirectory::Branch> BranchedDirectory::list() const {
  std::lock_guard lock(state_->mutex);
  std::vector<Branch> list;
  for (const auto& [name, entry] : state_->branches) {
    list.push_back(entry.info);
    if (entry.blocks != nullptr && entry.blocks->lost()) list.back().damaged = true;
  }
  return list;
}

Result<std::shared_ptr<FileSystem>> BranchedDirectory::create(const CreateOptions& create) {
  State& state = *state_;
  std::lock_guard lock(state.mutex);
  if (!is_branch_name(create.name)) {
    return calf::fail(ErrorCode::kInvalidArgument, "invalid branch name \"" + create.name + "\"",
                      "use letters, digits, \"_\", \"-\" and \".\", at most 63 of them, the first "
                      "a letter or digit");
  }
  if (state.branches.contains(create.name)) {
    return calf::fail(ErrorCode::kAlreadyExists, "branch \"" + create.name + "\" already exists");
  }
  CALF_TRY(FileDescriptor branches, state.branches_folder());
  const std::string fresh = kFresh + create.name;
  auto made = state.files().mkdirat(branches.get(), fresh.c_str(), 0700);
  if (!made) return error("creating a folder for the branch", made.error());
  State::Entry entry;
  entry.info = {.name = create.scratch ? fresh : create.name,
                .parent = create.parent,
                .created_at_ns = state.options.clock->realtime_ns(),
                .scratch = create.scratch};
  entry.order = state.next_order(create.parent);
  auto built = [&]() -> Result<void> {
    auto folder = open_directory(state.files(), branches.get(), fresh);
    if (!folder) return error("opening the branch's folder", folder.error());
    entry.folder = std::move(*folder);
    CALF_CHECK_OK(state.build(create, entry.folder.get(), entry));
    if (create.scratch) return {};
    auto renamed =
        state.files().renameat(branches.get(), fresh.c_str(), branches.get(), create.name.c_str());
    return renamed ? Result<void>() : error("naming the branch's folder", renamed.error());
  }();
  if (!built) {
    if (entry.blocks != nullptr) entry.blocks->abandon();
    (void)remove_tree(state.files(), branches.get(), fresh);  // else the next open() does
    return calf::fail(std::move(built).error());
  }
  const std::string name = entry.info.name;
  State::Entry& kept = state.branches[name] = std::move(entry);
  if (kept.blocks != nullptr) state.attach(kept);
  return state.make_tree(kept);
}

Result<void> BranchedDirectory::make_durable(std::string_view name) {
  State& state = *state_;
  FileDescriptor folder, branches;
  std::shared_ptr<BranchBlocks> blocks;
  {
    std::lock_guard lock(state.mutex);
    CALF_TRY(State::Entry * entry, state.find(name));
    CALF_TRY(branches, state.branches_folder());
    auto opened = open_directory(state.files(), branches.get(), entry->info.name);
    if (!opened) return error("opening the branch's folder", opened.error());
    folder = std::move(*opened);
    blocks = entry->blocks;
  }
  auto synced = [&]() -> Expected<void> {
    if (blocks == nullptr) return state.files().syncfs(folder.get());
    CALF_ERRNO_CHECK(blocks->sync());
    CALF_ERRNO_TRY(const int info, state.files().open(folder.get(), kInfoFile,
                                                      O_RDONLY | O_NOFOLLOW, 0, Resolve::kBeneath));
    CALF_ERRNO_CHECK(state.files().fsync(FileDescriptor(state.files(), info).get()));
    CALF_ERRNO_CHECK(sync_names(state.files(), folder.get()));
    CALF_ERRNO_CHECK(state.files().fsync(branches.get()));
    CALF_ERRNO_CHECK(state.files().fsync(state.directory.get()));
    auto marked = write_small_file(state.files(), folder.get(), kDurableFile, "");
    if (!marked && marked.error() != Errno::kExists) return marked;
    CALF_ERRNO_CHECK(state.files().fsync(folder.get()));
    blocks->set_durable();
    return {};
  }();
  if (!synced) return error("syncing branch \"" + std::string(name) + "\"", synced.error());
  return {};
}

Result<void> BranchedDirectory::prepare() {
  auto synced = state_->files().syncfs(state_->directory.get());
  return synced ? Result<void>() : error("syncing " + state_->options.path, synced.error());
}

Result<std::shared_ptr<FileSystem>> BranchedDirectory::open_branch(std::string_view name) {
  std::lock_guard lock(state_->mutex);
  CALF_TRY(State::Entry * entry, state_->find(name));
  return state_->make_tree(*entry);
}

Result<void> BranchedDirectory::State::check_droppable(const Entry& entry) const {
  const std::string& name = entry.info.name;
  if (!entry.tree.expired())
    return calf::fail(ErrorCode::kUnavailable, "branch \"" + name + "\" is in use");
  if (has_overlay_children(name)) {
    return calf::fail(ErrorCode::kUnavailable,
                      "other branches share blocks with branch \"" + name + "\"",
                      "drop these first");
  }
  return {};
}

// What older branches need of it is given to them first, while the others go on.
Result<void> BranchedDirectory::drop(std::string_view name) {
  State& state = *state_;
  std::lock_guard one_at_a_time(state.drop_mutex);
  std::shared_ptr<BranchBlocks> blocks;
  std::shared_ptr<Sharers> sharers;
  {
    std::lock_guard lock(state.mutex);
    auto at = state.branches.find(name);
    if (at == state.branches.end()) return no_such_branch(name);
    CALF_CHECK_OK(state.check_droppable(at->second));
    blocks = at->second.blocks;
    if (blocks != nullptr) sharers = state.sharers_of(at->second.info.parent);
  }
  if (blocks != nullptr) {
    if (auto handed = sharers->hand_down(*blocks); !handed) {
      Sharers::keep_again(*blocks);
      return calf::fail(os::to_error(
          "giving what branch \"" + std::string(name) + "\" has kept to older branches",
          handed.error()));
    }
  }
  std::lock_guard lock(state.mutex);
  auto at = state.branches.find(name);
  State::Entry& entry = at->second;
  if (auto still = state.check_droppable(entry); !still) {
    if (blocks != nullptr) Sharers::keep_again(*blocks);
    return still;
  }
  CALF_TRY(FileDescriptor branches, state.branches_folder());
  const std::string dead = kDead + at->first;
  (void)remove_tree(state.files(), branches.get(), dead);  // one that failed before
  auto renamed =
      state.files().renameat(branches.get(), at->first.c_str(), branches.get(), dead.c_str());
  if (!renamed) {
    if (blocks != nullptr) Sharers::keep_again(*blocks);
    return error("dropping branch \"" + at->first + "\"", renamed.error());
  }
  // Nobody keeps blocks for it any more: it must not come back.
  if (auto synced = state.files().fsync(branches.get()); !synced)
    log::warn("{}",
              os::to_error("dropping branch \"" + at->first + "\"", synced.error()).to_string());
  const std::string parent = entry.info.parent;
  if (blocks != nullptr) {
    sharers->remove(*blocks);
    blocks->abandon();
  }
  state.branches.erase(at);
  auto above = state.branches.find(parent);
  if (above != state.branches.end() && above->second.blocks != nullptr)
    above->second.blocks->keep_unused(state.has_overlay_children(parent));
  if (auto removed = remove_tree(state.files(), branches.get(), dead); !removed)
    return error("removing the files of branch \"" + dead.substr(5) + "\"", removed.error());
  return {};
}

Result<uint64_t> BranchedDirectory::own_bytes(std::string_view name) {
  State& state = *state_;
  std::lock_guard lock(state.mutex);
  CALF_TRY(State::Entry * entry, state.find(name));
  auto data = open_directory(state.files(), entry->folder.get(), kDataFolder);
  if (!data) return error("opening the branch's data", data.error());
  auto plain = plain_bytes(state.files(), data->get(), entry->blocks.get());
  if (!plain) return error("measuring the branch", plain.error());
  return *plain + (entry->blocks != nullptr ? entry->blocks->own_bytes() : 0);
}

}  // namespace calf::vfs
