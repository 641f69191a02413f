#include "vfs/branched_directory_state.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "vfs/branch_copy.h"

namespace calf::vfs {
namespace {

constexpr size_t kMaxBranchName = 63;  // as PostgreSQL's names

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
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

}  // namespace

bool is_branch_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxBranchName && is_letter_or_digit(name.front()) &&
         std::ranges::all_of(name, [](char c) {
           return is_letter_or_digit(c) || c == '_' || c == '-' || c == '.';
         });
}

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

}  // namespace calf::vfs
