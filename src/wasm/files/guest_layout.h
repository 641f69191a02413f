// Structures in the guest's memory: Emscripten's wasm32 layouts, little endian, written byte by
// byte into buffers that the caller has checked. Not here: what the values mean.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "vfs/types.h"

namespace calf::wasm {

inline constexpr size_t kGuestStatSize = 96;
inline constexpr size_t kGuestStatfsSize = 88;
inline constexpr size_t kGuestFdstatSize = 24;
inline constexpr size_t kGuestTmSize = 44;
inline constexpr size_t kGuestFlockSize = 32;
inline constexpr size_t kGuestTimespecSize = 16;
inline constexpr size_t kGuestIovecSize = 8;
inline constexpr size_t kGuestTzNameSize = 17;

// The S_IF* bits and permissions of st_mode.
[[nodiscard]] uint32_t guest_mode(vfs::FileKind kind, uint32_t permissions) noexcept;

// struct stat: dev 0, mode 4, nlink 8, uid 12, gid 16, rdev 20, size 24 (64 bit), blksize 32,
// blocks 36 (512 bytes each), atim 40, mtim 56, ctim 72 (seconds 64 bit, nanoseconds 32 bit), ino
// 88 (64 bit).
void encode_stat(const vfs::Stat& stat, uint32_t uid, uint32_t gid,
                 std::span<std::byte, kGuestStatSize> out) noexcept;

// struct statfs: type 0, bsize 4, blocks 8, bfree 16, bavail 24, files 32, ffree 40 (64 bit each),
// fsid 48, namelen 56, frsize 60, flags 64.
void encode_statfs(const vfs::FsStat& stat, bool read_only,
                   std::span<std::byte, kGuestStatfsSize> out) noexcept;

// struct __wasi_fdstat_t: filetype 0, flags 2, rights 8 and 16.
void encode_fdstat(vfs::FileKind kind, std::span<std::byte, kGuestFdstatSize> out) noexcept;

// One struct dirent64: ino 0, off 8 (64 bit), reclen 16, type 18, name 19 with its NUL, padded to 8
// bytes. Returns its length, or 0 when it does not fit into `out`.
[[nodiscard]] size_t encode_dirent(const vfs::DirectoryEntry& entry,
                                   std::span<std::byte> out) noexcept;

// struct tm (sec 0, min 4, hour 8, mday 12, mon 16, year 20, wday 24, yday 28, isdst 32, gmtoff 36)
// of a time in UTC. The zone's name (a pointer, 40) is left alone. False when the year does not
// fit.
[[nodiscard]] bool encode_tm(int64_t seconds, std::span<std::byte, kGuestTmSize> out) noexcept;
// The reverse, fields out of their range allowed as mktime does; also writes the normalised fields
// back. -1: no such time.
[[nodiscard]] int64_t decode_tm(std::span<std::byte, kGuestTmSize> tm) noexcept;

// _tzset_js: UTC without daylight saving.
void encode_utc_zone(std::span<std::byte, 4> timezone, std::span<std::byte, 4> daylight,
                     std::span<std::byte, kGuestTzNameSize> standard_name,
                     std::span<std::byte, kGuestTzNameSize> daylight_name) noexcept;

// The two struct timespec of utimensat (seconds 0 64 bit, nanoseconds 8), with UTIME_NOW and
// UTIME_OMIT.
struct GuestTimes {
  vfs::TimeChange access;
  vfs::TimeChange modify;
};
[[nodiscard]] GuestTimes decode_times(
    std::span<const std::byte, 2 * kGuestTimespecSize> times) noexcept;

// Linear memory as the host sees it: `size` is its present length.
struct GuestMemory {
  std::byte* base = nullptr;
  uint64_t size = 0;

  // The bytes [address, address + length), or nothing when they are not all inside.
  [[nodiscard]] std::optional<std::span<std::byte>> range(uint32_t address,
                                                          uint64_t length) const noexcept {
    if (address > size || length > size - address) return std::nullopt;
    return std::span<std::byte>(base + address, length);
  }
  // The NUL-terminated string at `address`, or null when no NUL comes before the end of memory.
  [[nodiscard]] const char* c_string(uint32_t address) const noexcept;
};

// Reads `count` guest iovecs (buf 0, buf_len 4) at `address` into `out` (at least `count` long).
// False when the array or a buffer is outside of memory.
[[nodiscard]] bool decode_iovecs(const GuestMemory& memory, uint32_t address, uint32_t count,
                                 std::span<iovec> out) noexcept;

// environ_sizes_get and environ_get: `strings` are "NAME=value".
struct EnvironSizes {
  uint32_t count = 0;
  uint32_t size_bytes = 0;  // with a NUL each
};
[[nodiscard]] EnvironSizes environ_sizes(std::span<const std::string> strings) noexcept;
// Writes the strings into `buffer`, which lies at guest address `buffer_address`, and their guest
// addresses into `pointers`. False when either is too small.
[[nodiscard]] bool encode_environ(std::span<const std::string> strings, uint32_t buffer_address,
                                  std::span<std::byte> pointers,
                                  std::span<std::byte> buffer) noexcept;

}  // namespace calf::wasm
