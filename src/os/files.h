// The host's files: one virtual method per system call that Calf needs, and nothing else. A
// simulation implements the same class to drop or tear writes that were never synced; it hands out
// its own descriptor numbers, so a descriptor goes back only to the object that made it.
//
// Not here: policy. Confinement, caching and the guest's view are src/vfs.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "os/errno.h"

namespace calf::os {

// How openat2 may resolve a path (Linux RESOLVE_* bits).
enum class Resolve : uint64_t {
  kAnywhere = 0,
  // Never leave the directory given: no "..", absolute or magic link may lead out of it.
  kBeneath = 1,
};

// Any thread. All calls block as the system call does and are restarted on EINTR, except close.
// Paths and names are NUL-terminated. `dir` may be AT_FDCWD.
class Files {
 public:
  virtual ~Files() = default;

  // A new descriptor, always close-on-exec. kCrossDevice when kBeneath would be broken,
  // kNotSupportedCall when the kernel has no openat2 and kBeneath was asked for.
  virtual Expected<int> open(int dir, const char* path, int flags, mode_t mode,
                             Resolve resolve) = 0;
  virtual void close(int fd) = 0;

  virtual Expected<size_t> preadv(int fd, std::span<const iovec> buffers, uint64_t offset) = 0;
  virtual Expected<size_t> pwritev(int fd, std::span<const iovec> buffers, uint64_t offset) = 0;
  virtual Expected<void> fsync(int fd) = 0;
  virtual Expected<void> fdatasync(int fd) = 0;
  // Everything on the file system that `fd` is on: one wait instead of thousands.
  virtual Expected<void> syncfs(int fd) = 0;
  virtual Expected<void> fallocate(int fd, int mode, uint64_t offset, uint64_t length) = 0;
  virtual Expected<void> ftruncate(int fd, uint64_t size) = 0;
  // Makes the empty file `to` share all blocks of `from` until either is written (FICLONE).
  // kNotSupported where the file system cannot.
  virtual Expected<void> reflink(int /*to*/, int /*from*/) { return fail(Errno::kNotSupported); }

  virtual Expected<struct stat> fstat(int fd) = 0;
  virtual Expected<struct stat> fstatat(int dir, const char* name, int flags) = 0;
  virtual Expected<struct statfs> fstatfs(int fd) = 0;
  virtual Expected<void> fchmod(int fd, mode_t mode) = 0;
  // `name` may be nullptr: then the descriptor `dir` itself.
  virtual Expected<void> utimensat(int dir, const char* name, const timespec times[2],
                                   int flags) = 0;

  virtual Expected<void> mkdirat(int dir, const char* name, mode_t mode) = 0;
  // flags: 0 or AT_REMOVEDIR.
  virtual Expected<void> unlinkat(int dir, const char* name, int flags) = 0;
  virtual Expected<void> renameat(int from_dir, const char* from, int to_dir, const char* to) = 0;
  virtual Expected<void> linkat(int from_dir, const char* from, int to_dir, const char* to) = 0;
  virtual Expected<void> symlinkat(const char* target, int dir, const char* name) = 0;
  virtual Expected<size_t> readlinkat(int dir, const char* name, std::span<char> target) = 0;

  // Entries as the kernel's linux_dirent64 records, from position `cookie` (0: the beginning, else
  // a record's d_off). 0 bytes at the end.
  virtual Expected<size_t> read_directory(int fd, uint64_t cookie,
                                          std::span<std::byte> records) = 0;
};

// The real thing. Holds no state: make as many as you like.
class SystemFiles : public Files {
 public:
  Expected<int> open(int dir, const char* path, int flags, mode_t mode, Resolve resolve) override;
  void close(int fd) override;
  Expected<size_t> preadv(int fd, std::span<const iovec> buffers, uint64_t offset) override;
  Expected<size_t> pwritev(int fd, std::span<const iovec> buffers, uint64_t offset) override;
  Expected<void> fsync(int fd) override;
  Expected<void> fdatasync(int fd) override;
  Expected<void> syncfs(int fd) override;
  Expected<void> fallocate(int fd, int mode, uint64_t offset, uint64_t length) override;
  Expected<void> ftruncate(int fd, uint64_t size) override;
  Expected<void> reflink(int to, int from) override;
  Expected<struct stat> fstat(int fd) override;
  Expected<struct stat> fstatat(int dir, const char* name, int flags) override;
  Expected<struct statfs> fstatfs(int fd) override;
  Expected<void> fchmod(int fd, mode_t mode) override;
  Expected<void> utimensat(int dir, const char* name, const timespec times[2], int flags) override;
  Expected<void> mkdirat(int dir, const char* name, mode_t mode) override;
  Expected<void> unlinkat(int dir, const char* name, int flags) override;
  Expected<void> renameat(int from_dir, const char* from, int to_dir, const char* to) override;
  Expected<void> linkat(int from_dir, const char* from, int to_dir, const char* to) override;
  Expected<void> symlinkat(const char* target, int dir, const char* name) override;
  Expected<size_t> readlinkat(int dir, const char* name, std::span<char> target) override;
  Expected<size_t> read_directory(int fd, uint64_t cookie, std::span<std::byte> records) override;
};

// Owns one descriptor of a Files object. Movable. The Files object must outlive it.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  FileDescriptor(Files& files, int fd) : files_(&files), fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : files_(other.files_), fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      reset();
      files_ = other.files_;
      fd_ = other.release();
    }
    return *this;
  }
  ~FileDescriptor() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  int release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset() {
    if (fd_ >= 0) files_->close(fd_);
    fd_ = -1;
  }

 private:
  Files* files_ = nullptr;
  int fd_ = -1;
};

}  // namespace calf::os
