#include "vfs/branch_copy.h"

#include <algorithm>

namespace calf::vfs {
namespace {

// Where files are reflinked, those up to this size are copied: that is quicker, and a reflink would
// first wait until the disk has what was written lately.
constexpr int64_t kCopiedSize = 64 * 1024;

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Expected<void> BranchCopy::run(int from, int to) {
  ++depth_;
  auto done = each_entry(*options_.files, from,
                         [&](const HostEntry& entry) { return this->entry(from, to, entry); });
  --depth_;
  return done;
}

std::vector<SharedInode> BranchCopy::take_inodes() {
  std::vector<SharedInode> list;
  list.reserve(inodes_.size());
  for (auto& [number, inode] : inodes_) list.push_back(std::move(inode));
  inodes_.clear();
  return list;
}

Expected<void> BranchCopy::entry(int from, int to, const HostEntry& entry) {
  const auto& leave_out = *options_.leave_out;
  if (depth_ == 1 && std::ranges::find(leave_out, entry.name) != leave_out.end()) return {};
  switch (entry.kind) {
    case FileKind::kDirectory:
      return directory(from, to, entry.name);
    case FileKind::kSymlink:
      return symlink(from, to, entry.name);
    case FileKind::kRegular:
      return regular(from, to, entry.name);
    default:
      return {};  // nothing that a cluster keeps
  }
}

Expected<void> BranchCopy::directory(int from, int to, const std::string& name) {
  os::Files& files = *options_.files;
  CALF_ERRNO_TRY(auto inside, open_directory(files, from, name));
  CALF_ERRNO_TRY(struct stat stat, files.fstat(inside.get()));
  CALF_ERRNO_CHECK(files.mkdirat(to, name.c_str(), 0700));
  CALF_ERRNO_TRY(auto made, open_directory(files, to, name));
  CALF_ERRNO_CHECK(run(inside.get(), made.get()));
  return files.fchmod(made.get(), stat.st_mode & 07777);
}

Expected<void> BranchCopy::symlink(int from, int to, const std::string& name) {
  char target[kMaxPath + 1];
  CALF_ERRNO_TRY(size_t size, options_.files->readlinkat(from, name.c_str(), {target, kMaxPath}));
  target[size] = '\0';
  return options_.files->symlinkat(target, to, name.c_str());
}

Expected<void> BranchCopy::regular(int from, int to, const std::string& name) {
  os::Files& files = *options_.files;
  CALF_ERRNO_TRY(struct stat stat, files.fstatat(from, name.c_str(), AT_SYMLINK_NOFOLLOW));
  const bool is_mapped = options_.sharers->is_mapped(stat.st_ino);
  if (options_.method == Method::kReflink || is_mapped) return copy(from, to, name, stat);
  CALF_ERRNO_CHECK(files.linkat(from, name.c_str(), to, name.c_str()));
  auto [at, fresh] = inodes_.try_emplace(stat.st_ino);
  SharedInode& inode = at->second;
  ++inode.names;
  if (!fresh) return {};
  Stat now{.permissions = stat.st_mode & 07777,
           .size_bytes = static_cast<uint64_t>(stat.st_size),
           .access_time_ns = nanoseconds(stat.st_atim),
           .modify_time_ns = nanoseconds(stat.st_mtim)};
  if (!options_.chain->empty()) {
    BranchBlocks& blocks = *options_.chain->front();
    if (const SharedInode* shared = blocks.find(stat.st_ino)) now = blocks.stat(*shared);
  }
  inode.number = stat.st_ino;
  inode.size = inode.base_size = now.size_bytes;
  inode.permissions = now.permissions;
  inode.access_time_ns = now.access_time_ns;
  inode.modify_time_ns = now.modify_time_ns;
  return {};
}

// Times are left as they come: setting them would be a third of the work, and a cluster does not
// look at them.
Expected<void> BranchCopy::copy(int from, int to, const std::string& name,
                                const struct stat& stat) {
  os::Files& files = *options_.files;
  const mode_t mode = stat.st_mode & 07777;
  CALF_ERRNO_TRY(int target, files.open(to, name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600,
                                        os::Resolve::kBeneath));
  os::FileDescriptor writing(files, target);
  if (mode != 0600) CALF_ERRNO_CHECK(files.fchmod(target, mode));
  if (stat.st_size == 0) return {};
  CALF_ERRNO_TRY(int source,
                 files.open(from, name.c_str(), O_RDONLY | O_NOFOLLOW, 0, os::Resolve::kBeneath));
  os::FileDescriptor reading(files, source);
  const bool shares = options_.method == Method::kReflink && stat.st_size > kCopiedSize;
  return shares ? files.reflink(target, source) : copy_bytes(source, target);
}

Expected<void> BranchCopy::copy_bytes(int from, int to) {
  buffer_.resize(kCopiedSize);
  for (uint64_t offset = 0;;) {
    iovec v{buffer_.data(), buffer_.size()};
    CALF_ERRNO_TRY(v.iov_len, options_.files->preadv(from, {&v, 1}, offset));
    if (v.iov_len == 0) break;
    CALF_ERRNO_TRY(size_t written, options_.files->pwritev(to, {&v, 1}, offset));
    if (written == 0) return fail(Errno::kNoSpace);
    offset += written;
  }
  // An overlay is made durable without its plain files, of which there are hardly any at first.
  return options_.method == Method::kHardLink ? options_.files->fsync(to) : Expected<void>();
}

}  // namespace calf::vfs
