// What the guest sees as files: the interface behind which memory, a host directory and device
// files look alike.
//
// Errors are Linux errno values (never exceptions, never allocation on the read and write path). A
// file system and its files live on one cluster thread. Backends: memory_file_system.h,
// directory_file_system.h, device_file_system.h; namespace.h puts several of them into one tree.
//
// Paths are relative to the root of the file system, without a leading '/'; "" and "." are the root
// itself. Components
// "." and ".." and symlinks are resolved inside; a path that leads out of the root (an absolute
// symlink, too many "..") is refused with kCrossDevice, as openat2(RESOLVE_BENEATH) does. Names may
// be any bytes but '/' and NUL.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "vfs/types.h"

namespace calf::vfs {

// An open file, directory or device. It has no position (that is the guest's descriptor's). It
// stays usable after the name is gone. Close it by destroying it, before its FileSystem.
class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  [[nodiscard]] virtual FileKind kind() const = 0;

  // Bytes read, fewer than asked only at the end of the file. kIsDirectory; kBadFd when not open
  // for reading.
  virtual Expected<size_t> preadv(std::span<const iovec> buffers, uint64_t offset) = 0;
  // Bytes written, fewer than asked only when space ran out after some. kNoSpace, kFileTooBig;
  // kBadFd when not open for writing. A gap before `offset` reads as zeros.
  virtual Expected<size_t> pwritev(std::span<const iovec> buffers, uint64_t offset) = 0;
  // pwritev at the end of the file, for files opened with OpenOptions::append.
  virtual Expected<size_t> append(std::span<const iovec> buffers) = 0;

  Expected<size_t> pread(std::span<std::byte> buffer, uint64_t offset) {
    iovec v{buffer.data(), buffer.size()};
    return preadv({&v, 1}, offset);
  }
  Expected<size_t> pwrite(std::span<const std::byte> buffer, uint64_t offset) {
    iovec v{const_cast<std::byte*>(buffer.data()), buffer.size()};
    return pwritev({&v, 1}, offset);
  }

  [[nodiscard]] virtual Expected<Stat> stat() = 0;
  virtual Expected<void> truncate(uint64_t size_bytes) = 0;
  // posix_fallocate: afterwards writes into the range do not fail for lack of space; the file grows
  // if it is shorter.
  virtual Expected<void> allocate(uint64_t offset, uint64_t length) = 0;
  virtual Expected<void> chmod(uint32_t permissions) = 0;
  virtual Expected<void> set_times(TimeChange access, TimeChange modify) = 0;

  // Makes the contents durable; blocks. Also for directories. Does nothing where nothing survives
  // the process anyway.
  enum class SyncKind : uint8_t { kAll, kDataOnly };
  virtual Expected<void> sync(SyncKind kind) = 0;
  // Does sync() wait for a device? Then another thread may call it, too, also while this file is
  // read and written; keep the file open meanwhile.
  [[nodiscard]] virtual bool sync_waits() const { return false; }

  // What to mmap so that the mapping and this file's reads and writes show the same bytes. The
  // range must lie inside the file; `offset` page aligned (kInvalid). kNoDevice for what cannot be
  // mapped.
  virtual Expected<SharedMapping> map_shared(uint64_t offset, uint64_t length) = 0;

  // Visits a directory's entries, "." and ".." included, from `cookie` (0: the first) until `visit`
  // returns false or the end. Entries that stay in the directory meanwhile are visited exactly
  // once. kNotDirectory.
  using EntryVisitor = std::function<bool(const DirectoryEntry&)>;
  virtual Expected<void> read_directory(uint64_t cookie, const EntryVisitor& visit) = 0;
};

class FileSystem {
 public:
  FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  virtual ~FileSystem() = default;

  virtual Expected<std::unique_ptr<File>> open(std::string_view path,
                                               const OpenOptions& options) = 0;
  [[nodiscard]] virtual Expected<Stat> stat(std::string_view path, Follow follow) = 0;
  virtual Expected<void> mkdir(std::string_view path, uint32_t permissions) = 0;
  virtual Expected<void> rmdir(std::string_view path) = 0;
  virtual Expected<void> unlink(std::string_view path) = 0;
  // Replaces `to` in one step if it is there (a directory only an empty directory).
  virtual Expected<void> rename(std::string_view from, std::string_view to) = 0;
  virtual Expected<void> link(std::string_view from, std::string_view to) = 0;
  virtual Expected<void> symlink(std::string_view target, std::string_view path) = 0;
  virtual Expected<std::string> readlink(std::string_view path) = 0;
  virtual Expected<void> chmod(std::string_view path, uint32_t permissions, Follow follow) = 0;
  virtual Expected<void> set_times(std::string_view path, TimeChange access, TimeChange modify,
                                   Follow follow) = 0;
  [[nodiscard]] virtual Expected<FsStat> statfs() = 0;
  [[nodiscard]] virtual bool read_only() const { return false; }
};

}  // namespace calf::vfs
