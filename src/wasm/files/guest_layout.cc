#include "wasm/files/guest_layout.h"

#include <algorithm>
#include <cstring>
#include <ctime>

namespace calf::wasm {
namespace {

using vfs::FileKind;
using vfs::TimeChange;

constexpr int64_t kNsPerSecond = 1'000'000'000;

// WASM is little endian, and so are the hosts that the image is compiled for.
template <typename T>
void put(std::span<std::byte> out, size_t offset, T value) {
  std::memcpy(out.data() + offset, &value, sizeof value);
}

template <typename T>
T get(std::span<const std::byte> in, size_t offset) {
  T value;
  std::memcpy(&value, in.data() + offset, sizeof value);
  return value;
}

// struct timespec: 64-bit seconds, 32-bit nanoseconds, padding.
void put_time(std::span<std::byte> out, size_t offset, int64_t time_ns) {
  int64_t seconds = time_ns / kNsPerSecond;
  int64_t rest = time_ns % kNsPerSecond;
  if (rest < 0) {
    rest += kNsPerSecond;
    --seconds;
  }
  put(out, offset, seconds);
  put(out, offset + 8, static_cast<int32_t>(rest));
}

// d_type of struct dirent.
uint8_t dirent_type(FileKind kind) {
  switch (kind) {
    case FileKind::kPipe:
      return 1;
    case FileKind::kCharacterDevice:
      return 2;
    case FileKind::kDirectory:
      return 4;
    case FileKind::kRegular:
      return 8;
    case FileKind::kSymlink:
      return 10;
  }
  return 0;
}

// WASI's filetype.
uint8_t wasi_type(FileKind kind) {
  switch (kind) {
    case FileKind::kPipe:
      return 0;
    case FileKind::kCharacterDevice:
      return 2;
    case FileKind::kDirectory:
      return 3;
    case FileKind::kRegular:
      return 4;
    case FileKind::kSymlink:
      return 7;
  }
  return 0;
}

void put_tm(std::span<std::byte> out, const std::tm& tm) {
  const int fields[] = {tm.tm_sec,  tm.tm_min,  tm.tm_hour, tm.tm_mday,    tm.tm_mon,
                        tm.tm_year, tm.tm_wday, tm.tm_yday, 0 /* isdst */, 0 /* gmtoff */};
  size_t offset = 0;
  for (int field : fields) {
    put(out, offset, static_cast<int32_t>(field));
    offset += 4;
  }
}

}  // namespace

uint32_t guest_mode(FileKind kind, uint32_t permissions) noexcept {
  uint32_t type = 0;
  switch (kind) {
    case FileKind::kPipe:
      type = 0010000;
      break;
    case FileKind::kCharacterDevice:
      type = 0020000;
      break;
    case FileKind::kDirectory:
      type = 0040000;
      break;
    case FileKind::kRegular:
      type = 0100000;
      break;
    case FileKind::kSymlink:
      type = 0120000;
      break;
  }
  return type | (permissions & 07777);
}

void encode_stat(const vfs::Stat& stat, uint32_t uid, uint32_t gid,
                 std::span<std::byte, kGuestStatSize> out) noexcept {
  std::ranges::fill(out, std::byte{0});
  put<uint32_t>(out, 0, 1);
  put<uint32_t>(out, 4, guest_mode(stat.kind, stat.permissions));
  put<uint32_t>(out, 8, stat.links);
  put<uint32_t>(out, 12, uid);
  put<uint32_t>(out, 16, gid);
  put<uint64_t>(out, 24, stat.size_bytes);
  put<int32_t>(out, 32, 4096);
  put<uint32_t>(out, 36,
                static_cast<uint32_t>(std::min<uint64_t>(stat.allocated_bytes / 512, INT32_MAX)));
  put_time(out, 40, stat.access_time_ns);
  put_time(out, 56, stat.modify_time_ns);
  put_time(out, 72, stat.change_time_ns);
  put<uint64_t>(out, 88, stat.inode);
}

void encode_statfs(const vfs::FsStat& stat, bool read_only,
                   std::span<std::byte, kGuestStatfsSize> out) noexcept {
  std::ranges::fill(out, std::byte{0});
  put<uint32_t>(out, 4, stat.block_size_bytes);
  put<uint64_t>(out, 8, stat.blocks);
  put<uint64_t>(out, 16, stat.free_blocks);
  put<uint64_t>(out, 24, stat.free_blocks);
  put<uint64_t>(out, 32, stat.files);
  put<uint64_t>(out, 40, stat.free_files);
  put<uint32_t>(out, 56, vfs::kMaxName);
  put<uint32_t>(out, 60, stat.block_size_bytes);
  put<uint32_t>(out, 64, read_only ? 1 : 0);  // ST_RDONLY
}

void encode_fdstat(FileKind kind, std::span<std::byte, kGuestFdstatSize> out) noexcept {
  std::ranges::fill(out, std::byte{0});
  put<uint8_t>(out, 0, wasi_type(kind));
}

size_t encode_dirent(const vfs::DirectoryEntry& entry, std::span<std::byte> out) noexcept {
  constexpr size_t kNameOffset = 19;
  size_t length = (kNameOffset + entry.name.size() + 1 + 7) & ~size_t{7};
  if (length > out.size() || entry.name.size() > vfs::kMaxName) return 0;
  std::memset(out.data(), 0, length);
  put<uint64_t>(out, 0, entry.inode);
  put<uint64_t>(out, 8, entry.next_cookie);
  put<uint16_t>(out, 16, static_cast<uint16_t>(length));
  put<uint8_t>(out, 18, dirent_type(entry.kind));
  std::memcpy(out.data() + kNameOffset, entry.name.data(), entry.name.size());
  return length;
}

bool encode_tm(int64_t seconds, std::span<std::byte, kGuestTmSize> out) noexcept {
  std::tm tm{};
  time_t time = seconds;
  if (gmtime_r(&time, &tm) == nullptr) return false;
  put_tm(out, tm);
  return true;
}

int64_t decode_tm(std::span<std::byte, kGuestTmSize> tm) noexcept {
  std::tm fields{};
  fields.tm_sec = get<int32_t>(tm, 0);
  fields.tm_min = get<int32_t>(tm, 4);
  fields.tm_hour = get<int32_t>(tm, 8);
  fields.tm_mday = get<int32_t>(tm, 12);
  fields.tm_mon = get<int32_t>(tm, 16);
  fields.tm_year = get<int32_t>(tm, 20);
  errno = 0;
  time_t time = timegm(&fields);
  if (time == -1 && errno != 0) return -1;
  put_tm(tm, fields);
  return time;
}

void encode_utc_zone(std::span<std::byte, 4> timezone, std::span<std::byte, 4> daylight,
                     std::span<std::byte, kGuestTzNameSize> standard_name,
                     std::span<std::byte, kGuestTzNameSize> daylight_name) noexcept {
  put<uint32_t>(timezone, 0, 0);
  put<int32_t>(daylight, 0, 0);
  std::memcpy(standard_name.data(), "UTC", 4);
  std::memcpy(daylight_name.data(), "UTC", 4);
}

GuestTimes decode_times(std::span<const std::byte, 2 * kGuestTimespecSize> times) noexcept {
  constexpr int32_t kNow = 0x3fffffff, kOmit = 0x3ffffffe;
  auto decode = [&](size_t offset) -> TimeChange {
    auto seconds = get<int64_t>(times, offset);
    auto nanoseconds = get<int32_t>(times, offset + 8);
    if (nanoseconds == kNow) return {TimeChange::Kind::kNow};
    if (nanoseconds == kOmit) return {TimeChange::Kind::kKeep};
    // What 64 bits of nanoseconds can say; later is cut to that (the year 2262).
    constexpr int64_t kMaxSeconds = INT64_MAX / kNsPerSecond - 1;
    seconds = std::clamp(seconds, -kMaxSeconds, kMaxSeconds);
    nanoseconds = std::clamp(nanoseconds, 0, 999'999'999);
    return {TimeChange::Kind::kSet, seconds * kNsPerSecond + nanoseconds};
  };
  return {decode(0), decode(kGuestTimespecSize)};
}

const char* GuestMemory::c_string(uint32_t address) const noexcept {
  if (address >= size) return nullptr;
  const auto* text = reinterpret_cast<const char*>(base + address);
  return std::memchr(text, 0, size - address) != nullptr ? text : nullptr;
}

bool decode_iovecs(const GuestMemory& memory, uint32_t address, uint32_t count,
                   std::span<iovec> out) noexcept {
  auto table = memory.range(address, uint64_t{count} * kGuestIovecSize);
  if (!table || count > out.size()) return false;
  for (uint32_t i = 0; i < count; ++i) {
    auto buffer = memory.range(get<uint32_t>(*table, i * kGuestIovecSize),
                               get<uint32_t>(*table, i * kGuestIovecSize + 4));
    if (!buffer) return false;
    out[i] = {buffer->data(), buffer->size()};
  }
  return true;
}

EnvironSizes environ_sizes(std::span<const std::string> strings) noexcept {
  EnvironSizes sizes{static_cast<uint32_t>(strings.size()), 0};
  for (const std::string& string : strings)
    sizes.size_bytes += static_cast<uint32_t>(string.size()) + 1;
  return sizes;
}

bool encode_environ(std::span<const std::string> strings, uint32_t buffer_address,
                    std::span<std::byte> pointers, std::span<std::byte> buffer) noexcept {
  EnvironSizes sizes = environ_sizes(strings);
  if (pointers.size() < uint64_t{sizes.count} * 4 || buffer.size() < sizes.size_bytes) return false;
  uint32_t at = 0;
  for (size_t i = 0; i < strings.size(); ++i) {
    put<uint32_t>(pointers, i * 4, buffer_address + at);
    std::memcpy(buffer.data() + at, strings[i].c_str(), strings[i].size() + 1);
    at += static_cast<uint32_t>(strings[i].size()) + 1;
  }
  return true;
}

}  // namespace calf::wasm
