#include "vfs/directory_file_system.h"

#include <dirent.h>

#include <cstring>

#include "base/assert.h"
#include "vfs/path.h"

namespace calf::vfs {
namespace {

using os::FileDescriptor;
using os::Resolve;

// A NUL-terminated copy of a path on the stack.
class CPath {
 public:
  Expected<const char*> set(std::string_view path) {
    if (path.size() > kMaxPath) return fail(Errno::kNameTooLong);
    if (path.find('\0') != std::string_view::npos) return fail(Errno::kInvalid);
    // An empty path is the root; openat2 resolves "." and refuses "".
    if (path.empty()) path = ".";
    std::memcpy(bytes_, path.data(), path.size());
    bytes_[path.size()] = '\0';
    return bytes_;
  }

 private:
  char bytes_[kMaxPath + 1];
};

FileKind kind_of_mode(mode_t mode) {
  if (S_ISREG(mode)) return FileKind::kRegular;
  if (S_ISDIR(mode)) return FileKind::kDirectory;
  if (S_ISLNK(mode)) return FileKind::kSymlink;
  return S_ISFIFO(mode) || S_ISSOCK(mode) ? FileKind::kPipe : FileKind::kCharacterDevice;
}

int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

Stat stat_of(const struct stat& from) {
  return Stat{.kind = kind_of_mode(from.st_mode),
              .permissions = from.st_mode & 07777,
              .links = static_cast<uint32_t>(from.st_nlink),
              .inode = from.st_ino,
              .size_bytes = static_cast<uint64_t>(from.st_size),
              .allocated_bytes = static_cast<uint64_t>(from.st_blocks) * 512,
              .access_time_ns = nanoseconds(from.st_atim),
              .modify_time_ns = nanoseconds(from.st_mtim),
              .change_time_ns = nanoseconds(from.st_ctim)};
}

timespec timespec_of(TimeChange change) {
  switch (change.kind) {
    case TimeChange::Kind::kKeep:
      return {0, UTIME_OMIT};
    case TimeChange::Kind::kNow:
      return {0, UTIME_NOW};
    case TimeChange::Kind::kSet:
      break;
  }
  int64_t seconds = change.time_ns / 1'000'000'000;
  int64_t rest = change.time_ns % 1'000'000'000;
  if (rest < 0) {
    rest += 1'000'000'000;
    --seconds;
  }
  return {seconds, rest};
}

int open_flags(const OpenOptions& options) {
  // Never wait for a FIFO's other end, never get a controlling terminal.
  int flags = O_NONBLOCK | O_NOCTTY;
  switch (options.access) {
    case Access::kRead:
      flags |= O_RDONLY;
      break;
    case Access::kWrite:
      flags |= O_WRONLY;
      break;
    case Access::kReadWrite:
      flags |= O_RDWR;
      break;
  }
  if (options.create) flags |= O_CREAT;
  if (options.create && options.exclusive) flags |= O_EXCL;
  if (options.truncate) flags |= O_TRUNC;
  if (options.directory) flags |= O_DIRECTORY;
  if (options.no_follow) flags |= O_NOFOLLOW;
  if (options.sync) flags |= O_DSYNC;
  return flags;
}

class DirectoryFile final : public File {
 public:
  DirectoryFile(std::shared_ptr<os::Files> files, FileDescriptor fd, FileKind kind, bool read_only)
      : files_(std::move(files)), fd_(std::move(fd)), kind_(kind), read_only_(read_only) {}

  FileKind kind() const override { return kind_; }

  Expected<size_t> preadv(std::span<const iovec> buffers, uint64_t offset) override {
    return files_->preadv(fd_.get(), buffers, offset);
  }
  Expected<size_t> pwritev(std::span<const iovec> buffers, uint64_t offset) override {
    return files_->pwritev(fd_.get(), buffers, offset);
  }
  // O_APPEND is not used, because with it Linux ignores the offset of pwrite. One process has the
  // files, one thread the cluster: nobody comes between.
  Expected<size_t> append(std::span<const iovec> buffers) override {
    CALF_ERRNO_TRY(struct stat now, files_->fstat(fd_.get()));
    return files_->pwritev(fd_.get(), buffers, static_cast<uint64_t>(now.st_size));
  }

  Expected<Stat> stat() override {
    CALF_ERRNO_TRY(struct stat now, files_->fstat(fd_.get()));
    return stat_of(now);
  }
  Expected<void> truncate(uint64_t size_bytes) override {
    if (size_bytes > kMaxFileSize) return fail(Errno::kFileTooBig);
    return files_->ftruncate(fd_.get(), size_bytes);
  }
  Expected<void> allocate(uint64_t offset, uint64_t length) override {
    if (offset > kMaxFileSize || length > kMaxFileSize) return fail(Errno::kFileTooBig);
    return files_->fallocate(fd_.get(), 0, offset, length);
  }
  Expected<void> chmod(uint32_t permissions) override {
    if (read_only_) return fail(Errno::kReadOnly);
    return files_->fchmod(fd_.get(), permissions & 07777);
  }
  Expected<void> set_times(TimeChange access, TimeChange modify) override {
    if (read_only_) return fail(Errno::kReadOnly);
    timespec times[2] = {timespec_of(access), timespec_of(modify)};
    return files_->utimensat(fd_.get(), nullptr, times, 0);
  }

  Expected<void> sync(SyncKind kind) override {
    return kind == SyncKind::kAll ? files_->fsync(fd_.get()) : files_->fdatasync(fd_.get());
  }
  bool sync_waits() const override { return true; }

  Expected<SharedMapping> map_shared(uint64_t offset, uint64_t length) override {
    if (kind_ != FileKind::kRegular) return fail(Errno::kNoDevice);
    CALF_ERRNO_TRY(struct stat now, files_->fstat(fd_.get()));
    auto size = static_cast<uint64_t>(now.st_size);
    if (offset % 4096 != 0 || length == 0 || offset > size || length > size - offset)
      return fail(Errno::kInvalid);
    return SharedMapping{fd_.get(), offset};
  }

  Expected<void> read_directory(uint64_t cookie, const EntryVisitor& visit) override;

 private:
  FileKind kind_of_record(unsigned char type, const char* name);

  std::shared_ptr<os::Files> files_;  // shared with the file system
  FileDescriptor fd_;
  FileKind kind_;
  bool read_only_;
};

FileKind DirectoryFile::kind_of_record(unsigned char type, const char* name) {
  switch (type) {
    case DT_REG:
      return FileKind::kRegular;
    case DT_DIR:
      return FileKind::kDirectory;
    case DT_LNK:
      return FileKind::kSymlink;
    case DT_UNKNOWN: {  // some file systems do not say
      auto stat = files_->fstatat(fd_.get(), name, AT_SYMLINK_NOFOLLOW);
      return stat ? kind_of_mode(stat->st_mode) : FileKind::kRegular;
    }
    default:
      return type == DT_CHR || type == DT_BLK ? FileKind::kCharacterDevice : FileKind::kPipe;
  }
}

Expected<void> DirectoryFile::read_directory(uint64_t cookie, const EntryVisitor& visit) {
  if (kind_ != FileKind::kDirectory) return fail(Errno::kNotDirectory);
  alignas(dirent64) std::byte records[16 * 1024];
  for (;;) {
    CALF_ERRNO_TRY(size_t size, files_->read_directory(fd_.get(), cookie, records));
    if (size == 0) return {};
    for (size_t at = 0; at < size;) {
      auto* record = reinterpret_cast<dirent64*>(records + at);
      at += record->d_reclen;
      cookie = static_cast<uint64_t>(record->d_off);
      if (!visit({record->d_name, record->d_ino, kind_of_record(record->d_type, record->d_name),
                  cookie}))
        return {};
    }
  }
}

}  // namespace

struct DirectoryFileSystem::Parent {
  int fd = -1;           // the directory
  FileDescriptor owned;  // the same, unless it is the root
  CPath buffer;
  const char* name = "";     // the last component, with its slash if it had one
  std::string_view special;  // ".", ".." or, for the root, "/": no name that could be changed
};

DirectoryFileSystem::DirectoryFileSystem(std::shared_ptr<os::Files> files, FileDescriptor root,
                                         bool read_only)
    : files_(std::move(files)), root_(std::move(root)), read_only_(read_only) {}

Result<std::unique_ptr<DirectoryFileSystem>> DirectoryFileSystem::open(const Options& options) {
  ASSERT(options.files != nullptr);
  os::Files& files = *options.files;
  auto fd =
      files.open(AT_FDCWD, options.path.c_str(), O_RDONLY | O_DIRECTORY, 0, Resolve::kAnywhere);
  if (!fd) return calf::fail(os::to_error("opening directory " + options.path, fd.error()));
  FileDescriptor root(files, *fd);
  auto probe = files.open(root.get(), ".", O_PATH | O_DIRECTORY, 0, Resolve::kBeneath);
  if (!probe && (probe.error() == Errno::kNotSupportedCall || probe.error() == Errno::kPerm))
    return calf::fail(ErrorCode::kUnsupported,
                      "this kernel or its sandbox does not allow openat2, which keeps the database "
                      "inside its directory",
                      "use Linux 5.6 or newer; in a container allow the system call openat2");
  if (!probe) return calf::fail(os::to_error("opening directory " + options.path, probe.error()));
  files.close(*probe);
  return std::unique_ptr<DirectoryFileSystem>(
      new DirectoryFileSystem(options.files, std::move(root), options.read_only));
}

Expected<void> DirectoryFileSystem::check_writable() const {
  if (read_only_) return fail(Errno::kReadOnly);
  return {};
}

// System calls that change names do not know RESOLVE_BENEATH. So the directory is opened with it,
// and the call gets nothing but the last component, which these calls do not follow.
Expected<void> DirectoryFileSystem::open_parent(std::string_view path, Parent& out) {
  size_t end = path.find_last_not_of('/');
  if (end == std::string_view::npos) {
    out.special = "/";
    return path.empty() ? Expected<void>() : fail(Errno::kCrossDevice);
  }
  if (path.size() > kMaxPath) return fail(Errno::kNameTooLong);
  size_t slash = path.find_last_of('/', end);
  std::string_view name = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
  std::string_view bare = name.substr(0, name.find('/'));
  if (bare.size() > kMaxName) return fail(Errno::kNameTooLong);
  out.fd = root_.get();
  if (slash != std::string_view::npos) {
    std::string_view directory = path.substr(0, slash);
    // "/name": the directory would be the host's root.
    if (path.front() == '/') return fail(Errno::kCrossDevice);
    CALF_ERRNO_TRY(const char* c_path, out.buffer.set(directory));
    CALF_ERRNO_TRY(int fd,
                   files_->open(root_.get(), c_path, O_PATH | O_DIRECTORY, 0, Resolve::kBeneath));
    out.owned = FileDescriptor(*files_, fd);
    out.fd = fd;
  }
  if (bare == "." || bare == "..") out.special = bare == "." ? "." : "..";
  if (bare == ".." && slash == std::string_view::npos) return fail(Errno::kCrossDevice);
  CALF_ERRNO_TRY(out.name, out.buffer.set(name));
  return {};
}

Expected<FileDescriptor> DirectoryFileSystem::open_node(std::string_view path, Follow follow) {
  CPath buffer;
  CALF_ERRNO_TRY(const char* c_path, buffer.set(path));
  int flags = O_PATH | (follow == Follow::kNo ? O_NOFOLLOW : 0);
  CALF_ERRNO_TRY(int fd, files_->open(root_.get(), c_path, flags, 0, Resolve::kBeneath));
  return FileDescriptor(*files_, fd);
}

Expected<std::unique_ptr<File>> DirectoryFileSystem::open(std::string_view path,
                                                          const OpenOptions& options) {
  CPath buffer;
  CALF_ERRNO_TRY(const char* c_path, buffer.set(path));
  int flags = open_flags(options);
  if (read_only_) {
    // A file that is there may be opened for reading with O_CREAT; everything else is a change.
    bool writes = options.access != Access::kRead || options.truncate;
    if (writes || options.create) {
      auto there = open_node(path, options.no_follow ? Follow::kNo : Follow::kYes);
      if (!there && there.error() != Errno::kNoEntry) return fail(there.error());
      if (there && options.create && options.exclusive) return fail(Errno::kExists);
      if (!there && !options.create) return fail(Errno::kNoEntry);
      if (!there || writes) return fail(Errno::kReadOnly);
    }
    flags &= ~(O_CREAT | O_EXCL);
  }
  CALF_ERRNO_TRY(int fd, files_->open(root_.get(), c_path, flags, options.permissions & 07777,
                                      Resolve::kBeneath));
  FileDescriptor descriptor(*files_, fd);
  CALF_ERRNO_TRY(struct stat stat, files_->fstat(fd));
  FileKind kind = kind_of_mode(stat.st_mode);
  if (kind != FileKind::kRegular && kind != FileKind::kDirectory) return fail(Errno::kAccess);
  return std::make_unique<DirectoryFile>(files_, std::move(descriptor), kind, read_only_);
}

Expected<Stat> DirectoryFileSystem::stat(std::string_view path, Follow follow) {
  CALF_ERRNO_TRY(FileDescriptor node, open_node(path, follow));
  CALF_ERRNO_TRY(struct stat now, files_->fstat(node.get()));
  return stat_of(now);
}

Expected<void> DirectoryFileSystem::mkdir(std::string_view path, uint32_t permissions) {
  Parent parent;
  CALF_ERRNO_CHECK(open_parent(path, parent));
  if (!parent.special.empty()) return fail(Errno::kExists);
  CALF_ERRNO_CHECK(check_writable());
  return files_->mkdirat(parent.fd, parent.name, permissions & 07777);
}

Expected<void> DirectoryFileSystem::rmdir(std::string_view path) {
  Parent parent;
  CALF_ERRNO_CHECK(open_parent(path, parent));
  if (parent.special == ".") return fail(Errno::kInvalid);
  if (parent.special == "..") return fail(Errno::kNotEmpty);
  if (!parent.special.empty()) return fail(Errno::kBusy);
  CALF_ERRNO_CHECK(check_writable());
  return files_->unlinkat(parent.fd, parent.name, AT_REMOVEDIR);
}

Expected<void> DirectoryFileSystem::unlink(std::string_view path) {
  Parent parent;
  CALF_ERRNO_CHECK(open_parent(path, parent));
  if (!parent.special.empty()) return fail(Errno::kIsDirectory);
  CALF_ERRNO_CHECK(check_writable());
  return files_->unlinkat(parent.fd, parent.name, 0);
}

Expected<void> DirectoryFileSystem::rename(std::string_view from, std::string_view to) {
  Parent from_parent, to_parent;
  CALF_ERRNO_CHECK(open_parent(from, from_parent));
  CALF_ERRNO_CHECK(open_parent(to, to_parent));
  if (!from_parent.special.empty() || !to_parent.special.empty()) return fail(Errno::kBusy);
  CALF_ERRNO_CHECK(check_writable());
  return files_->renameat(from_parent.fd, from_parent.name, to_parent.fd, to_parent.name);
}

Expected<void> DirectoryFileSystem::link(std::string_view from, std::string_view to) {
  Parent from_parent, to_parent;
  CALF_ERRNO_CHECK(open_parent(from, from_parent));
  CALF_ERRNO_CHECK(open_parent(to, to_parent));
  if (!from_parent.special.empty()) return fail(Errno::kPerm);
  if (!to_parent.special.empty()) return fail(Errno::kExists);
  CALF_ERRNO_CHECK(check_writable());
  return files_->linkat(from_parent.fd, from_parent.name, to_parent.fd, to_parent.name);
}

Expected<void> DirectoryFileSystem::symlink(std::string_view target, std::string_view path) {
  CPath target_buffer;
  if (target.empty()) return fail(Errno::kNoEntry);
  CALF_ERRNO_TRY(const char* c_target, target_buffer.set(target));
  Parent parent;
  CALF_ERRNO_CHECK(open_parent(path, parent));
  if (!parent.special.empty()) return fail(Errno::kExists);
  CALF_ERRNO_CHECK(check_writable());
  return files_->symlinkat(c_target, parent.fd, parent.name);
}

Expected<std::string> DirectoryFileSystem::readlink(std::string_view path) {
  CALF_ERRNO_TRY(FileDescriptor node, open_node(path, Follow::kNo));
  CALF_ERRNO_TRY(struct stat now, files_->fstat(node.get()));
  if (!S_ISLNK(now.st_mode)) return fail(Errno::kInvalid);
  char target[kMaxPath + 1];
  // An empty name: the symlink that the O_PATH descriptor stands for.
  CALF_ERRNO_TRY(size_t size, files_->readlinkat(node.get(), "", target));
  return std::string(target, size);
}

Expected<void> DirectoryFileSystem::chmod(std::string_view path, uint32_t permissions,
                                          Follow follow) {
  CPath buffer;
  CALF_ERRNO_TRY(const char* c_path, buffer.set(path));
  if (follow == Follow::kNo) {
    CALF_ERRNO_TRY(Stat now, stat(path, follow));
    if (now.kind == FileKind::kSymlink) return fail(Errno::kNotSupported);
  }
  // fchmod wants a real descriptor, not O_PATH; the file may be readable or writable only.
  int flags = O_NONBLOCK | O_NOCTTY | (follow == Follow::kNo ? O_NOFOLLOW : 0);
  auto fd = files_->open(root_.get(), c_path, flags | O_RDONLY, 0, Resolve::kBeneath);
  if (!fd && fd.error() == Errno::kAccess)
    fd = files_->open(root_.get(), c_path, flags | O_WRONLY, 0, Resolve::kBeneath);
  if (!fd) return fail(fd.error());
  FileDescriptor descriptor(*files_, *fd);
  CALF_ERRNO_CHECK(check_writable());
  return files_->fchmod(*fd, permissions & 07777);
}

Expected<void> DirectoryFileSystem::set_times(std::string_view path, TimeChange access,
                                              TimeChange modify, Follow follow) {
  CALF_ERRNO_TRY(FileDescriptor node, open_node(path, follow));
  CALF_ERRNO_CHECK(check_writable());
  timespec times[2] = {timespec_of(access), timespec_of(modify)};
  return files_->utimensat(node.get(), "", times, AT_EMPTY_PATH);
}

Expected<FsStat> DirectoryFileSystem::statfs() {
  CALF_ERRNO_TRY(struct statfs now, files_->fstatfs(root_.get()));
  return FsStat{.block_size_bytes = static_cast<uint32_t>(now.f_bsize),
                .blocks = now.f_blocks,
                .free_blocks = now.f_bavail,
                .files = now.f_files,
                .free_files = now.f_ffree};
}

}  // namespace calf::vfs
