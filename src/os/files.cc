#include "os/files.h"

#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

namespace calf::os {
namespace {

constexpr int kMaxResolveTries = 100;

// Runs a system call again while a signal interrupts it.
template <typename Call>
auto retry(Call call) {
  for (;;) {
    auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

template <typename Call>
Expected<void> done(Call call) {
  if (retry(call) < 0) return fail(last_errno());
  return {};
}

template <typename Call>
Expected<size_t> counted(Call call) {
  auto result = retry(call);
  if (result < 0) return fail(last_errno());
  return static_cast<size_t>(result);
}

int count_of(std::span<const iovec> buffers) {
  return static_cast<int>(std::min<size_t>(buffers.size(), IOV_MAX));
}

}  // namespace

Expected<int> SystemFiles::open(int dir, const char* path, int flags, mode_t mode,
                                Resolve resolve) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  // openat2 is strict: a mode without O_CREAT is an error.
  how.mode = (flags & O_CREAT) != 0 ? mode & 07777 : 0;
  how.resolve = resolve == Resolve::kBeneath ? RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS : 0;
  for (int again = 0;;) {
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno == EINTR) continue;
    // The tree was renamed while ".." was resolved; the kernel asks to try again.
    if (errno == EAGAIN && resolve == Resolve::kBeneath && ++again < kMaxResolveTries) continue;
    if (errno == ENOSYS && resolve == Resolve::kAnywhere) break;
    return fail(last_errno());
  }
  int fd = retry([&] { return ::openat(dir, path, flags | O_CLOEXEC, mode); });
  if (fd < 0) return fail(last_errno());
  return fd;
}

// Linux closes the descriptor even when it says EINTR: never again.
void SystemFiles::close(int fd) {
  ::close(fd);
}

Expected<size_t> SystemFiles::preadv(int fd, std::span<const iovec> buffers, uint64_t offset) {
  return counted([&] {
    if (buffers.size() == 1)
      return ::pread(fd, buffers[0].iov_base, buffers[0].iov_len, static_cast<off_t>(offset));
    return ::preadv(fd, buffers.data(), count_of(buffers), static_cast<off_t>(offset));
  });
}

Expected<size_t> SystemFiles::pwritev(int fd, std::span<const iovec> buffers, uint64_t offset) {
  return counted([&] {
    if (buffers.size() == 1)
      return ::pwrite(fd, buffers[0].iov_base, buffers[0].iov_len, static_cast<off_t>(offset));
    return ::pwritev(fd, buffers.data(), count_of(buffers), static_cast<off_t>(offset));
  });
}

// No second try on EINTR or EIO: after a failed fsync the kernel may have dropped the dirty pages.
Expected<void> SystemFiles::fsync(int fd) {
  if (::fsync(fd) != 0) return fail(last_errno());
  return {};
}

Expected<void> SystemFiles::fdatasync(int fd) {
  if (::fdatasync(fd) != 0) return fail(last_errno());
  return {};
}

Expected<void> SystemFiles::syncfs(int fd) {
  if (::syncfs(fd) != 0) return fail(last_errno());
  return {};
}

Expected<void> SystemFiles::fallocate(int fd, int mode, uint64_t offset, uint64_t length) {
  return done([&] {
    return ::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length));
  });
}

Expected<void> SystemFiles::ftruncate(int fd, uint64_t size) {
  return done([&] { return ::ftruncate(fd, static_cast<off_t>(size)); });
}

Expected<void> SystemFiles::reflink(int to, int from) {
  if (retry([&] { return ::ioctl(to, FICLONE, from); }) == 0) return {};
  // What a file system without reflinks says depends on the file system.
  if (errno == EINVAL || errno == ENOTTY || errno == ENOSYS || errno == EXDEV || errno == EPERM)
    return fail(Errno::kNotSupported);
  return fail(last_errno());
}

Expected<struct stat> SystemFiles::fstat(int fd) {
  struct stat out{};
  if (::fstat(fd, &out) != 0) return fail(last_errno());
  return out;
}

Expected<struct stat> SystemFiles::fstatat(int dir, const char* name, int flags) {
  struct stat out{};
  if (::fstatat(dir, name, &out, flags) != 0) return fail(last_errno());
  return out;
}

Expected<struct statfs> SystemFiles::fstatfs(int fd) {
  struct statfs out{};
  if (retry([&] { return ::fstatfs(fd, &out); }) != 0) return fail(last_errno());
  return out;
}

Expected<void> SystemFiles::fchmod(int fd, mode_t mode) {
  return done([&] { return ::fchmod(fd, mode); });
}

Expected<void> SystemFiles::utimensat(int dir, const char* name, const timespec times[2],
                                      int flags) {
  return done([&] {
    return name != nullptr ? ::utimensat(dir, name, times, flags) : ::futimens(dir, times);
  });
}

Expected<void> SystemFiles::mkdirat(int dir, const char* name, mode_t mode) {
  return done([&] { return ::mkdirat(dir, name, mode); });
}

Expected<void> SystemFiles::unlinkat(int dir, const char* name, int flags) {
  return done([&] { return ::unlinkat(dir, name, flags); });
}

Expected<void> SystemFiles::renameat(int from_dir, const char* from, int to_dir, const char* to) {
  return done([&] { return ::renameat(from_dir, from, to_dir, to); });
}

Expected<void> SystemFiles::linkat(int from_dir, const char* from, int to_dir, const char* to) {
  return done([&] { return ::linkat(from_dir, from, to_dir, to, 0); });
}

Expected<void> SystemFiles::symlinkat(const char* target, int dir, const char* name) {
  return done([&] { return ::symlinkat(target, dir, name); });
}

Expected<size_t> SystemFiles::readlinkat(int dir, const char* name, std::span<char> target) {
  return counted([&] { return ::readlinkat(dir, name, target.data(), target.size()); });
}

Expected<size_t> SystemFiles::read_directory(int fd, uint64_t cookie,
                                             std::span<std::byte> records) {
  if (::lseek(fd, static_cast<off_t>(cookie), SEEK_SET) < 0) return fail(last_errno());
  return counted([&] { return syscall(SYS_getdents64, fd, records.data(), records.size()); });
}

}  // namespace calf::os
