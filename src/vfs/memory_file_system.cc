#include "vfs/memory_file_system.h"

#include "base/assert.h"
#include "vfs/memory_tree.h"

namespace calf::vfs {
namespace {

Stat stat_of(MemoryTree& tree, Node& node) {
  if (node.kind == FileKind::kDirectory) tree.materialise(node);  // the link count needs it
  Stat stat{.kind = node.kind,
            .permissions = node.permissions,
            .links = node.links,
            .inode = node.id,
            .access_time_ns = node.access_time_ns,
            .modify_time_ns = node.modify_time_ns,
            .change_time_ns = node.change_time_ns};
  if (node.kind == FileKind::kRegular) {
    stat.size_bytes = node.contents.size();
    stat.allocated_bytes = node.contents.allocated();
  } else if (node.kind == FileKind::kSymlink) {
    stat.size_bytes = node.target.size();
  } else {
    stat.size_bytes = stat.allocated_bytes = 4096;
  }
  return stat;
}

void change_time(int64_t& time_ns, TimeChange change, int64_t now) {
  if (change.kind == TimeChange::Kind::kNow) time_ns = now;
  if (change.kind == TimeChange::Kind::kSet) time_ns = change.time_ns;
}

void change_times(MemoryTree& tree, Node& node, TimeChange access, TimeChange modify) {
  int64_t now = tree.now();
  change_time(node.access_time_ns, access, now);
  change_time(node.modify_time_ns, modify, now);
  node.change_time_ns = now;
}

class MemoryFile final : public File {
 public:
  MemoryFile(MemoryTree& tree, Node& node, const OpenOptions& options)
      : tree_(tree),
        node_(node),
        readable_(options.access != Access::kWrite),
        writable_(options.access != Access::kRead) {
    ++node_.open_count;
  }
  ~MemoryFile() override {
    --node_.open_count;
    tree_.release_if_unused(node_);
  }

  FileKind kind() const override { return node_.kind; }

  Expected<size_t> preadv(std::span<const iovec> buffers, uint64_t offset) override {
    if (node_.kind == FileKind::kDirectory) return fail(Errno::kIsDirectory);
    if (!readable_) return fail(Errno::kBadFd);
    size_t total = 0;
    for (const iovec& v : buffers) {
      auto got =
          node_.contents.read({static_cast<std::byte*>(v.iov_base), v.iov_len}, offset + total);
      if (!got) return got;
      total += *got;
      if (*got < v.iov_len) break;
    }
    return total;
  }

  Expected<size_t> pwritev(std::span<const iovec> buffers, uint64_t offset) override {
    if (!writable_) return fail(Errno::kBadFd);
    size_t total = 0;
    for (const iovec& v : buffers) {
      auto put = node_.contents.write({static_cast<const std::byte*>(v.iov_base), v.iov_len},
                                      offset + total, tree_.budget);
      if (!put && total == 0) return put;
      total += put.value_or(0);
      if (put.value_or(0) < v.iov_len) break;
    }
    tree_.touch(node_);
    return total;
  }

  Expected<size_t> append(std::span<const iovec> buffers) override {
    return pwritev(buffers, node_.contents.size());
  }

  Expected<Stat> stat() override { return stat_of(tree_, node_); }

  Expected<void> truncate(uint64_t size_bytes) override {
    if (!writable_) return fail(Errno::kInvalid);
    CALF_ERRNO_CHECK(node_.contents.truncate(size_bytes, tree_.budget));
    tree_.touch(node_);
    return {};
  }

  Expected<void> allocate(uint64_t offset, uint64_t length) override {
    if (!writable_) return fail(Errno::kBadFd);
    if (length == 0) return fail(Errno::kInvalid);
    CALF_ERRNO_CHECK(node_.contents.allocate(offset, length, tree_.budget));
    tree_.touch(node_);
    return {};
  }

  Expected<void> chmod(uint32_t permissions) override {
    if (tree_.read_only) return fail(Errno::kReadOnly);
    node_.permissions = permissions & 07777;
    node_.change_time_ns = tree_.now();
    return {};
  }

  Expected<void> set_times(TimeChange access, TimeChange modify) override {
    if (tree_.read_only) return fail(Errno::kReadOnly);
    change_times(tree_, node_, access, modify);
    return {};
  }

  Expected<void> sync(SyncKind) override { return {}; }

  Expected<SharedMapping> map_shared(uint64_t offset, uint64_t length) override {
    if (node_.kind == FileKind::kDirectory) return fail(Errno::kNoDevice);
    uint64_t size = node_.contents.size();
    if (offset % 4096 != 0 || length == 0 || offset > size || length > size - offset)
      return fail(Errno::kInvalid);
    CALF_ERRNO_TRY(int fd, node_.contents.share(tree_.budget));
    return SharedMapping{fd, offset};
  }

  Expected<void> read_directory(uint64_t cookie, const EntryVisitor& visit) override;

 private:
  MemoryTree& tree_;
  Node& node_;
  bool readable_;
  bool writable_;
};

Expected<void> MemoryFile::read_directory(uint64_t cookie, const EntryVisitor& visit) {
  if (node_.kind != FileKind::kDirectory) return fail(Errno::kNotDirectory);
  tree_.materialise(node_);
  if (cookie < 1 && !visit({".", node_.id, FileKind::kDirectory, 1})) return {};
  NodeId parent = node_.parent == kNoNode ? node_.id : node_.parent;
  if (cookie < 2 && !visit({"..", parent, FileKind::kDirectory, 2})) return {};
  if (!node_.table) return {};
  Shared<DirectoryTable> table =
      node_.table;  // stays as it is even if the visitor changes the tree
  table->each_after(cookie, [&](const DirectoryTable::Entry& entry) {
    return visit({entry.name, entry.node, tree_.node(entry.node).kind, entry.cookie});
  });
  return {};
}

// What must hold before the last component of a walk may be created.
Expected<void> check_can_create(const Walk& walk) {
  if (walk.node != nullptr) return fail(Errno::kExists);
  if (walk.parent->links == 0) return fail(Errno::kNoEntry);  // a removed directory
  return {};
}

bool is_empty(MemoryTree& tree, Node& directory) {
  tree.materialise(directory);
  return !directory.table || directory.table->empty();
}

bool is_inside(MemoryTree& tree, Node& directory, const Node& ancestor) {
  for (Node* at = &directory;; at = &tree.node(at->parent)) {
    if (at == &ancestor) return true;
    if (at->id == MemoryTree::kRoot) return false;
  }
}

// May `from` take the place of `to`, as rename(2) says?
Expected<void> check_replaceable(MemoryTree& tree, const Node& from, Node& to) {
  bool from_directory = from.kind == FileKind::kDirectory;
  bool to_directory = to.kind == FileKind::kDirectory;
  if (from_directory && !to_directory) return fail(Errno::kNotDirectory);
  if (!from_directory && to_directory) return fail(Errno::kIsDirectory);
  if (to_directory && !is_empty(tree, to)) return fail(Errno::kNotEmpty);
  return {};
}

}  // namespace

MemoryFileSystem::MemoryFileSystem(std::unique_ptr<MemoryTree> tree) : tree_(std::move(tree)) {}
MemoryFileSystem::~MemoryFileSystem() = default;

Expected<std::unique_ptr<MemoryFileSystem>> MemoryFileSystem::create(const Options& options) {
  ASSERT(options.clock != nullptr);
  auto tree = std::make_unique<MemoryTree>();
  tree->clock = options.clock;
  tree->budget.limit_bytes = options.limit_bytes;
  tree->read_only = options.read_only;
  tree->pack = options.pack;
  Node& root = tree->create(FileKind::kDirectory, 0700);
  root.links = 2;
  if (options.pack != nullptr) {
    auto entry = options.pack->find(options.pack_subtree);
    if (!entry) return fail(Errno::kNoEntry);
    if (options.pack->entry(*entry).kind != FileKind::kDirectory) return fail(Errno::kNotDirectory);
    root.pack_entry = *entry;
    root.permissions = options.pack->entry(*entry).permissions;
  }
  return std::unique_ptr<MemoryFileSystem>(new MemoryFileSystem(std::move(tree)));
}

std::unique_ptr<MemoryFileSystem> MemoryFileSystem::clone() const {
  auto copy = std::make_unique<MemoryTree>();
  copy->clock = tree_->clock;
  copy->pack = tree_->pack;
  copy->read_only = tree_->read_only;
  copy->budget.limit_bytes = tree_->budget.limit_bytes;
  for (NodeId id = MemoryTree::kRoot; id < tree_->nodes.size(); ++id) {
    const Node& from = tree_->nodes[id];
    Node& to = copy->nodes.emplace_back();
    if (from.links == 0) {
      copy->free_nodes.push_back(id);
      continue;
    }
    to.id = id;
    to.kind = from.kind;
    to.permissions = from.permissions;
    to.links = from.links;
    to.parent = from.parent;
    to.pack_entry = from.pack_entry;
    to.access_time_ns = from.access_time_ns;
    to.modify_time_ns = from.modify_time_ns;
    to.change_time_ns = from.change_time_ns;
    to.contents = from.contents.clone(copy->budget);
    to.table = from.table;
    to.target = from.target;
  }
  return std::unique_ptr<MemoryFileSystem>(new MemoryFileSystem(std::move(copy)));
}

uint64_t MemoryFileSystem::used_bytes() const {
  return tree_->budget.used_bytes;
}
uint64_t MemoryFileSystem::own_bytes() const {
  uint64_t total = 0;
  for (const Node& node : tree_->nodes) total += node.contents.own();
  return total;
}
void MemoryFileSystem::set_read_only(bool read_only) {
  tree_->read_only = read_only;
}
bool MemoryFileSystem::read_only() const {
  return tree_->read_only;
}

Expected<std::unique_ptr<File>> MemoryFileSystem::open(std::string_view path,
                                                       const OpenOptions& options) {
  Walk walk;
  bool exclusive = options.create && options.exclusive;
  Follow follow = options.no_follow || exclusive ? Follow::kNo : Follow::kYes;
  CALF_ERRNO_CHECK(tree_->walk(path, follow, walk));
  bool writes = options.access != Access::kRead || options.truncate;
  if (walk.node == nullptr) {
    if (!options.create) return fail(Errno::kNoEntry);
    if (walk.ends_in_slash) return fail(Errno::kIsDirectory);
    if (tree_->read_only) return fail(Errno::kReadOnly);
    CALF_ERRNO_CHECK(check_can_create(walk));
    Node& node = tree_->create(FileKind::kRegular, options.permissions);
    tree_->add_name(*walk.parent, walk.name, node);
    return std::make_unique<MemoryFile>(*tree_, node, options);
  }
  Node& node = *walk.node;
  bool directory = node.kind == FileKind::kDirectory;
  if (exclusive) return fail(Errno::kExists);
  if (node.kind == FileKind::kSymlink)
    return fail(options.directory ? Errno::kNotDirectory : Errno::kLoop);
  if (!directory && (options.directory || walk.ends_in_slash)) return fail(Errno::kNotDirectory);
  if (directory && (writes || options.create)) return fail(Errno::kIsDirectory);
  if (writes && tree_->read_only) return fail(Errno::kReadOnly);
  auto file = std::make_unique<MemoryFile>(*tree_, node, options);
  if (options.truncate) {
    CALF_ERRNO_CHECK(node.contents.truncate(0, tree_->budget));
    tree_->touch(node);
  }
  return file;
}

Expected<Stat> MemoryFileSystem::stat(std::string_view path, Follow follow) {
  CALF_ERRNO_TRY(Node * node, tree_->find(path, follow));
  return stat_of(*tree_, *node);
}

Expected<void> MemoryFileSystem::mkdir(std::string_view path, uint32_t permissions) {
  Walk walk;
  CALF_ERRNO_CHECK(tree_->walk(path, Follow::kNo, walk));
  CALF_ERRNO_CHECK(check_can_create(walk));
  if (tree_->read_only) return fail(Errno::kReadOnly);
  tree_->add_name(*walk.parent, walk.name, tree_->create(FileKind::kDirectory, permissions));
  return {};
}

Expected<void> MemoryFileSystem::rmdir(std::string_view path) {
  Walk walk;
  CALF_ERRNO_CHECK(tree_->walk(path, Follow::kNo, walk));
  if (walk.special == ".") return fail(Errno::kInvalid);
  if (walk.special == "..") return fail(Errno::kNotEmpty);
  if (walk.name.empty()) return fail(Errno::kBusy);
  if (walk.node == nullptr) return fail(Errno::kNoEntry);
  if (walk.node->kind != FileKind::kDirectory) return fail(Errno::kNotDirectory);
  if (tree_->read_only) return fail(Errno::kReadOnly);
  if (!is_empty(*tree_, *walk.node)) return fail(Errno::kNotEmpty);
  tree_->remove_name(*walk.parent, walk.name);
  return {};
}

Expected<void> MemoryFileSystem::unlink(std::string_view path) {
  Walk walk;
  CALF_ERRNO_CHECK(tree_->walk(path, Follow::kNo, walk));
  if (walk.node == nullptr) return fail(Errno::kNoEntry);
  if (walk.node->kind == FileKind::kDirectory) return fail(Errno::kIsDirectory);
  if (walk.ends_in_slash) return fail(Errno::kNotDirectory);
  if (tree_->read_only) return fail(Errno::kReadOnly);
  tree_->remove_name(*walk.parent, walk.name);
  return {};
}

Expected<void> MemoryFileSystem::rename(std::string_view from_path, std::string_view to_path) {
  Walk from, to;
  CALF_ERRNO_CHECK(tree_->walk(from_path, Follow::kNo, from));
  CALF_ERRNO_CHECK(tree_->walk(to_path, Follow::kNo, to));
  if (from.name.empty() || to.name.empty()) return fail(Errno::kBusy);
  if (from.node == nullptr) return fail(Errno::kNoEntry);
  bool directory = from.node->kind == FileKind::kDirectory;
  if (!directory && (from.ends_in_slash || to.ends_in_slash)) return fail(Errno::kNotDirectory);
  if (tree_->read_only) return fail(Errno::kReadOnly);
  if (to.parent->links == 0) return fail(Errno::kNoEntry);
  if (from.node == to.node) return {};
  if (directory && is_inside(*tree_, *to.parent, *from.node)) return fail(Errno::kInvalid);
  if (to.node != nullptr) {
    CALF_ERRNO_CHECK(check_replaceable(*tree_, *from.node, *to.node));
    tree_->remove_name(*to.parent, to.name);
  }
  ++from.node->open_count;  // keeps the node between its two names
  tree_->remove_name(*from.parent, from.name);
  tree_->add_name(*to.parent, to.name, *from.node);
  --from.node->open_count;
  return {};
}

Expected<void> MemoryFileSystem::link(std::string_view from_path, std::string_view to_path) {
  CALF_ERRNO_TRY(Node * from, tree_->find(from_path, Follow::kNo));
  Walk to;
  CALF_ERRNO_CHECK(tree_->walk(to_path, Follow::kNo, to));
  if (from->kind == FileKind::kDirectory) return fail(Errno::kPerm);
  CALF_ERRNO_CHECK(check_can_create(to));
  if (to.ends_in_slash) return fail(Errno::kNoEntry);
  if (tree_->read_only) return fail(Errno::kReadOnly);
  tree_->add_name(*to.parent, to.name, *from);
  from->change_time_ns = tree_->now();
  return {};
}

Expected<void> MemoryFileSystem::symlink(std::string_view target, std::string_view path) {
  if (target.empty()) return fail(Errno::kNoEntry);
  if (target.size() > kMaxPath) return fail(Errno::kNameTooLong);
  Walk walk;
  CALF_ERRNO_CHECK(tree_->walk(path, Follow::kNo, walk));
  CALF_ERRNO_CHECK(check_can_create(walk));
  if (walk.ends_in_slash) return fail(Errno::kNoEntry);
  if (tree_->read_only) return fail(Errno::kReadOnly);
  Node& node = tree_->create(FileKind::kSymlink, 0777);
  node.target = target;
  tree_->add_name(*walk.parent, walk.name, node);
  return {};
}

Expected<std::string> MemoryFileSystem::readlink(std::string_view path) {
  CALF_ERRNO_TRY(Node * node, tree_->find(path, Follow::kNo));
  if (node->kind != FileKind::kSymlink) return fail(Errno::kInvalid);
  return node->target;
}

Expected<void> MemoryFileSystem::chmod(std::string_view path, uint32_t permissions, Follow follow) {
  CALF_ERRNO_TRY(Node * node, tree_->find(path, follow));
  if (tree_->read_only) return fail(Errno::kReadOnly);
  if (node->kind == FileKind::kSymlink) return fail(Errno::kNotSupported);
  node->permissions = permissions & 07777;
  node->change_time_ns = tree_->now();
  return {};
}

Expected<void> MemoryFileSystem::set_times(std::string_view path, TimeChange access,
                                           TimeChange modify, Follow follow) {
  CALF_ERRNO_TRY(Node * node, tree_->find(path, follow));
  if (tree_->read_only) return fail(Errno::kReadOnly);
  change_times(*tree_, *node, access, modify);
  return {};
}

Expected<FsStat> MemoryFileSystem::statfs() {
  constexpr uint64_t kUnlimited = uint64_t{1} << 40;  // what an unlimited one claims to have
  const Budget& budget = tree_->budget;
  uint64_t total = budget.limited() ? budget.limit_bytes : kUnlimited;
  uint64_t used = std::min(budget.used_bytes, total);
  return FsStat{.block_size_bytes = 4096,
                .blocks = total / 4096,
                .free_blocks = (total - used) / 4096,
                .files = UINT32_MAX,
                .free_files = UINT32_MAX - tree_->nodes.size()};
}

}  // namespace calf::vfs
