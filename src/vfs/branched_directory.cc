#include "vfs/branched_directory.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/assert.h"
#include "base/log.h"
#include "vfs/branch_copy.h"
#include "vfs/branch_tree.h"
#include "vfs/host_tree.h"

namespace calf::vfs {
namespace {

using os::FileDescriptor;
using os::Resolve;

constexpr size_t kMaxBranchName = 63;  // as PostgreSQL's names
constexpr const char* kInfoFile = "branch.json";
constexpr const char* kDataFolder = "data";
constexpr const char* kDurableFile = "durable";  // make_durable() has been done
constexpr const char* kFresh = ".new-";          // what create() has not finished
constexpr const char* kDead = ".old-";           // what drop() has not finished

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_branch_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxBranchName && is_letter_or_digit(name.front()) &&
         std::ranges::all_of(name, [](char c) {
           return is_letter_or_digit(c) || c == '_' || c == '-' || c == '.';
         });
}

tl::unexpected<Error> error(std::string_view what, Errno code) {
  return calf::fail(os::to_error(what, code));
}

tl::unexpected<Error> no_such_branch(std::string_view name) {
  return calf::fail(ErrorCode::kNotFound, "branch \"" + std::string(name) + "\" does not exist");
}

// Counts the names that a branch has for shared inodes.
Expected<void> count_names(os::Files& files, int directory, BranchBlocks& blocks) {
  return each_entry(files, directory, [&](const HostEntry& entry) -> Expected<void> {
    if (entry.kind == FileKind::kDirectory) {
      CALF_ERRNO_TRY(auto inside, open_directory(files, directory, entry.name));
      return count_names(files, inside.get(), blocks);
    }
    SharedInode* inode = blocks.find(entry.inode);
    if (inode != nullptr) blocks.add_name(*inode);
    return {};
  });
}

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

Result<void> BranchedDirectory::State::open() {
  if (options.boot_id.empty()) {
    auto id =
        read_small_file(files(), AT_FDCWD, "/proc/sys/kernel/random/boot_id", Resolve::kAnywhere);
    if (!id) return error("reading the boot id", id.error());
    options.boot_id = std::move(*id);
  }
  CALF_TRY(auto names, DirectoryFileSystem::open({.path = options.path, .files = options.files}));
  auto fd =
      files().open(AT_FDCWD, options.path.c_str(), O_RDONLY | O_DIRECTORY, 0, Resolve::kAnywhere);
  if (!fd) return error("opening " + options.path, fd.error());
  directory = FileDescriptor(files(), *fd);
  CALF_CHECK_OK(load());
  root = std::make_shared<BranchTree>(BranchTree::Options{.names = std::move(names),
                                                          .folder = nullptr,
                                                          .chain = {},
                                                          .sharers = sharers,
                                                          .clock = options.clock});
  return {};
}

Result<void> BranchedDirectory::State::load() {
  auto folder = open_directory(files(), directory.get(), std::string(kBranchesFolder));
  if (!folder && folder.error() == Errno::kNoEntry) return {};
  if (!folder) return error("opening the branches of " + options.path, folder.error());
  std::vector<std::string> names, leftovers;
  auto listed = each_entry(files(), folder->get(), [&](const HostEntry& entry) -> Expected<void> {
    if (is_branch_name(entry.name)) names.push_back(entry.name);
    if (entry.name.starts_with(kFresh) || entry.name.starts_with(kDead))
      leftovers.push_back(entry.name);
    return {};
  });
  if (!listed) return error("listing the branches of " + options.path, listed.error());
  for (const std::string& name : leftovers) {
    if (auto removed = remove_tree(files(), folder->get(), name); !removed)
      log::warn("{}", os::to_error("removing " + path_of(name), removed.error()).to_string());
  }
  for (const std::string& name : names) {
    if (auto loaded = load_branch(name); !loaded) {
      log::error("branch \"{}\" is damaged: {}", name, loaded.error().to_string());
      branches[name].info.name = name;
      branches[name].info.damaged = true;
    }
  }
  open_all_blocks();
  return {};
}

Result<void> BranchedDirectory::State::load_branch(const std::string& name) {
  Entry entry;
  auto folder = open_directory(files(), directory.get(), std::string(kBranchesFolder) + "/" + name);
  if (!folder) return error("opening " + path_of(name), folder.error());
  entry.folder = std::move(*folder);
  auto text = read_small_file(files(), entry.folder.get(), kInfoFile, Resolve::kBeneath);
  if (!text) return error(std::string("reading ") + kInfoFile, text.error());
  const auto info = nlohmann::json::parse(*text, nullptr, false);
  const auto is = [&](const char* key, auto check) {
    return info.is_object() && info.contains(key) && (info[key].*check)();
  };
  using Json = nlohmann::json;
  if (!is("parent", &Json::is_string) || !is("created_at_ns", &Json::is_number_integer) ||
      !is("kind", &Json::is_string)) {
    return calf::fail(ErrorCode::kDataCorrupted, std::string(kInfoFile) + " is damaged");
  }
  entry.info = {.name = name,
                .parent = info["parent"].get<std::string>(),
                .created_at_ns = info["created_at_ns"].get<int64_t>(),
                .overlay = info["kind"] == "overlay"};
  if (is("order", &Json::is_number_integer)) entry.order = info["order"].get<int64_t>();
  branches[name] = std::move(entry);
  return {};
}

// Of two branches with the same parent. Those that know no order are older than those that do.
bool BranchedDirectory::State::is_older(const Entry& a, const Entry& b) {
  return std::pair(a.order, a.info.created_at_ns) < std::pair(b.order, b.info.created_at_ns);
}

bool BranchedDirectory::State::has_older_siblings(const Entry& entry) const {
  return std::ranges::any_of(branches, [&](const auto& other) {
    return other.second.info.overlay && other.second.info.parent == entry.info.parent &&
           is_older(other.second, entry);
  });
}

int64_t BranchedDirectory::State::next_order(std::string_view parent) const {
  int64_t newest = 0;
  for (const auto& [name, entry] : branches) {
    if (entry.info.parent == parent) newest = std::max(newest, entry.order);
  }
  return newest + 1;
}

bool BranchedDirectory::State::is_durable(const Entry& entry) {
  return files().fstatat(entry.folder.get(), kDurableFile, AT_SYMLINK_NOFOLLOW).has_value();
}

// An older branch may have its blocks in a newer one that is damaged. One whose parent is not known
// any more may be anybody's.
void BranchedDirectory::State::mark_dependent_damaged() {
  for (const auto& [name, damaged] : branches) {
    if (!damaged.info.damaged || !damaged.folder.is_open() || !is_durable(damaged)) continue;
    const bool is_known = damaged.info.created_at_ns != 0;
    for (auto& [other_name, other] : branches) {
      const bool depends =
          other.info.overlay && !other.info.damaged &&
          (!is_known || (other.info.parent == damaged.info.parent && is_older(other, damaged)));
      if (!depends) continue;
      log::error("branch \"{}\" is damaged: it shares blocks with branch \"{}\"", other_name, name);
      other.info.damaged = true;
      if (other.blocks != nullptr) other.blocks->abandon();
      other.blocks.reset();
    }
  }
}

// Parents before their branches. What is left over has a parent that is not there, or a circle.
void BranchedDirectory::State::open_all_blocks() {
  for (bool progress = true; progress;) {
    progress = false;
    for (auto& [name, entry] : branches) {
      if (!entry.info.overlay || entry.blocks != nullptr || entry.info.damaged) continue;
      auto parent = branches.find(entry.info.parent);
      const bool ready = entry.info.parent.empty() ||
                         (parent != branches.end() && !parent->second.info.damaged &&
                          (!parent->second.info.overlay || parent->second.blocks != nullptr));
      if (!ready) continue;
      progress = true;
      if (auto opened = open_blocks(entry); !opened) {
        log::error("branch \"{}\" is damaged: {}", name, opened.error().to_string());
        entry.info.damaged = true;
      }
    }
  }
  mark_dependent_damaged();
  std::vector<Entry*> by_age;
  for (auto& [name, entry] : branches) {
    if (entry.blocks != nullptr) by_age.push_back(&entry);
  }
  std::ranges::sort(by_age, [](const Entry* a, const Entry* b) { return is_older(*a, *b); });
  for (Entry* entry : by_age) attach(*entry);
  for (auto& [name, entry] : branches) {
    if (!entry.info.overlay || entry.blocks != nullptr || entry.info.damaged) continue;
    log::error("branch \"{}\" is damaged: its parent \"{}\" is gone", name, entry.info.parent);
    entry.info.damaged = true;
  }
}

Result<void> BranchedDirectory::State::open_blocks(Entry& entry) {
  CALF_TRY(auto blocks, BranchBlocks::open({.files = options.files,
                                            .directory = entry.folder.get(),
                                            .boot_id = options.boot_id}));
  auto data = open_directory(files(), entry.folder.get(), kDataFolder);
  auto gone = open_directory(files(), entry.folder.get(), "gone");
  if (!data || !gone) return error("opening " + path_of(entry.info.name), Errno::kNoEntry);
  if (auto counted = count_names(files(), data->get(), *blocks); !counted)
    return error("listing " + path_of(entry.info.name), counted.error());
  if (blocks->unsafe()) {
    log::warn(
        "branch \"{}\": the machine went down while its cluster or its parent's may have been "
        "writing; check the "
        "branch, or reset it",
        entry.info.name);
  }
  blocks->keep_unused(has_overlay_children(entry.info.name));
  blocks->set_has_older(has_older_siblings(entry));
  if (is_durable(entry)) blocks->set_durable();
  auto forgotten = blocks->compact();
  if (!forgotten) return error("rewriting the branch's journal", forgotten.error());
  for (InodeNumber number : *forgotten)
    (void)files().unlinkat(gone->get(), std::to_string(number).c_str(), 0);  // may never have been
  entry.blocks = std::move(blocks);
  return {};
}

bool BranchedDirectory::State::has_overlay_children(std::string_view name) const {
  return std::ranges::any_of(branches, [&](const auto& other) {
    return other.second.info.overlay && other.second.info.parent == name;
  });
}

std::shared_ptr<Sharers> BranchedDirectory::State::sharers_of(const std::string& name) {
  return name.empty() ? sharers : branches.find(name)->second.sharers;
}

// From now on the parent keeps what the branch needs.
void BranchedDirectory::State::attach(Entry& entry) {
  sharers_of(entry.info.parent)->add(entry.blocks);
  if (entry.info.parent.empty()) return;
  const Entry& parent = branches.find(entry.info.parent)->second;
  if (parent.blocks != nullptr) parent.blocks->keep_unused(true);
}

BlocksChain BranchedDirectory::State::chain_of(const Entry& entry) {
  BlocksChain chain;
  for (const Entry* at = &entry; at->blocks != nullptr;) {
    chain.push_back(at->blocks);
    if (at->info.parent.empty()) break;
    at = &branches.find(at->info.parent)->second;
  }
  return chain;
}

Result<BranchedDirectory::State::Entry*> BranchedDirectory::State::find(std::string_view name) {
  auto at = branches.find(name);
  if (at == branches.end()) return no_such_branch(name);
  if (at->second.info.damaged || (at->second.blocks != nullptr && at->second.blocks->lost())) {
    return calf::fail(ErrorCode::kDataCorrupted, "branch \"" + std::string(name) + "\" is damaged",
                      "drop it");
  }
  return &at->second;
}

Result<std::shared_ptr<BranchTree>> BranchedDirectory::State::make_tree(Entry& entry) {
  if (auto there = entry.tree.lock()) return there;
  const std::string path = path_of(entry.info.name);
  CALF_TRY(auto names,
           DirectoryFileSystem::open({.path = path + "/" + kDataFolder, .files = options.files}));
  CALF_TRY(auto folder, DirectoryFileSystem::open({.path = path, .files = options.files}));
  auto tree = std::make_shared<BranchTree>(BranchTree::Options{.names = std::move(names),
                                                               .folder = std::move(folder),
                                                               .chain = chain_of(entry),
                                                               .sharers = entry.sharers,
                                                               .clock = options.clock});
  entry.tree = tree;
  return tree;
}

// Asks the file system by doing it.
bool BranchedDirectory::State::can_reflink(int folder) {
  if (options.sharing == Sharing::kOverlay) return false;
  if (!write_small_file(files(), folder, "probe", "probe")) return false;
  auto from = files().open(folder, "probe", O_RDONLY, 0, Resolve::kBeneath);
  auto to = files().open(folder, "probe.copy", O_WRONLY | O_CREAT, 0600, Resolve::kBeneath);
  const bool can = from && to && files().reflink(*to, *from);
  if (from) files().close(*from);
  if (to) files().close(*to);
  (void)files().unlinkat(folder, "probe", 0);
  (void)files().unlinkat(folder, "probe.copy", 0);
  return can;
}

Result<FileDescriptor> BranchedDirectory::State::branches_folder() {
  const std::string name(kBranchesFolder);
  auto made = files().mkdirat(directory.get(), name.c_str(), 0700);
  if (!made && made.error() != Errno::kExists) return error("creating " + name, made.error());
  auto folder = open_directory(files(), directory.get(), name);
  if (!folder) return error("opening " + name, folder.error());
  return std::move(*folder);
}

// Everything of a new branch, in its folder that is not called by its name yet.
Result<void> BranchedDirectory::State::build(const CreateOptions& create, int folder,
                                             Entry& entry) {
  BlocksChain chain;
  FileDescriptor from_owned;
  int from = directory.get();
  if (!create.parent.empty()) {
    CALF_TRY(Entry * parent, find(create.parent));
    chain = chain_of(*parent);
    auto opened = open_directory(files(), parent->folder.get(), kDataFolder);
    if (!opened) return error("opening " + path_of(create.parent), opened.error());
    from_owned = std::move(*opened);
    from = from_owned.get();
  }
  for (const char* name : {kDataFolder, "gone"}) {
    if (auto made = files().mkdirat(folder, name, 0700); !made)
      return error(std::string("creating ") + name, made.error());
  }
  auto data = open_directory(files(), folder, kDataFolder);
  if (!data) return error("opening the branch's data", data.error());
  entry.info.overlay = !chain.empty() || !can_reflink(folder);
  std::vector<std::string> leave_out = create.leave_out;
  leave_out.emplace_back(kBranchesFolder);
  leave_out.emplace_back("calf.lock");
  BranchCopy copy(
      {.files = &files(),
       .method = entry.info.overlay ? BranchCopy::Method::kHardLink : BranchCopy::Method::kReflink,
       .chain = &chain,
       .sharers = sharers_of(create.parent).get(),
       .leave_out = &leave_out});
  if (auto copied = copy.run(from, data->get()); !copied)
    return error("sharing the files of " + options.path, copied.error());
  if (entry.info.overlay) {
    auto blocks = BranchBlocks::create(
        {.files = options.files, .directory = folder, .boot_id = options.boot_id},
        copy.take_inodes());
    if (!blocks) return error("creating the branch's blocks", blocks.error());
    entry.blocks = std::move(*blocks);
  }
  const nlohmann::json info = {{"parent", create.parent},
                               {"created_at_ns", entry.info.created_at_ns},
                               {"order", entry.order},
                               {"kind", entry.info.overlay ? "overlay" : "reflink"}};
  if (auto written = write_small_file(files(), folder, kInfoFile, info.dump() + "\n"); !written)
    return error(std::string("writing ") + kInfoFile, written.error());
  return {};
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
