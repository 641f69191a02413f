// The words of the virtual file system: errors, kinds of files, attributes, how a file is opened.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "os/errno.h"

namespace calf::vfs {

using os::Errno;
using os::Expected;
using os::fail;

inline constexpr size_t kMaxName = 255;   // bytes of one path component
inline constexpr size_t kMaxPath = 4095;  // bytes of a whole path
inline constexpr int kMaxSymlinks = 40;   // followed in one lookup
inline constexpr uint64_t kMaxFileSize = uint64_t{1} << 62;

enum class FileKind : uint8_t { kRegular, kDirectory, kSymlink, kCharacterDevice, kPipe };
enum class Access : uint8_t { kRead, kWrite, kReadWrite };
enum class Follow : uint8_t {
  kNo,
  kYes
};  // does a symlink as the last component stand for its target

// What stat answers. Times are nanoseconds since 1970.
struct Stat {
  FileKind kind = FileKind::kRegular;
  uint32_t permissions = 0;  // the low 12 bits of st_mode
  uint32_t links = 1;
  uint64_t inode = 0;
  uint64_t size_bytes = 0;
  uint64_t allocated_bytes = 0;
  int64_t access_time_ns = 0;
  int64_t modify_time_ns = 0;
  int64_t change_time_ns = 0;
};

struct FsStat {
  uint32_t block_size_bytes = 4096;
  uint64_t blocks = 0;
  uint64_t free_blocks = 0;
  uint64_t files = 0;
  uint64_t free_files = 0;
};

struct OpenOptions {
  Access access = Access::kRead;
  bool create = false;          // O_CREAT
  bool exclusive = false;       // O_EXCL, with create
  bool truncate = false;        // O_TRUNC
  bool append = false;          // O_APPEND: File::append may be used
  bool directory = false;       // O_DIRECTORY: kNotDirectory for anything else
  bool no_follow = false;       // O_NOFOLLOW: kLoop for a symlink
  bool sync = false;            // O_SYNC or O_DSYNC: a write is durable when it returns
  uint32_t permissions = 0644;  // of a new file; the umask is already applied
};

// One time of set_times.
struct TimeChange {
  enum class Kind : uint8_t { kKeep, kNow, kSet } kind = Kind::kNow;
  int64_t time_ns = 0;  // for kSet
};

struct DirectoryEntry {
  std::string_view name;  // valid during the visit only
  uint64_t inode = 0;
  FileKind kind = FileKind::kRegular;
  uint64_t next_cookie = 0;  // where to go on after this entry
};

// What to give to mmap(MAP_SHARED). The descriptor belongs to the file: use it while the File is
// open, do not close it.
struct SharedMapping {
  int fd = -1;
  uint64_t offset = 0;
};

}  // namespace calf::vfs
