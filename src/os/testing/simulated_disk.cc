#include "os/testing/simulated_disk.h"

#include <dirent.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace calf::os::testing {
namespace {

constexpr int kFirstDescriptor = 1 << 20;
constexpr uint64_t kFnvPrime = 1099511628211u;

size_t total(std::span<const iovec> buffers) {
  size_t bytes = 0;
  for (const iovec& buffer : buffers) bytes += buffer.iov_len;
  return bytes;
}

std::vector<std::byte> gathered(std::span<const iovec> buffers, size_t limit) {
  std::vector<std::byte> bytes;
  for (const iovec& buffer : buffers) {
    const auto* at = static_cast<const std::byte*>(buffer.iov_base);
    bytes.insert(bytes.end(), at, at + std::min(buffer.iov_len, limit - bytes.size()));
  }
  return bytes;
}

timespec now() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME_COARSE, &time);
  return time;
}

struct stat stat_of(const SimulatedFile& file) {
  struct stat out{};
  out.st_ino = file.inode;
  out.st_mode = file.mode;
  out.st_nlink = file.links;
  out.st_size = static_cast<off_t>(file.contents.size());
  out.st_blocks = (out.st_size + 511) / 512;
  out.st_blksize = 4096;
  out.st_atim = out.st_mtim = out.st_ctim = file.modified;
  return out;
}

bool is_inside(const SimulatedFile* directory, const SimulatedFile* outer) {
  for (; directory != nullptr; directory = directory->parent)
    if (directory == outer) return true;
  return false;
}

}  // namespace

SimulatedDisk::SimulatedDisk() : next_fd_(kFirstDescriptor) {
  root_ = make_file(S_IFDIR | 0755);
  root_->links = 2;
}

void SimulatedDisk::cut_power_at(uint64_t operation) {
  std::lock_guard lock(mutex_);
  cut_at_ = operation;
}

bool SimulatedDisk::is_cut() const {
  std::lock_guard lock(mutex_);
  return operations_ > cut_at_;
}

uint64_t SimulatedDisk::operations() const {
  std::lock_guard lock(mutex_);
  return operations_;
}

uint64_t SimulatedDisk::operations_digest() const {
  std::lock_guard lock(mutex_);
  return digest_;
}

void SimulatedDisk::fail(DiskFault fault) {
  std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void SimulatedDisk::clear_faults() {
  std::lock_guard lock(mutex_);
  faults_.clear();
}

uint64_t SimulatedDisk::faults_met() const {
  std::lock_guard lock(mutex_);
  return faults_met_;
}

// --- What every call goes through

Expected<void> SimulatedDisk::check_power() const {
  if (operations_ > cut_at_) return os::fail(Errno::kIo);
  return {};
}

const DiskFault* SimulatedDisk::meet_fault(DiskCall call, const std::string& path) {
  for (DiskFault& fault : faults_) {
    if (fault.call != call || (fault.where && !fault.where(path))) continue;
    if (fault.skip > 0) {
      --fault.skip;
    } else if (fault.times > 0) {
      --fault.times;
      ++faults_met_;
      return &fault;
    }
  }
  return nullptr;
}

Expected<size_t> SimulatedDisk::allowed(DiskCall call, const std::string& path, size_t wanted) {
  CALF_ERRNO_CHECK(check_power());
  const DiskFault* fault = meet_fault(call, path);
  if (fault == nullptr) return wanted;
  if (!fault->short_count) return os::fail(fault->error);
  return std::min(wanted, *fault->short_count);
}

Expected<void> SimulatedDisk::change(DiskCall call, const std::string& path, uint64_t detail,
                                     const std::function<void()>& apply) {
  CALF_ERRNO_CHECK(check_power());
  auto mix = [this](uint64_t value) { digest_ = (digest_ ^ value) * kFnvPrime; };
  mix(static_cast<uint64_t>(call));
  for (char c : path) mix(static_cast<unsigned char>(c));
  mix(detail);
  ++operations_;
  apply();
  return check_power();
}

Expected<SimulatedDisk::Handle*> SimulatedDisk::handle(int fd) {
  auto found = handles_.find(fd);
  if (found == handles_.end()) return os::fail(Errno::kBadFd);
  return &found->second;
}

Expected<SimulatedDisk::Handle*> SimulatedDisk::writable(int fd) {
  CALF_ERRNO_TRY(Handle * open, handle(fd));
  if ((open->flags & O_ACCMODE) == O_RDONLY) return os::fail(Errno::kBadFd);
  return open;
}

FilePointer SimulatedDisk::make_file(mode_t mode) {
  auto file = std::make_shared<SimulatedFile>();
  file->inode = next_inode_++;
  file->mode = mode;
  file->modified = now();
  return file;
}

// --- Names

FilePointer SimulatedDisk::Place::file() const {
  if (name.empty()) return directory;
  auto found = directory->entries.find(name);
  return found == directory->entries.end() ? nullptr : found->second.file;
}

Expected<SimulatedDisk::Place> SimulatedDisk::resolve(int dir, std::string_view path,
                                                      Resolve how) const {
  CALF_ERRNO_CHECK(check_power());
  Place place{.directory = root_, .name = "", .path = ""};
  if (path.starts_with('/')) {
    if (how == Resolve::kBeneath) return os::fail(Errno::kCrossDevice);
  } else if (dir != AT_FDCWD) {
    auto found = handles_.find(dir);
    if (found == handles_.end()) return os::fail(Errno::kBadFd);
    place.directory = found->second.file;
    place.path = found->second.path;
  }
  const SimulatedFile* start = place.directory.get();
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view name = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (name.empty() || name == ".") continue;
    FilePointer here = place.file();
    if (here == nullptr) return os::fail(Errno::kNoEntry);
    if (!here->is_directory()) return os::fail(Errno::kNotDirectory);
    if (name == "..") {
      if (here.get() == start && how == Resolve::kBeneath) return os::fail(Errno::kCrossDevice);
      return os::fail(Errno::kNotSupported);  // nobody asks a disk for it
    }
    place.directory = std::move(here);
    place.name = name;
    if (!place.path.empty()) place.path += '/';
    place.path += name;
  }
  return place;
}

void SimulatedDisk::change_names(NameChange edits) {
  for (NameEdit& edit : edits) {
    SimulatedFile& directory = *edit.directory;
    if (auto old = directory.entries.find(edit.name); old != directory.entries.end()) {
      edit.replaced = old->second.file;
      edit.replaced->links -= edit.replaced->is_directory() ? 2 : 1;
      directory.entries.erase(old);
    }
    if (edit.file == nullptr) continue;
    directory.entries[edit.name] = {.file = edit.file, .cookie = directory.next_cookie++};
    edit.file->links += edit.file->is_directory() ? 2 : 1;
    if (edit.file->is_directory()) edit.file->parent = &directory;
  }
  unsynced_names_.push_back(std::move(edits));
}

Expected<int> SimulatedDisk::open(int dir, const char* path, int flags, mode_t mode, Resolve how) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Place place, resolve(dir, path, how));
  FilePointer file = place.file();
  if (file == nullptr && (flags & O_CREAT) == 0) return os::fail(Errno::kNoEntry);
  if (const DiskFault* fault = meet_fault(DiskCall::kOpen, place.path))
    return os::fail(fault->error);
  if (file == nullptr) {
    file = make_file(S_IFREG | (mode & 07777));
    CALF_ERRNO_CHECK(change(DiskCall::kOpen, place.path, 1, [&] {
      change_names({{.directory = place.directory, .name = place.name, .file = file}});
    }));
  } else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
    return os::fail(Errno::kExists);
  }
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (file->is_directory() && writes) return os::fail(Errno::kIsDirectory);
  if (!file->is_directory() && (flags & O_DIRECTORY) != 0) return os::fail(Errno::kNotDirectory);
  if ((flags & O_TRUNC) != 0 && writes && file->contents.size() > 0) {
    CALF_ERRNO_CHECK(change(DiskCall::kTruncate, place.path, 0, [&] { file->resize(0); }));
  }
  handles_[next_fd_] = {.file = file, .path = place.path, .flags = flags};
  return next_fd_++;
}

void SimulatedDisk::close(int fd) {
  std::lock_guard lock(mutex_);
  handles_.erase(fd);
}

Expected<void> SimulatedDisk::mkdirat(int dir, const char* name, mode_t mode) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Place place, resolve(dir, name, Resolve::kAnywhere));
  if (place.file() != nullptr) return os::fail(Errno::kExists);
  if (const DiskFault* fault = meet_fault(DiskCall::kNames, place.path))
    return os::fail(fault->error);
  return change(DiskCall::kNames, place.path, 1, [&] {
    change_names({{.directory = place.directory,
                   .name = place.name,
                   .file = make_file(S_IFDIR | (mode & 07777))}});
  });
}

Expected<void> SimulatedDisk::unlinkat(int dir, const char* name, int flags) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Place place, resolve(dir, name, Resolve::kAnywhere));
  const FilePointer file = place.file();
  if (file == nullptr) return os::fail(Errno::kNoEntry);
  const bool wants_directory = (flags & AT_REMOVEDIR) != 0;
  if (file->is_directory() != wants_directory)
    return os::fail(wants_directory ? Errno::kNotDirectory : Errno::kIsDirectory);
  if (!file->entries.empty()) return os::fail(Errno::kNotEmpty);
  if (const DiskFault* fault = meet_fault(DiskCall::kNames, place.path))
    return os::fail(fault->error);
  return change(DiskCall::kNames, place.path, 2, [&] {
    file->parent = nullptr;
    change_names({{.directory = place.directory, .name = place.name}});
  });
}

Expected<void> SimulatedDisk::renameat(int from_dir, const char* from, int to_dir, const char* to) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Place source, resolve(from_dir, from, Resolve::kAnywhere));
  CALF_ERRNO_TRY(Place target, resolve(to_dir, to, Resolve::kAnywhere));
  const FilePointer file = source.file();
  const FilePointer there = target.file();
  if (file == nullptr) return os::fail(Errno::kNoEntry);
  if (file == there) return {};
  if (there != nullptr && file->is_directory() && !there->is_directory())
    return os::fail(Errno::kNotDirectory);
  if (there != nullptr && !file->is_directory() && there->is_directory())
    return os::fail(Errno::kIsDirectory);
  if (there != nullptr && !there->entries.empty()) return os::fail(Errno::kNotEmpty);
  if (is_inside(target.directory.get(), file.get())) return os::fail(Errno::kInvalid);
  if (const DiskFault* fault = meet_fault(DiskCall::kNames, target.path))
    return os::fail(fault->error);
  return change(DiskCall::kNames, target.path, 3, [&] {
    change_names({{.directory = source.directory, .name = source.name},
                  {.directory = target.directory, .name = target.name, .file = file}});
  });
}

Expected<void> SimulatedDisk::linkat(int from_dir, const char* from, int to_dir, const char* to) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Place source, resolve(from_dir, from, Resolve::kAnywhere));
  CALF_ERRNO_TRY(Place target, resolve(to_dir, to, Resolve::kAnywhere));
  const FilePointer file = source.file();
  if (file == nullptr) return os::fail(Errno::kNoEntry);
  if (file->is_directory()) return os::fail(Errno::kPerm);
  if (target.file() != nullptr) return os::fail(Errno::kExists);
  return change(DiskCall::kNames, target.path, 4, [&] {
    change_names({{.directory = target.directory, .name = target.name, .file = file}});
  });
}

Expected<void> SimulatedDisk::symlinkat(const char*, int, const char*) {
  return os::fail(Errno::kPerm);
}

Expected<size_t> SimulatedDisk::readlinkat(int dir, const char* name, std::span<char>) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Place place, resolve(dir, name, Resolve::kAnywhere));
  return os::fail(place.file() == nullptr ? Errno::kNoEntry : Errno::kInvalid);
}

// --- Contents

Expected<size_t> SimulatedDisk::preadv(int fd, std::span<const iovec> buffers, uint64_t offset) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Handle * open, handle(fd));
  CALF_ERRNO_TRY(size_t left, allowed(DiskCall::kRead, open->path, total(buffers)));
  if (open->file->is_directory()) return os::fail(Errno::kIsDirectory);
  size_t done = 0;
  for (const iovec& buffer : buffers) {
    const size_t wanted = std::min(buffer.iov_len, left - done);
    const size_t got = open->file->contents.read({static_cast<std::byte*>(buffer.iov_base), wanted},
                                                 offset + done);
    done += got;
    if (got < buffer.iov_len) break;
  }
  return done;
}

Expected<size_t> SimulatedDisk::pwritev(int fd, std::span<const iovec> buffers, uint64_t offset) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Handle * open, writable(fd));
  CALF_ERRNO_TRY(size_t length, allowed(DiskCall::kWrite, open->path, total(buffers)));
  if (length == 0) return 0;
  const std::vector<std::byte> bytes = gathered(buffers, length);
  CALF_ERRNO_CHECK(change(DiskCall::kWrite, open->path, offset * 31 + length, [&] {
    open->file->write(bytes, offset);
    open->file->modified = now();
  }));
  if ((open->flags & O_DSYNC) != 0) open->file->sync_contents();
  return length;
}

Expected<void> SimulatedDisk::ftruncate(int fd, uint64_t size) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Handle * open, writable(fd));
  if (const DiskFault* fault = meet_fault(DiskCall::kTruncate, open->path))
    return os::fail(fault->error);
  return change(DiskCall::kTruncate, open->path, size, [&] { open->file->resize(size); });
}

Expected<void> SimulatedDisk::fallocate(int fd, int mode, uint64_t offset, uint64_t length) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Handle * open, writable(fd));
  if (mode != 0) return os::fail(Errno::kNotSupported);
  if (const DiskFault* fault = meet_fault(DiskCall::kAllocate, open->path))
    return os::fail(fault->error);
  return change(DiskCall::kAllocate, open->path, offset + length, [&] {
    if (offset + length > open->file->contents.size()) open->file->resize(offset + length);
  });
}

Expected<void> SimulatedDisk::sync_file(int fd) {
  std::this_thread::sleep_for(std::chrono::milliseconds(sync_takes_ms_));
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Handle * open, handle(fd));
  const FilePointer file = open->file;
  if (const DiskFault* fault = meet_fault(DiskCall::kSync, open->path)) {
    file->fail_to_sync_contents();
    return os::fail(fault->error);
  }
  CALF_ERRNO_CHECK(change(DiskCall::kSync, open->path, 0, [] {}));
  file->sync_contents();
  make_names_durable([&](const NameChange& edits) {
    return std::any_of(edits.begin(), edits.end(), [&](const NameEdit& edit) {
      return edit.file == file || edit.directory == file;
    });
  });
  return {};
}

Expected<void> SimulatedDisk::fsync(int fd) {
  return sync_file(fd);
}

Expected<void> SimulatedDisk::fdatasync(int fd) {
  return sync_file(fd);
}

Expected<void> SimulatedDisk::syncfs(int fd) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Handle * open, handle(fd));
  if (const DiskFault* fault = meet_fault(DiskCall::kSync, open->path))
    return os::fail(fault->error);
  CALF_ERRNO_CHECK(change(DiskCall::kSync, open->path, 1, [] {}));
  make_names_durable([](const NameChange&) { return true; });
  std::vector<FilePointer> todo = {root_};
  while (!todo.empty()) {
    const FilePointer file = std::move(todo.back());
    todo.pop_back();
    file->sync_contents();
    for (const auto& [name, entry] : file->entries) todo.push_back(entry.file);
  }
  return {};
}

// --- Attributes

Expected<struct stat> SimulatedDisk::fstat(int fd) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_CHECK(check_power());
  CALF_ERRNO_TRY(Handle * open, handle(fd));
  return stat_of(*open->file);
}

Expected<struct stat> SimulatedDisk::fstatat(int dir, const char* name, int) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Place place, resolve(dir, name, Resolve::kAnywhere));
  const FilePointer file = place.file();
  if (file == nullptr) return os::fail(Errno::kNoEntry);
  return stat_of(*file);
}

Expected<struct statfs> SimulatedDisk::fstatfs(int) {
  struct statfs out{};
  constexpr uint64_t kBlock = 4096;
  constexpr uint64_t kBlocks = (uint64_t{1} << 40) / kBlock;
  out.f_bsize = kBlock;
  out.f_blocks = out.f_bfree = out.f_bavail = kBlocks;
  out.f_namelen = 255;
  return out;
}

// Modes and times do not matter to what survives: they change at once.
Expected<void> SimulatedDisk::fchmod(int fd, mode_t mode) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_CHECK(check_power());
  CALF_ERRNO_TRY(Handle * open, handle(fd));
  open->file->mode = (open->file->mode & S_IFMT) | (mode & 07777);
  return {};
}

Expected<void> SimulatedDisk::utimensat(int dir, const char* name, const timespec times[2], int) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_TRY(Place place, resolve(dir, name != nullptr ? name : "", Resolve::kAnywhere));
  const FilePointer file = place.file();
  if (file == nullptr) return os::fail(Errno::kNoEntry);
  if (times[1].tv_nsec == UTIME_NOW) {
    file->modified = now();
  } else if (times[1].tv_nsec != UTIME_OMIT) {
    file->modified = times[1];
  }
  return {};
}

Expected<size_t> SimulatedDisk::read_directory(int fd, uint64_t cookie,
                                               std::span<std::byte> records) {
  std::lock_guard lock(mutex_);
  CALF_ERRNO_CHECK(check_power());
  CALF_ERRNO_TRY(Handle * open, handle(fd));
  if (!open->file->is_directory()) return os::fail(Errno::kNotDirectory);
  struct Listed {
    uint64_t cookie;
    std::string name;
    const SimulatedFile* file;
  };
  std::vector<Listed> listed = {{1, ".", open->file.get()}, {2, "..", open->file.get()}};
  for (const auto& [name, entry] : open->file->entries)
    listed.push_back({entry.cookie, name, entry.file.get()});
  std::sort(listed.begin(), listed.end(),
            [](const Listed& a, const Listed& b) { return a.cookie < b.cookie; });
  size_t used = 0;
  for (const Listed& each : listed) {
    if (each.cookie <= cookie) continue;
    const size_t length = (offsetof(dirent64, d_name) + each.name.size() + 1 + 7) / 8 * 8;
    if (used + length > records.size()) break;
    auto* record = reinterpret_cast<dirent64*>(records.data() + used);
    record->d_ino = each.file->inode;
    record->d_off = static_cast<off64_t>(each.cookie);
    record->d_reclen = static_cast<unsigned short>(length);
    record->d_type = each.file->is_directory() ? DT_DIR : DT_REG;
    std::memcpy(record->d_name, each.name.c_str(), each.name.size() + 1);
    used += length;
  }
  return used;
}

}  // namespace calf::os::testing
