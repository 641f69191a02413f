// The image's imports that are about files: pointers are checked and translated here, the work is
// GuestFiles'.
#include <array>
#include <climits>
#include <cstring>

#include "wasm/files/guest_errno.h"
#include "wasm/guest.h"

namespace calf::wasm {
namespace {

constexpr uint32_t kMaxIovecs = 1024;
const int kFault = guest_errno(os::Errno::kFault);
const int kInvalid = guest_errno(os::Errno::kInvalid);

// A NUL-terminated string that lies whole in memory the guest may touch; null otherwise.
const char* path_at(Guest& guest, u32 address) {
  constexpr uint64_t kLongest = vfs::kMaxPath + 1;
  const uint64_t limit = guest.memory().valid(address, kLongest) ? kLongest : 1;
  if (address == 0 || !guest.memory().valid(address, 1)) return nullptr;
  const char* text = guest.c_string(address);
  for (uint64_t i = 0; i < kLongest; i += 1) {
    if (i >= limit && !guest.memory().valid(address, i + 1)) return nullptr;
    if (text[i] == '\0') return text;
  }
  return text;  // too long: GuestFiles says so
}

bool readable(Guest& guest, u32 address, uint64_t size_bytes) {
  return address != 0 && guest.memory().valid(address, size_bytes);
}

template <size_t N>
std::span<std::byte, N> fixed(Guest& guest, u32 address) {
  return std::span<std::byte, N>(reinterpret_cast<std::byte*>(guest.base() + address), N);
}

// Calls `operation(paths…)` when all of them are readable.
template <typename Operation, typename... Addresses>
u32 with_paths(Operation operation, Addresses... addresses) {
  Guest& guest = Guest::current();
  const std::array<const char*, sizeof...(addresses)> paths{path_at(guest, addresses)...};
  for (const char* path : paths) {
    if (path == nullptr) return static_cast<u32>(-kFault);
  }
  return static_cast<u32>(
      std::apply([&](auto... path) { return operation(guest, path...); }, paths));
}

template <typename Operation>
u32 with_stat(u32 out, Operation operation) {
  Guest& guest = Guest::current();
  if (!readable(guest, out, kGuestStatSize)) return static_cast<u32>(-kFault);
  return static_cast<u32>(operation(guest, fixed<kGuestStatSize>(guest, out)));
}

// Translates an array of guest iovecs and calls `transfer(buffers, count)`.
template <typename Transfer>
u32 with_iovecs(u32 iovecs, u32 iovec_count, u32 count_out, Transfer transfer) {
  Guest& guest = Guest::current();
  if (iovec_count > kMaxIovecs) return static_cast<u32>(kInvalid);
  if (!readable(guest, iovecs, uint64_t{iovec_count} * kGuestIovecSize) ||
      !readable(guest, count_out, 4)) {
    return static_cast<u32>(kFault);
  }
  constexpr uint32_t kOnStack = 32;
  iovec few[kOnStack];
  iovec many[kMaxIovecs];  // guests' stacks are large
  iovec* buffers = iovec_count <= kOnStack ? few : many;
  for (u32 i = 0; i < iovec_count; ++i) {
    const auto address = guest.load<u32>(iovecs + i * 8);
    const auto length = guest.load<u32>(iovecs + i * 8 + 4);
    if (length != 0 && !guest.memory().valid(address, length)) return static_cast<u32>(kFault);
    buffers[i] = {guest.base() + address, length};
  }
  uint32_t count = 0;
  const int result = transfer(guest.files(), std::span<const iovec>(buffers, iovec_count), count);
  guest.store(count_out, count);
  return static_cast<u32>(result);
}

int mode_argument(Guest& guest, u32 varargs) {
  return varargs != 0 && guest.memory().valid(varargs, 4) ? guest.load<s32>(varargs) : 0;
}

}  // namespace
}  // namespace calf::wasm

using calf::wasm::Guest;
using namespace calf::wasm;  // this file only defines the imports

extern "C" {

u32 calf_import_env___syscall_openat(u32 dir_fd, u32 path, u32 flags, u32 varargs) {
  return with_paths(
      [&](Guest& g, const char* p) {
        return g.files().openat(static_cast<int>(dir_fd), p, static_cast<int>(flags),
                                static_cast<u32>(mode_argument(g, varargs)));
      },
      path);
}
u32 calf_import_wasi_fd_close(u32 fd) {
  return static_cast<u32>(Guest::current().files().fd_close(static_cast<int>(fd)));
}
u32 calf_import_env___syscall_dup(u32 fd) {
  return static_cast<u32>(Guest::current().files().dup(static_cast<int>(fd)));
}
u32 calf_import_env___syscall_dup3(u32 fd, u32 new_fd, u32 flags) {
  return static_cast<u32>(Guest::current().files().dup3(
      static_cast<int>(fd), static_cast<int>(new_fd), static_cast<int>(flags)));
}
u32 calf_import_env___syscall_fcntl64(u32 fd, u32 command, u32 varargs) {
  Guest& g = Guest::current();
  const int argument = mode_argument(g, varargs);
  std::span<std::byte> lock;
  if (g.memory().valid(static_cast<u32>(argument), kGuestFlockSize)) {
    lock = g.bytes(static_cast<u32>(argument), kGuestFlockSize);
  }
  return static_cast<u32>(
      g.files().fcntl64(static_cast<int>(fd), static_cast<int>(command), argument, lock));
}
u32 calf_import_env___syscall_ioctl(u32 fd, u32 operation, u32) {
  return static_cast<u32>(
      Guest::current().files().ioctl(static_cast<int>(fd), static_cast<int>(operation)));
}
u32 calf_import_env___syscall_pipe2(u32 fds, u32 flags) {
  Guest& g = Guest::current();
  if (!readable(g, fds, 8)) return static_cast<u32>(-kFault);
  int read_fd = -1;
  int write_fd = -1;
  const int result = g.files().pipe2(read_fd, write_fd, static_cast<int>(flags));
  if (result >= 0) {
    g.store(fds, read_fd);
    g.store(fds + 4, write_fd);
  }
  return static_cast<u32>(result);
}

u32 calf_import_wasi_fd_read(u32 fd, u32 iovecs, u32 n, u32 out) {
  return with_iovecs(iovecs, n, out,
                     [&](GuestFiles& files, std::span<const iovec> v, uint32_t& count) {
                       return files.fd_read(static_cast<int>(fd), v, count);
                     });
}
u32 calf_import_wasi_fd_write(u32 fd, u32 iovecs, u32 n, u32 out) {
  return with_iovecs(iovecs, n, out,
                     [&](GuestFiles& files, std::span<const iovec> v, uint32_t& count) {
                       return files.fd_write(static_cast<int>(fd), v, count);
                     });
}
u32 calf_import_wasi_fd_pread(u32 fd, u32 iovecs, u32 n, u64 offset, u32 out) {
  return with_iovecs(
      iovecs, n, out, [&](GuestFiles& files, std::span<const iovec> v, uint32_t& count) {
        return files.fd_pread(static_cast<int>(fd), v, static_cast<s64>(offset), count);
      });
}
u32 calf_import_wasi_fd_pwrite(u32 fd, u32 iovecs, u32 n, u64 offset, u32 out) {
  return with_iovecs(
      iovecs, n, out, [&](GuestFiles& files, std::span<const iovec> v, uint32_t& count) {
        return files.fd_pwrite(static_cast<int>(fd), v, static_cast<s64>(offset), count);
      });
}
u32 calf_import_wasi_fd_seek(u32 fd, u64 offset, u32 whence, u32 out) {
  Guest& g = Guest::current();
  if (!readable(g, out, 8)) return static_cast<u32>(kFault);
  int64_t position = 0;
  const int result = g.files().fd_seek(static_cast<int>(fd), static_cast<s64>(offset),
                                       static_cast<int>(whence), position);
  if (result == 0) g.store(out, position);
  return static_cast<u32>(result);
}
u32 calf_import_env___syscall_ftruncate64(u32 fd, u64 size) {
  return static_cast<u32>(
      Guest::current().files().ftruncate64(static_cast<int>(fd), static_cast<s64>(size)));
}
u32 calf_import_env___syscall_truncate64(u32 path, u64 size) {
  return with_paths(
      [&](Guest& g, const char* p) { return g.files().truncate64(p, static_cast<s64>(size)); },
      path);
}
u32 calf_import_env___syscall_fallocate(u32 fd, u32 mode, u64 offset, u64 length) {
  return static_cast<u32>(
      Guest::current().files().fallocate(static_cast<int>(fd), static_cast<int>(mode),
                                         static_cast<s64>(offset), static_cast<s64>(length)));
}
u32 calf_import_env___syscall_fadvise64(u32 fd, u64 offset, u64 length, u32 advice) {
  return static_cast<u32>(
      Guest::current().files().fadvise64(static_cast<int>(fd), static_cast<s64>(offset),
                                         static_cast<s64>(length), static_cast<int>(advice)));
}

u32 calf_import_wasi_fd_sync(u32 fd) {
  return static_cast<u32>(
      Guest::current().sync_file(static_cast<int>(fd), calf::vfs::File::SyncKind::kAll));
}
u32 calf_import_env___syscall_fdatasync(u32 fd) {
  return static_cast<u32>(
      -Guest::current().sync_file(static_cast<int>(fd), calf::vfs::File::SyncKind::kDataOnly));
}

u32 calf_import_env___syscall_fstat64(u32 fd, u32 out) {
  return with_stat(
      out, [&](Guest& g, auto buffer) { return g.files().fstat64(static_cast<int>(fd), buffer); });
}
u32 calf_import_env___syscall_stat64(u32 path, u32 out) {
  return with_paths(
      [&](Guest&, const char* p) {
        return with_stat(out, [&](Guest& g, auto buffer) { return g.files().stat64(p, buffer); });
      },
      path);
}
u32 calf_import_env___syscall_lstat64(u32 path, u32 out) {
  return with_paths(
      [&](Guest&, const char* p) {
        return with_stat(out, [&](Guest& g, auto buffer) { return g.files().lstat64(p, buffer); });
      },
      path);
}
u32 calf_import_env___syscall_newfstatat(u32 dir_fd, u32 path, u32 out, u32 flags) {
  return with_paths(
      [&](Guest&, const char* p) {
        return with_stat(out, [&](Guest& g, auto buffer) {
          return g.files().newfstatat(static_cast<int>(dir_fd), p, buffer, static_cast<int>(flags));
        });
      },
      path);
}
u32 calf_import_env___syscall_faccessat(u32 dir_fd, u32 path, u32 mode, u32 flags) {
  return with_paths(
      [&](Guest& g, const char* p) {
        return g.files().faccessat(static_cast<int>(dir_fd), p, static_cast<int>(mode),
                                   static_cast<int>(flags));
      },
      path);
}
u32 calf_import_env___syscall_chmod(u32 path, u32 mode) {
  return with_paths([&](Guest& g, const char* p) { return g.files().chmod(p, mode); }, path);
}
u32 calf_import_env___syscall_fchmod(u32 fd, u32 mode) {
  return static_cast<u32>(Guest::current().files().fchmod(static_cast<int>(fd), mode));
}
u32 calf_import_env___syscall_fchmodat2(u32 dir_fd, u32 path, u32 mode, u32 flags) {
  return with_paths(
      [&](Guest& g, const char* p) {
        return g.files().fchmodat2(static_cast<int>(dir_fd), p, mode, static_cast<int>(flags));
      },
      path);
}
u32 calf_import_env___syscall_fchownat(u32 dir_fd, u32 path, u32 uid, u32 gid, u32 flags) {
  return with_paths(
      [&](Guest& g, const char* p) {
        return g.files().fchownat(static_cast<int>(dir_fd), p, uid, gid, static_cast<int>(flags));
      },
      path);
}
u32 calf_import_env___syscall_fchown32(u32 fd, u32 uid, u32 gid) {
  return static_cast<u32>(Guest::current().files().fchown32(static_cast<int>(fd), uid, gid));
}
u32 calf_import_env___syscall_utimensat(u32 dir_fd, u32 path, u32 times, u32 flags) {
  return with_paths(
      [&](Guest& g, const char* p) {
        std::span<const std::byte> both;
        if (times != 0) {
          if (!g.memory().valid(times, 2 * kGuestTimespecSize)) return -kFault;
          both = g.bytes(times, 2 * kGuestTimespecSize);
        }
        return g.files().utimensat(static_cast<int>(dir_fd), p, both, static_cast<int>(flags));
      },
      path);
}
u32 calf_import_env___syscall_statfs64(u32 path, u32 size, u32 out) {
  return with_paths(
      [&](Guest& g, const char* p) {
        if (!readable(g, out, size)) return -kFault;
        return g.files().statfs64(p, g.bytes(out, size));
      },
      path);
}
u32 calf_import_wasi_fd_fdstat_get(u32 fd, u32 out) {
  Guest& g = Guest::current();
  if (!readable(g, out, kGuestFdstatSize)) return static_cast<u32>(kFault);
  return static_cast<u32>(
      g.files().fd_fdstat_get(static_cast<int>(fd), fixed<kGuestFdstatSize>(g, out)));
}

u32 calf_import_env___syscall_chdir(u32 path) {
  return with_paths([](Guest& g, const char* p) { return g.files().chdir(p); }, path);
}
u32 calf_import_env___syscall_getcwd(u32 out, u32 size) {
  Guest& g = Guest::current();
  if (!readable(g, out, size)) return static_cast<u32>(-kFault);
  return static_cast<u32>(g.files().getcwd(g.bytes(out, size)));
}
u32 calf_import_env___syscall_mkdirat(u32 dir_fd, u32 path, u32 mode) {
  return with_paths(
      [&](Guest& g, const char* p) { return g.files().mkdirat(static_cast<int>(dir_fd), p, mode); },
      path);
}
u32 calf_import_env___syscall_rmdir(u32 path) {
  return with_paths([](Guest& g, const char* p) { return g.files().rmdir(p); }, path);
}
u32 calf_import_env___syscall_unlinkat(u32 dir_fd, u32 path, u32 flags) {
  return with_paths(
      [&](Guest& g, const char* p) {
        return g.files().unlinkat(static_cast<int>(dir_fd), p, static_cast<int>(flags));
      },
      path);
}
u32 calf_import_env___syscall_renameat(u32 from_dir, u32 from, u32 to_dir, u32 to) {
  return with_paths(
      [&](Guest& g, const char* f, const char* t) {
        return g.files().renameat(static_cast<int>(from_dir), f, static_cast<int>(to_dir), t);
      },
      from, to);
}
u32 calf_import_env___syscall_linkat(u32 from_dir, u32 from, u32 to_dir, u32 to, u32 flags) {
  return with_paths(
      [&](Guest& g, const char* f, const char* t) {
        return g.files().linkat(static_cast<int>(from_dir), f, static_cast<int>(to_dir), t,
                                static_cast<int>(flags));
      },
      from, to);
}
u32 calf_import_env___syscall_symlinkat(u32 target, u32 dir_fd, u32 path) {
  return with_paths(
      [&](Guest& g, const char* t, const char* p) {
        return g.files().symlinkat(t, static_cast<int>(dir_fd), p);
      },
      target, path);
}
u32 calf_import_env___syscall_readlinkat(u32 dir_fd, u32 path, u32 out, u32 size) {
  return with_paths(
      [&](Guest& g, const char* p) {
        if (!readable(g, out, size)) return -kFault;
        return g.files().readlinkat(static_cast<int>(dir_fd), p, g.bytes(out, size));
      },
      path);
}
u32 calf_import_env___syscall_getdents64(u32 fd, u32 out, u32 size) {
  Guest& g = Guest::current();
  if (!readable(g, out, size)) return static_cast<u32>(-kFault);
  return static_cast<u32>(g.files().getdents64(static_cast<int>(fd), g.bytes(out, size)));
}
u32 calf_import_env___syscall_umask(u32 mask) {
  return static_cast<u32>(Guest::current().files().umask(mask));
}

// struct pollfd: fd 0, events 4 (16 bit), revents 6.
u32 calf_import_env___syscall_poll(u32 entries, u32 count, u32) {
  Guest& g = Guest::current();
  constexpr u32 kMaxPolled = 4096;
  if (count > kMaxPolled) return static_cast<u32>(-kInvalid);
  if (count != 0 && !readable(g, entries, uint64_t{count} * 8)) return static_cast<u32>(-kFault);
  u32 ready = 0;
  for (u32 i = 0; i < count; ++i) {
    const u32 entry = entries + i * 8;
    const int16_t revents = g.files().poll(g.load<s32>(entry), g.load<s16>(entry + 4));
    g.store<s16>(entry + 6, revents);
    if (revents != 0) ready += 1;
  }
  return ready;
}

u32 calf_import_wasi_environ_sizes_get(u32 count_out, u32 size_out) {
  Guest& g = Guest::current();
  if (!readable(g, count_out, 4) || !readable(g, size_out, 4)) return static_cast<u32>(kFault);
  u32 size = 0;
  for (const std::string& entry : g.files().environment())
    size += static_cast<u32>(entry.size()) + 1;
  g.store(count_out, static_cast<u32>(g.files().environment().size()));
  g.store(size_out, size);
  return 0;
}
u32 calf_import_wasi_environ_get(u32 pointers, u32 text) {
  Guest& g = Guest::current();
  for (const std::string& entry : g.files().environment()) {
    if (!readable(g, pointers, 4) || !readable(g, text, entry.size() + 1))
      return static_cast<u32>(kFault);
    g.store(pointers, text);
    std::memcpy(g.base() + text, entry.c_str(), entry.size() + 1);
    pointers += 4;
    text += static_cast<u32>(entry.size()) + 1;
  }
  return 0;
}

}  // extern "C"
