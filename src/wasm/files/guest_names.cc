// GuestFiles: what works on names.
#include <algorithm>
#include <cstring>

#include "wasm/files/guest_errno.h"
#include "wasm/files/guest_files.h"
#include "wasm/files/guest_flags.h"
#include "wasm/files/open_description.h"

namespace calf::wasm {
namespace {

using os::Errno;
using os::Expected;
using os::fail;
using vfs::FileKind;
using vfs::Follow;

int answer(const Expected<void>& result) {
  return result ? 0 : syscall_error(result.error());
}

Follow follow_of(int flags) {
  return (flags & guest::kAtNoFollow) != 0 ? Follow::kNo : Follow::kYes;
}

Expected<vfs::OpenOptions> options_of(int flags, uint32_t permissions) {
  vfs::OpenOptions options;
  switch (flags & guest::kOpenAccess) {
    case 0:
      options.access = vfs::Access::kRead;
      break;
    case 1:
      options.access = vfs::Access::kWrite;
      break;
    case 2:
      options.access = vfs::Access::kReadWrite;
      break;
    default:
      return fail(Errno::kInvalid);
  }
  if ((flags & guest::kOpenTemporary) != 0) return fail(Errno::kNotSupported);
  options.create = (flags & guest::kOpenCreate) != 0;
  options.exclusive = (flags & guest::kOpenExclusive) != 0;
  options.truncate = (flags & guest::kOpenTruncate) != 0;
  options.append = (flags & guest::kOpenAppend) != 0;
  options.directory = (flags & guest::kOpenDirectory) != 0;
  options.no_follow = (flags & guest::kOpenNoFollow) != 0;
  options.sync = (flags & guest::kOpenDataSync) != 0;
  options.permissions = permissions;
  return options;
}

}  // namespace

// Where a relative path starts. A directory descriptor stands for the path it was opened by.
Expected<std::string_view> GuestFiles::base_of(int dir_fd) noexcept {
  if (dir_fd == guest::kAtWorkingDirectory) return std::string_view(working_directory_);
  OpenDescription* open = find(dir_fd);
  if (open == nullptr) return fail(Errno::kBadFd);
  if (open->file->kind() != FileKind::kDirectory) return fail(Errno::kNotDirectory);
  return std::string_view(open->path);
}

// The starting point for `path`, which is not looked at when `path` is absolute.
#define CALF_GUEST_BASE(name, dir_fd, path)                                                  \
  auto name##_result = (path)[0] == '/' ? Expected<std::string_view>("/") : base_of(dir_fd); \
  if (!name##_result) return syscall_error(name##_result.error());                           \
  std::string_view name = *name##_result

int GuestFiles::openat(int dir_fd, const char* path, int flags, uint32_t mode) noexcept {
  CALF_GUEST_BASE(base, dir_fd, path);
  auto options = options_of(flags, mode & 07777 & ~umask_);
  if (!options) return syscall_error(options.error());
  auto file = tree_->open(base, path, *options);
  if (!file) return syscall_error(file.error());
  auto description = std::make_shared<OpenDescription>();
  if ((*file)->kind() == FileKind::kDirectory) {
    auto canonical = tree_->canonical(base, path, Follow::kYes);
    if (!canonical) return syscall_error(canonical.error());
    description->path = std::move(*canonical);
  }
  description->file = std::move(*file);
  description->status_flags = flags & ~guest::kOpenOnly;
  description->readable = options->access != vfs::Access::kWrite;
  description->writable = options->access != vfs::Access::kRead;
  description->append = options->append;
  auto fd = add(std::move(description), 0, (flags & guest::kOpenCloseOnExec) != 0);
  return fd ? *fd : syscall_error(fd.error());
}

int GuestFiles::truncate64(const char* path, int64_t size) noexcept {
  if (size < 0) return syscall_error(Errno::kInvalid);
  auto file = tree_->open(working_directory_, path, {.access = vfs::Access::kWrite});
  if (!file) return syscall_error(file.error());
  return answer((*file)->truncate(static_cast<uint64_t>(size)));
}

int GuestFiles::stat_path(int dir_fd, const char* path, Follow follow, StatBuffer out) noexcept {
  CALF_GUEST_BASE(base, dir_fd, path);
  auto stat = tree_->stat(base, path, follow);
  if (!stat) return syscall_error(stat.error());
  encode_stat(*stat, uid_, gid_, out);
  return 0;
}

int GuestFiles::stat64(const char* path, StatBuffer out) noexcept {
  return stat_path(guest::kAtWorkingDirectory, path, Follow::kYes, out);
}

int GuestFiles::lstat64(const char* path, StatBuffer out) noexcept {
  return stat_path(guest::kAtWorkingDirectory, path, Follow::kNo, out);
}

int GuestFiles::newfstatat(int dir_fd, const char* path, StatBuffer out, int flags) noexcept {
  if (path[0] == '\0' && (flags & guest::kAtEmptyPath) != 0) {
    if (dir_fd != guest::kAtWorkingDirectory) return fstat64(dir_fd, out);
    path = ".";
  }
  return stat_path(dir_fd, path, follow_of(flags), out);
}

// The guest's user may read and write everything that can be written at all, as root may.
int GuestFiles::faccessat(int dir_fd, const char* path, int mode, int flags) noexcept {
  if ((mode & ~7) != 0) return syscall_error(Errno::kInvalid);
  CALF_GUEST_BASE(base, dir_fd, path);
  auto stat = tree_->stat(base, path, follow_of(flags));
  if (!stat) return syscall_error(stat.error());
  if ((mode & guest::kMayExecute) != 0 && stat->kind != FileKind::kDirectory &&
      (stat->permissions & 0111) == 0)
    return syscall_error(Errno::kAccess);
  if ((mode & guest::kMayWrite) == 0 || stat->kind == FileKind::kCharacterDevice) return 0;
  auto read_only = tree_->on_read_only_mount(base, path);
  if (!read_only) return syscall_error(read_only.error());
  return *read_only ? syscall_error(Errno::kReadOnly) : 0;
}

int GuestFiles::chmod(const char* path, uint32_t mode) noexcept {
  return answer(tree_->chmod(working_directory_, path, mode & 07777, Follow::kYes));
}

int GuestFiles::fchmodat2(int dir_fd, const char* path, uint32_t mode, int flags) noexcept {
  CALF_GUEST_BASE(base, dir_fd, path);
  return answer(tree_->chmod(base, path, mode & 07777, follow_of(flags)));
}

int GuestFiles::fchownat(int dir_fd, const char* path, uint32_t, uint32_t, int flags) noexcept {
  CALF_GUEST_BASE(base, dir_fd, path);
  auto stat = tree_->stat(base, path, follow_of(flags));
  return stat ? 0 : syscall_error(stat.error());
}

int GuestFiles::utimensat(int dir_fd, const char* path, std::span<const std::byte> times,
                          int flags) noexcept {
  GuestTimes change;
  if (!times.empty()) {
    if (times.size() < 2 * kGuestTimespecSize) return syscall_error(Errno::kFault);
    change = decode_times(times.first<2 * kGuestTimespecSize>());
  }
  // futimens comes as an empty path, or (in musl) as none at all.
  if (path == nullptr || path[0] == '\0') {
    OpenDescription* open = find(dir_fd);
    if (open == nullptr) return syscall_error(Errno::kBadFd);
    return answer(open->file->set_times(change.access, change.modify));
  }
  CALF_GUEST_BASE(base, dir_fd, path);
  return answer(tree_->set_times(base, path, change.access, change.modify, follow_of(flags)));
}

int GuestFiles::statfs64(const char* path, std::span<std::byte> out) noexcept {
  if (out.size() < kGuestStatfsSize) return syscall_error(Errno::kInvalid);
  auto stat = tree_->statfs(working_directory_, path);
  if (!stat) return syscall_error(stat.error());
  auto read_only = tree_->on_read_only_mount(working_directory_, path);
  encode_statfs(*stat, read_only.value_or(false), out.first<kGuestStatfsSize>());
  return 0;
}

int GuestFiles::chdir(const char* path) noexcept {
  auto canonical = tree_->canonical(working_directory_, path, Follow::kYes);
  if (!canonical) return syscall_error(canonical.error());
  auto stat = tree_->stat("/", *canonical, Follow::kYes);
  if (!stat) return syscall_error(stat.error());
  if (stat->kind != FileKind::kDirectory) return syscall_error(Errno::kNotDirectory);
  working_directory_ = std::move(*canonical);
  return 0;
}

int GuestFiles::getcwd(std::span<std::byte> out) noexcept {
  if (out.empty()) return syscall_error(Errno::kInvalid);
  size_t length = working_directory_.size() + 1;
  if (out.size() < length) return syscall_error(Errno::kRange);
  std::memcpy(out.data(), working_directory_.c_str(), length);
  return static_cast<int>(length);
}

int GuestFiles::mkdirat(int dir_fd, const char* path, uint32_t mode) noexcept {
  CALF_GUEST_BASE(base, dir_fd, path);
  return answer(tree_->mkdir(base, path, mode & 07777 & ~umask_));
}

int GuestFiles::rmdir(const char* path) noexcept {
  return answer(tree_->rmdir(working_directory_, path));
}

int GuestFiles::unlinkat(int dir_fd, const char* path, int flags) noexcept {
  if ((flags & ~guest::kAtRemoveDirectory) != 0) return syscall_error(Errno::kInvalid);
  CALF_GUEST_BASE(base, dir_fd, path);
  return answer(flags != 0 ? tree_->rmdir(base, path) : tree_->unlink(base, path));
}

int GuestFiles::renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept {
  CALF_GUEST_BASE(from_base, from_dir, from);
  CALF_GUEST_BASE(to_base, to_dir, to);
  return answer(tree_->rename(from_base, from, to_base, to));
}

int GuestFiles::linkat(int from_dir, const char* from, int to_dir, const char* to,
                       int flags) noexcept {
  CALF_GUEST_BASE(from_base, from_dir, from);
  CALF_GUEST_BASE(to_base, to_dir, to);
  if ((flags & guest::kAtFollow) == 0) return answer(tree_->link(from_base, from, to_base, to));
  auto canonical = tree_->canonical(from_base, from, Follow::kYes);
  if (!canonical) return syscall_error(canonical.error());
  return answer(tree_->link("/", *canonical, to_base, to));
}

int GuestFiles::symlinkat(const char* target, int dir_fd, const char* path) noexcept {
  CALF_GUEST_BASE(base, dir_fd, path);
  return answer(tree_->symlink(target, base, path));
}

int GuestFiles::readlinkat(int dir_fd, const char* path, std::span<std::byte> out) noexcept {
  if (out.empty()) return syscall_error(Errno::kInvalid);
  CALF_GUEST_BASE(base, dir_fd, path);
  auto target = tree_->readlink(base, path);
  if (!target) return syscall_error(target.error());
  size_t length = std::min(out.size(), target->size());
  std::memcpy(out.data(), target->data(), length);
  return static_cast<int>(length);
}

int GuestFiles::umask(uint32_t mask) noexcept {
  uint32_t before = umask_;
  umask_ = mask & 0777;
  return static_cast<int>(before);
}

}  // namespace calf::wasm
