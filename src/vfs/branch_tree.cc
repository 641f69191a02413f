#include "vfs/branch_tree.h"

#include <algorithm>

#include "vfs/branched_directory.h"
#include "vfs/path.h"

namespace calf::vfs {

void Sharers::add(std::shared_ptr<BranchBlocks> branch) {
  std::lock_guard lock(mutex_);
  branch->set_has_older(!branches_.empty());
  if (!branches_.empty()) branches_.back()->set_newer(branch);
  branches_.push_back(std::move(branch));
  count_.store(static_cast<uint32_t>(branches_.size()), std::memory_order_release);
}

Expected<void> Sharers::hand_down(BranchBlocks& branch) {
  std::vector<std::shared_ptr<BranchBlocks>> older;
  {
    std::lock_guard lock(mutex_);
    for (const auto& other : branches_) {
      if (other.get() == &branch) break;
      older.insert(older.begin(), other);
    }
  }
  if (older.empty()) return {};
  branch.retire(true);
  return branch.hand_down(older);
}

void Sharers::remove(const BranchBlocks& branch) {
  std::lock_guard lock(mutex_);
  const auto at = std::ranges::find(branches_, &branch, &std::shared_ptr<BranchBlocks>::get);
  if (at == branches_.end()) return;
  if (at != branches_.begin()) {
    (*std::prev(at))->set_newer((*at)->newer());
  } else if (branches_.size() > 1) {
    (*std::next(at))->set_has_older(false);
  }
  branches_.erase(at);
  count_.store(static_cast<uint32_t>(branches_.size()), std::memory_order_release);
}

void Sharers::preserve(InodeNumber number, uint64_t offset, uint64_t length,
                       const BranchBlocks::ReadBase& read_base) {
  std::lock_guard lock(mutex_);
  std::vector<BranchBlocks::Range> ranges;
  if (length > 0 && offset < kMaxFileSize)
    ranges.push_back({offset, offset + std::min(length, kMaxFileSize - offset)});
  for (auto at = branches_.rbegin(); at != branches_.rend() && !ranges.empty(); ++at)
    ranges = (*at)->preserve(number, ranges, read_base);
}

void Sharers::sync() {
  std::vector<std::shared_ptr<BranchBlocks>> branches;
  {
    std::lock_guard lock(mutex_);
    branches = branches_;
  }
  bool all = true;
  for (auto at = branches.rbegin(); at != branches.rend(); ++at) {
    if (!all) (*at)->lose_with_newer();
    all = (*at)->sync_kept() && all;
  }
}

void Sharers::note_mapped(InodeNumber number) {
  std::lock_guard lock(mutex_);
  mapped_.insert(number);
}

bool Sharers::is_mapped(InodeNumber number) const {
  std::lock_guard lock(mutex_);
  return mapped_.contains(number);
}

Expected<void> read_through(const BlocksChain& chain, size_t level, InodeNumber number, File& file,
                            std::span<std::byte> bytes, uint64_t offset) {
  const SharedInode* inode = level < chain.size() ? chain[level]->find(number) : nullptr;
  size_t got = 0;
  if (inode == nullptr) {
    CALF_ERRNO_TRY(got, file.pread(bytes, offset));
  } else {
    auto base = [&](std::span<std::byte> part, uint64_t at) {
      return read_through(chain, level + 1, number, file, part, at);
    };
    CALF_ERRNO_TRY(got, chain[level]->read(*inode, bytes, offset, base));
  }
  std::fill(bytes.begin() + static_cast<ptrdiff_t>(got), bytes.end(), std::byte{0});
  return {};
}

// A file or directory of a tree. With `shared`, the contents are the branch's view of the parent's
// file, and the host's file is only read.
class BranchFile final : public File {
 public:
  BranchFile(BranchTree& tree, std::unique_ptr<File> host, const OpenOptions& options,
             SharedInode* shared)
      : tree_(tree),
        host_(std::move(host)),
        shared_(shared),
        readable_(options.access != Access::kWrite),
        writable_(options.access != Access::kRead),
        sync_each_write_(options.sync) {
    if (shared_ != nullptr) tree_.blocks()->add_open(*shared_);
  }
  ~BranchFile() override {
    if (shared_ != nullptr) tree_.blocks()->remove_open(*shared_);
  }

  FileKind kind() const override { return host_->kind(); }

  Expected<size_t> preadv(std::span<const iovec> buffers, uint64_t offset) override {
    if (!readable_) return fail(Errno::kBadFd);
    if (shared_ == nullptr) return host_->preadv(buffers, offset);
    size_t total = 0;
    for (const iovec& v : buffers) {
      CALF_ERRNO_TRY(size_t got, tree_.blocks()->read(
                                     *shared_, {static_cast<std::byte*>(v.iov_base), v.iov_len},
                                     offset + total, ParentReader{*this}));
      total += got;
      if (got < v.iov_len) break;
    }
    return total;
  }

  Expected<size_t> pwritev(std::span<const iovec> buffers, uint64_t offset) override {
    if (!writable_) return fail(Errno::kBadFd);
    uint64_t length = 0;
    for (const iovec& v : buffers) length += v.iov_len;
    CALF_ERRNO_CHECK(preserve(offset, length));
    if (sync_each_write_) tree_.options_.sharers->sync();
    if (shared_ == nullptr) return host_->pwritev(buffers, offset);
    size_t total = 0;
    for (const iovec& v : buffers) {
      auto done =
          tree_.blocks()->write(*shared_, {static_cast<const std::byte*>(v.iov_base), v.iov_len},
                                offset + total, now(), ParentReader{*this});
      if (!done && total == 0) return fail(done.error());
      if (!done) break;
      total += v.iov_len;
    }
    if (sync_each_write_) CALF_ERRNO_CHECK(tree_.blocks()->sync());
    return total;
  }

  Expected<size_t> append(std::span<const iovec> buffers) override {
    CALF_ERRNO_TRY(Stat now, stat());
    return pwritev(buffers, now.size_bytes);
  }

  Expected<Stat> stat() override {
    return shared_ != nullptr ? tree_.blocks()->stat(*shared_) : host_->stat();
  }

  Expected<void> truncate(uint64_t size_bytes) override {
    if (!writable_) return fail(Errno::kInvalid);
    if (size_bytes > kMaxFileSize) return fail(Errno::kFileTooBig);
    CALF_ERRNO_CHECK(preserve(size_bytes, kMaxFileSize));
    if (shared_ == nullptr) return host_->truncate(size_bytes);
    return tree_.blocks()->truncate(*shared_, size_bytes, now());
  }

  // Changes no bytes that are there.
  Expected<void> allocate(uint64_t offset, uint64_t length) override {
    if (shared_ == nullptr) return host_->allocate(offset, length);
    if (!writable_) return fail(Errno::kBadFd);
    if (length == 0) return fail(Errno::kInvalid);
    if (offset > kMaxFileSize || length > kMaxFileSize - offset) return fail(Errno::kFileTooBig);
    return tree_.blocks()->allocate(*shared_, offset, length, now());
  }

  Expected<void> chmod(uint32_t permissions) override {
    if (shared_ == nullptr) return host_->chmod(permissions);
    return tree_.blocks()->set_permissions(*shared_, permissions);
  }
  Expected<void> set_times(TimeChange access, TimeChange modify) override {
    if (shared_ == nullptr) return host_->set_times(access, modify);
    return tree_.blocks()->set_times(*shared_, access, modify, now());
  }

  // What is about to become durable here has old blocks, which must be durable before.
  Expected<void> sync(SyncKind kind) override {
    tree_.options_.sharers->sync();
    return shared_ != nullptr ? tree_.blocks()->sync() : host_->sync(kind);
  }
  bool sync_waits() const override { return true; }

  // Blocks that two trees share have no one place, so a file that came from the parent cannot be
  // mapped. PostgreSQL maps only what it has just created.
  Expected<SharedMapping> map_shared(uint64_t offset, uint64_t length) override {
    if (shared_ != nullptr) return fail(Errno::kNoDevice);
    CALF_ERRNO_TRY(SharedMapping mapping, host_->map_shared(offset, length));
    CALF_ERRNO_CHECK(preserve(0, kMaxFileSize));
    CALF_ERRNO_TRY(InodeNumber number, inode());
    tree_.options_.sharers->note_mapped(number);
    return mapping;
  }

  Expected<void> read_directory(uint64_t cookie, const EntryVisitor& visit) override {
    const bool filter = tree_.blocks() == nullptr;
    return host_->read_directory(cookie, [&](const DirectoryEntry& entry) {
      if (filter && entry.name == kBranchesFolder) return true;
      return visit(entry);
    });
  }

 private:
  // The parent's bytes, under this branch's own.
  struct ParentReader {
    BranchFile& file;
    Expected<void> operator()(std::span<std::byte> bytes, uint64_t offset) const {
      return read_through(file.tree_.options_.chain, 1, file.shared_->number, *file.host_, bytes,
                          offset);
    }
  };
  // This tree's bytes, which its own branches have below theirs.
  struct OwnReader {
    BranchFile& file;
    InodeNumber number;
    Expected<void> operator()(std::span<std::byte> bytes, uint64_t offset) const {
      return read_through(file.tree_.options_.chain, 0, number, *file.host_, bytes, offset);
    }
  };

  [[nodiscard]] int64_t now() const { return tree_.options_.clock->realtime_coarse_ns(); }

  Expected<InodeNumber> inode() {
    if (number_ == 0) {
      CALF_ERRNO_TRY(Stat stat, host_->stat());
      number_ = stat.inode;
    }
    return number_;
  }

  Expected<void> preserve(uint64_t offset, uint64_t length) {
    if (!tree_.options_.sharers->any()) return {};
    CALF_ERRNO_TRY(InodeNumber number, inode());
    tree_.options_.sharers->preserve(number, offset, length, OwnReader{*this, number});
    return {};
  }

  BranchTree& tree_;
  std::unique_ptr<File> host_;
  SharedInode* shared_;
  InodeNumber number_ = 0;  // 0: not asked for yet
  bool readable_;
  bool writable_;
  bool sync_each_write_;
};

BranchTree::BranchTree(Options options) : options_(std::move(options)) {}

// Only the directory itself has the folder. Nobody inside of it would look there by accident.
bool BranchTree::is_hidden(std::string_view path) const {
  if (blocks() != nullptr) return false;
  std::string_view first = take_component(path);
  while (first == ".") first = take_component(path);
  return first == kBranchesFolder;
}

SharedInode* BranchTree::shared_at(std::string_view path, Follow follow) {
  if (blocks() == nullptr) return nullptr;
  auto stat = options_.names->stat(path, follow);
  return stat && stat->kind == FileKind::kRegular ? blocks()->find(stat->inode) : nullptr;
}

Expected<std::unique_ptr<File>> BranchTree::open(std::string_view path,
                                                 const OpenOptions& options) {
  if (is_hidden(path)) return fail(options.create ? Errno::kPerm : Errno::kNoEntry);
  const bool exclusive = options.create && options.exclusive;
  const Follow follow = options.no_follow || exclusive ? Follow::kNo : Follow::kYes;
  SharedInode* shared = shared_at(path, follow);
  return shared != nullptr ? open_shared(path, options, *shared) : open_plain(path, options);
}

Expected<std::unique_ptr<File>> BranchTree::open_shared(std::string_view path,
                                                        const OpenOptions& options,
                                                        SharedInode& inode) {
  if (options.create && options.exclusive) return fail(Errno::kExists);
  CALF_ERRNO_TRY(auto host, options_.names->open(path, {.directory = options.directory,
                                                        .no_follow = options.no_follow}));
  auto file = std::make_unique<BranchFile>(*this, std::move(host), options, &inode);
  if (options.truncate) {
    OpenOptions writing{.access = Access::kWrite};
    CALF_ERRNO_TRY(auto again, options_.names->open(path, {.no_follow = options.no_follow}));
    CALF_ERRNO_CHECK(BranchFile(*this, std::move(again), writing, &inode).truncate(0));
  }
  return file;
}

// Reading what is about to be overwritten needs a descriptor that can read, and cutting a file off
// must go through BranchFile.
Expected<std::unique_ptr<File>> BranchTree::open_plain(std::string_view path,
                                                       const OpenOptions& options) {
  OpenOptions wider = options;
  wider.truncate = false;
  if (options.access != Access::kRead || options.truncate) wider.access = Access::kReadWrite;
  CALF_ERRNO_TRY(auto host, options_.names->open(path, wider));
  auto file = std::make_unique<BranchFile>(*this, std::move(host), options, nullptr);
  if (!options.truncate) return file;
  OpenOptions writing{.access = Access::kWrite};
  CALF_ERRNO_TRY(auto again, options_.names->open(path, {.access = Access::kReadWrite,
                                                         .no_follow = options.no_follow}));
  CALF_ERRNO_CHECK(BranchFile(*this, std::move(again), writing, nullptr).truncate(0));
  return file;
}

Expected<Stat> BranchTree::stat(std::string_view path, Follow follow) {
  if (is_hidden(path)) return fail(Errno::kNoEntry);
  CALF_ERRNO_TRY(Stat stat, options_.names->stat(path, follow));
  if (blocks() == nullptr || stat.kind != FileKind::kRegular) return stat;
  const SharedInode* shared = blocks()->find(stat.inode);
  return shared != nullptr ? blocks()->stat(*shared) : stat;
}

Expected<void> BranchTree::mkdir(std::string_view path, uint32_t permissions) {
  if (is_hidden(path)) return fail(Errno::kPerm);
  return options_.names->mkdir(path, permissions);
}

Expected<void> BranchTree::rmdir(std::string_view path) {
  if (is_hidden(path)) return fail(Errno::kNoEntry);
  return options_.names->rmdir(path);
}

// The number stands for the file as long as the branch lives: while a name is left in `gone`, no
// other file can get it.
Expected<void> BranchTree::keep_inode(std::string_view path, const SharedInode& inode) {
  std::string from = "data/";
  from += path;
  auto kept = options_.folder->link(from, "gone/" + std::to_string(inode.number));
  if (!kept && kept.error() != Errno::kExists) return kept;
  return {};
}

Expected<void> BranchTree::unlink(std::string_view path) {
  if (is_hidden(path)) return fail(Errno::kNoEntry);
  SharedInode* shared = shared_at(path, Follow::kNo);
  if (shared != nullptr) CALF_ERRNO_CHECK(keep_inode(path, *shared));
  CALF_ERRNO_CHECK(options_.names->unlink(path));
  if (shared != nullptr) blocks()->remove_name(*shared);
  return {};
}

Expected<void> BranchTree::rename(std::string_view from, std::string_view to) {
  if (is_hidden(from)) return fail(Errno::kNoEntry);
  if (is_hidden(to)) return fail(Errno::kPerm);
  SharedInode* replaced = shared_at(to, Follow::kNo);
  if (replaced != nullptr && replaced == shared_at(from, Follow::kNo)) return {};
  if (replaced != nullptr) CALF_ERRNO_CHECK(keep_inode(to, *replaced));
  CALF_ERRNO_CHECK(options_.names->rename(from, to));
  if (replaced != nullptr) blocks()->remove_name(*replaced);
  return {};
}

Expected<void> BranchTree::link(std::string_view from, std::string_view to) {
  if (is_hidden(from)) return fail(Errno::kNoEntry);
  if (is_hidden(to)) return fail(Errno::kPerm);
  CALF_ERRNO_CHECK(options_.names->link(from, to));
  if (SharedInode* shared = shared_at(to, Follow::kNo)) blocks()->add_name(*shared);
  return {};
}

Expected<void> BranchTree::symlink(std::string_view target, std::string_view path) {
  if (is_hidden(path)) return fail(Errno::kPerm);
  return options_.names->symlink(target, path);
}

Expected<std::string> BranchTree::readlink(std::string_view path) {
  if (is_hidden(path)) return fail(Errno::kNoEntry);
  return options_.names->readlink(path);
}

Expected<void> BranchTree::chmod(std::string_view path, uint32_t permissions, Follow follow) {
  if (is_hidden(path)) return fail(Errno::kNoEntry);
  if (SharedInode* shared = shared_at(path, follow))
    return blocks()->set_permissions(*shared, permissions);
  return options_.names->chmod(path, permissions, follow);
}

Expected<void> BranchTree::set_times(std::string_view path, TimeChange access, TimeChange modify,
                                     Follow follow) {
  if (is_hidden(path)) return fail(Errno::kNoEntry);
  if (SharedInode* shared = shared_at(path, follow))
    return blocks()->set_times(*shared, access, modify, options_.clock->realtime_coarse_ns());
  return options_.names->set_times(path, access, modify, follow);
}

Expected<FsStat> BranchTree::statfs() {
  return options_.names->statfs();
}

}  // namespace calf::vfs
