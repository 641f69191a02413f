// GuestFiles: descriptors and contents. What works on names is in guest_names.cc.
#include "wasm/files/guest_files.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "wasm/files/guest_errno.h"
#include "wasm/files/guest_flags.h"
#include "wasm/files/open_description.h"

namespace calf::wasm {
namespace {

using os::Errno;
using os::Expected;
using os::fail;
using vfs::FileKind;

std::shared_ptr<OpenDescription> standard(std::unique_ptr<vfs::File> file, bool readable,
                                          bool writable) {
  auto description = std::make_shared<OpenDescription>();
  description->seekable = file->kind() == FileKind::kRegular;
  description->file = std::move(file);
  description->readable = readable;
  description->writable = writable;
  description->status_flags = readable ? 0 : 1;
  return description;
}

}  // namespace

GuestFiles::GuestFiles(Options options)
    : tree_(std::move(options.tree)),
      clock_(std::move(options.clock)),
      random_(std::move(options.random)),
      working_directory_(std::move(options.working_directory)),
      umask_(options.umask),
      uid_(options.uid),
      gid_(options.gid),
      max_descriptors_(std::max<uint32_t>(options.max_descriptors, 3)),
      environment_(std::move(options.environment)) {
  ASSERT(tree_ != nullptr && clock_ != nullptr && random_ != nullptr);
  if (options.standard_input == nullptr) options.standard_input = make_stream(0, {});
  if (options.standard_output == nullptr) options.standard_output = make_stream(1, options.sink);
  slots_.push_back({standard(std::move(options.standard_input), true, false)});
  slots_.push_back({standard(std::move(options.standard_output), false, true)});
  slots_.push_back({standard(make_stream(2, std::move(options.sink)), false, true)});
}

GuestFiles::~GuestFiles() = default;

std::unique_ptr<GuestFiles> GuestFiles::fork() const {
  std::unique_ptr<GuestFiles> child(new GuestFiles);
  child->tree_ = tree_;
  child->clock_ = clock_;
  child->random_ = random_;
  child->slots_ = slots_;
  child->working_directory_ = working_directory_;
  child->umask_ = umask_;
  child->uid_ = uid_;
  child->gid_ = gid_;
  child->max_descriptors_ = max_descriptors_;
  child->environment_ = environment_;
  return child;
}

OpenDescription* GuestFiles::find(int fd) noexcept {
  if (fd < 0 || static_cast<size_t>(fd) >= slots_.size()) return nullptr;
  return slots_[static_cast<size_t>(fd)].description.get();
}

vfs::File* GuestFiles::file(int fd) noexcept {
  OpenDescription* description = find(fd);
  return description != nullptr ? description->file.get() : nullptr;
}

size_t GuestFiles::open_count() const {
  return static_cast<size_t>(
      std::ranges::count_if(slots_, [](const Slot& slot) { return slot.description != nullptr; }));
}

Expected<int> GuestFiles::add(std::shared_ptr<OpenDescription> description, int lowest,
                              bool close_on_exec) {
  auto fd = static_cast<size_t>(lowest);
  while (fd < slots_.size() && slots_[fd].description != nullptr) ++fd;
  if (fd >= max_descriptors_) return fail(Errno::kTooManyOpenFiles);
  if (fd >= slots_.size()) slots_.resize(fd + 1);
  slots_[fd] = {std::move(description), close_on_exec};
  return static_cast<int>(fd);
}

int GuestFiles::install(std::unique_ptr<vfs::File> file, bool readable, bool writable) noexcept {
  auto description = standard(std::move(file), readable, writable);
  description->status_flags = readable && writable ? 2 : description->status_flags;
  auto fd = add(std::move(description), 0, false);
  return fd ? *fd : syscall_error(fd.error());
}

int GuestFiles::fd_close(int fd) noexcept {
  if (find(fd) == nullptr) return guest_errno(Errno::kBadFd);
  slots_[static_cast<size_t>(fd)] = {};
  return 0;
}

int GuestFiles::dup(int fd) noexcept {
  if (find(fd) == nullptr) return syscall_error(Errno::kBadFd);
  auto copy = add(slots_[static_cast<size_t>(fd)].description, 0, false);
  return copy ? *copy : syscall_error(copy.error());
}

int GuestFiles::dup3(int fd, int new_fd, int flags) noexcept {
  if (fd == new_fd || (flags & ~guest::kOpenCloseOnExec) != 0)
    return syscall_error(Errno::kInvalid);
  if (find(fd) == nullptr || new_fd < 0 || static_cast<uint32_t>(new_fd) >= max_descriptors_)
    return syscall_error(Errno::kBadFd);
  auto to = static_cast<size_t>(new_fd);
  if (to >= slots_.size()) slots_.resize(to + 1);
  slots_[to] = {slots_[static_cast<size_t>(fd)].description, flags != 0};
  return new_fd;
}

int GuestFiles::fcntl64(int fd, int command, int32_t argument, std::span<std::byte> lock) noexcept {
  OpenDescription* description = find(fd);
  if (description == nullptr) return syscall_error(Errno::kBadFd);
  Slot& slot = slots_[static_cast<size_t>(fd)];
  switch (command) {
    case guest::kDupFd:
    case guest::kDupFdCloseOnExec: {
      if (argument < 0 || static_cast<uint32_t>(argument) >= max_descriptors_)
        return syscall_error(Errno::kInvalid);
      auto copy = add(slot.description, argument, command == guest::kDupFdCloseOnExec);
      return copy ? *copy : syscall_error(copy.error());
    }
    case guest::kGetFd:
      return slot.close_on_exec ? 1 : 0;
    case guest::kSetFd:
      slot.close_on_exec = (argument & 1) != 0;
      return 0;
    case guest::kGetStatus:
      return description->status_flags;
    case guest::kSetStatus:
      description->status_flags =
          (description->status_flags & ~guest::kMutableStatus) | (argument & guest::kMutableStatus);
      description->append = (argument & guest::kOpenAppend) != 0;
      return 0;
    case guest::kGetLock:
    case guest::kGetLockOfDescription:
      if (lock.size() < sizeof guest::kUnlocked) return syscall_error(Errno::kFault);
      std::memcpy(lock.data(), &guest::kUnlocked, sizeof guest::kUnlocked);
      return 0;
    case guest::kSetLock:
    case guest::kSetLockWait:
    case guest::kSetLockOfDescription:
    case guest::kSetLockOfDescriptionWait:
      return 0;
    default:
      return syscall_error(Errno::kInvalid);
  }
}

// Nothing here is a terminal, and that is all that ioctl is asked for.
int GuestFiles::ioctl(int fd, int /*operation*/) noexcept {
  return syscall_error(find(fd) == nullptr ? Errno::kBadFd : Errno::kNotTty);
}

int GuestFiles::pipe2(int& read_fd, int& write_fd, int flags) noexcept {
  if ((flags & ~(guest::kOpenCloseOnExec | guest::kOpenNonBlocking)) != 0)
    return syscall_error(Errno::kNotSupported);
  PipeEnds ends = make_pipe();
  auto reader = standard(std::move(ends.reader), true, false);
  auto writer = standard(std::move(ends.writer), false, true);
  reader->status_flags |= flags & guest::kOpenNonBlocking;
  writer->status_flags |= flags & guest::kOpenNonBlocking;
  bool close_on_exec = (flags & guest::kOpenCloseOnExec) != 0;
  auto first = add(std::move(reader), 0, close_on_exec);
  if (!first) return syscall_error(first.error());
  auto second = add(std::move(writer), 0, close_on_exec);
  if (!second) {
    fd_close(*first);
    return syscall_error(second.error());
  }
  read_fd = *first;
  write_fd = *second;
  return 0;
}

int GuestFiles::fd_read(int fd, std::span<const iovec> buffers, uint32_t& count) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr || !open->readable) return guest_errno(Errno::kBadFd);
  auto got = open->file->preadv(buffers, open->position);
  if (!got) return guest_errno(got.error());
  if (open->seekable) open->position += *got;
  count = static_cast<uint32_t>(*got);
  return 0;
}

int GuestFiles::fd_write(int fd, std::span<const iovec> buffers, uint32_t& count) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr || !open->writable) return guest_errno(Errno::kBadFd);
  auto put =
      open->append ? open->file->append(buffers) : open->file->pwritev(buffers, open->position);
  if (!put) return guest_errno(put.error());
  if (open->append) {
    auto stat = open->file->stat();
    open->position = stat ? stat->size_bytes : open->position + *put;
  } else if (open->seekable) {
    open->position += *put;
  }
  count = static_cast<uint32_t>(*put);
  return 0;
}

int GuestFiles::fd_pread(int fd, std::span<const iovec> buffers, int64_t offset,
                         uint32_t& count) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr || !open->readable) return guest_errno(Errno::kBadFd);
  if (offset < 0) return guest_errno(Errno::kInvalid);
  if (!open->seekable) return guest_errno(Errno::kSeekPipe);
  auto got = open->file->preadv(buffers, static_cast<uint64_t>(offset));
  if (!got) return guest_errno(got.error());
  count = static_cast<uint32_t>(*got);
  return 0;
}

int GuestFiles::fd_pwrite(int fd, std::span<const iovec> buffers, int64_t offset,
                          uint32_t& count) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr || !open->writable) return guest_errno(Errno::kBadFd);
  if (offset < 0) return guest_errno(Errno::kInvalid);
  if (!open->seekable) return guest_errno(Errno::kSeekPipe);
  auto put = open->file->pwritev(buffers, static_cast<uint64_t>(offset));
  if (!put) return guest_errno(put.error());
  count = static_cast<uint32_t>(*put);
  return 0;
}

int GuestFiles::fd_seek(int fd, int64_t offset, int whence, int64_t& position) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return guest_errno(Errno::kBadFd);
  if (!open->seekable) return guest_errno(Errno::kSeekPipe);
  int64_t start = 0;
  if (whence == guest::kSeekCurrent) {
    start = static_cast<int64_t>(open->position);
  } else if (whence == guest::kSeekEnd) {
    auto stat = open->file->stat();
    if (!stat) return guest_errno(stat.error());
    start = static_cast<int64_t>(stat->size_bytes);
  } else if (whence != guest::kSeekSet) {
    return guest_errno(Errno::kInvalid);
  }
  int64_t target = 0;
  if (__builtin_add_overflow(start, offset, &target)) return guest_errno(Errno::kOverflow);
  if (target < 0) return guest_errno(Errno::kInvalid);
  open->position = static_cast<uint64_t>(target);
  position = target;
  return 0;
}

int GuestFiles::ftruncate64(int fd, int64_t size) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return syscall_error(Errno::kBadFd);
  if (size < 0 || !open->writable) return syscall_error(Errno::kInvalid);
  auto done = open->file->truncate(static_cast<uint64_t>(size));
  return done ? 0 : syscall_error(done.error());
}

int GuestFiles::fallocate(int fd, int mode, int64_t offset, int64_t length) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr || !open->writable) return syscall_error(Errno::kBadFd);
  if (mode != 0) return syscall_error(Errno::kNotSupported);
  if (offset < 0 || length <= 0) return syscall_error(Errno::kInvalid);
  auto done = open->file->allocate(static_cast<uint64_t>(offset), static_cast<uint64_t>(length));
  return done ? 0 : syscall_error(done.error());
}

// Advice only, and the host's own caching does well without it.
int GuestFiles::fadvise64(int fd, int64_t, int64_t, int) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return syscall_error(Errno::kBadFd);
  return open->file->kind() == FileKind::kPipe ? syscall_error(Errno::kSeekPipe) : 0;
}

int GuestFiles::sync(int fd, vfs::File::SyncKind kind) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return guest_errno(Errno::kBadFd);
  auto done = open->file->sync(kind);
  return done ? 0 : guest_errno(done.error());
}

int GuestFiles::fd_sync(int fd) noexcept {
  return sync(fd, vfs::File::SyncKind::kAll);
}
int GuestFiles::fdatasync(int fd) noexcept {
  return -sync(fd, vfs::File::SyncKind::kDataOnly);
}

Expected<GuestFiles::PendingSync> GuestFiles::begin_sync(int fd,
                                                         vfs::File::SyncKind kind) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return fail(Errno::kBadFd);
  return PendingSync{.description = slots_[static_cast<size_t>(fd)].description,
                     .file = open->file->sync_waits() ? open->file.get() : nullptr,
                     .kind = kind};
}

int GuestFiles::fstat64(int fd, StatBuffer out) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return syscall_error(Errno::kBadFd);
  auto stat = open->file->stat();
  if (!stat) return syscall_error(stat.error());
  encode_stat(*stat, uid_, gid_, out);
  return 0;
}

int GuestFiles::fchmod(int fd, uint32_t mode) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return syscall_error(Errno::kBadFd);
  auto done = open->file->chmod(mode & 07777);
  return done ? 0 : syscall_error(done.error());
}

int GuestFiles::fchown32(int fd, uint32_t, uint32_t) noexcept {
  return find(fd) == nullptr ? syscall_error(Errno::kBadFd) : 0;
}

int GuestFiles::fd_fdstat_get(int fd, std::span<std::byte, kGuestFdstatSize> out) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return guest_errno(Errno::kBadFd);
  encode_fdstat(open->file->kind(), out);
  return 0;
}

int GuestFiles::getdents64(int fd, std::span<std::byte> out) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return syscall_error(Errno::kBadFd);
  size_t used = 0;
  bool too_small = false;
  auto done = open->file->read_directory(open->position, [&](const vfs::DirectoryEntry& entry) {
    size_t length = encode_dirent(entry, out.subspan(used));
    if (length == 0) {
      too_small = used == 0;
      return false;
    }
    used += length;
    open->position = entry.next_cookie;
    return true;
  });
  if (!done) return syscall_error(done.error());
  return too_small ? syscall_error(Errno::kInvalid) : static_cast<int>(used);
}

Expected<vfs::SharedMapping> GuestFiles::map_shared(int fd, uint64_t offset,
                                                    uint64_t length) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return fail(Errno::kBadFd);
  return open->file->map_shared(offset, length);
}

int16_t GuestFiles::poll(int fd, int16_t events) noexcept {
  OpenDescription* open = find(fd);
  if (open == nullptr) return guest::kPollInvalid;
  Readiness ready = readiness_of(*open->file);
  int now = (ready.readable ? guest::kPollIn : 0) | (ready.writable ? guest::kPollOut : 0);
  return static_cast<int16_t>((now & events) | (ready.hung_up ? guest::kPollHangUp : 0));
}

int GuestFiles::clock_time_get(int clock, uint64_t& time_ns) noexcept {
  if (clock < 0 || clock > 3) return guest_errno(Errno::kInvalid);
  time_ns = static_cast<uint64_t>(clock == 0 ? clock_->realtime_ns() : clock_->monotonic_ns());
  return 0;
}

int GuestFiles::random_get(std::span<std::byte> out) noexcept {
  random_->fill(out);
  return 0;
}

}  // namespace calf::wasm
