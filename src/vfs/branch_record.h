// The records of a branch's journal, and reading and writing whole buffers. Private to
// branch_blocks.cc and branch_journal.cc.
#pragma once

#define XXH_INLINE_ALL  // no library to link
#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "vfs/branch_blocks.h"

namespace calf::vfs {

// docs/formats/branch.md. Little endian, as the hosts that Calf runs on are.
struct BranchBlocks::Record {
  enum Type : uint32_t {
    kHeader = 0x31626c63,
    kInode = 1,
    kBlock = 2,
    kSynced = 3,
    kClosed = 4,
    kKept = 5
  };

  static constexpr uint64_t kVersion = 2;  // 1 had no kKept

  uint64_t checksum;  // XXH3 of the rest
  uint32_t type;
  uint32_t zero = 0;
  uint64_t inode = 0;
  uint64_t values[5] = {};

  [[nodiscard]] uint64_t sum() const {
    return XXH3_64bits(&type, sizeof *this - offsetof(Record, type));
  }
  static Record make(uint32_t type, uint64_t inode, std::initializer_list<uint64_t> values) {
    Record record{.checksum = 0, .type = type, .inode = inode};
    std::copy(values.begin(), values.end(), record.values);
    record.checksum = record.sum();
    return record;
  }
  static Record of(const SharedInode& inode) {
    return make(
        kInode, inode.number,
        {inode.size, inode.base_size, inode.permissions,
         static_cast<uint64_t>(inode.access_time_ns), static_cast<uint64_t>(inode.modify_time_ns)});
  }
  static Record header(std::string_view boot_id) {
    return make(kHeader, 0, {kVersion, XXH3_64bits(boot_id.data(), boot_id.size())});
  }
};

inline Expected<void> write_all(os::Files& files, int fd, std::span<const std::byte> bytes,
                                uint64_t offset) {
  while (!bytes.empty()) {
    iovec v{const_cast<std::byte*>(bytes.data()), bytes.size()};
    CALF_ERRNO_TRY(size_t written, files.pwritev(fd, {&v, 1}, offset));
    if (written == 0) return fail(Errno::kNoSpace);
    bytes = bytes.subspan(written);
    offset += written;
  }
  return {};
}

// Bytes past the end of the file are zeros.
inline Expected<void> read_all(os::Files& files, int fd, std::span<std::byte> bytes,
                               uint64_t offset) {
  while (!bytes.empty()) {
    iovec v{bytes.data(), bytes.size()};
    CALF_ERRNO_TRY(size_t got, files.preadv(fd, {&v, 1}, offset));
    if (got == 0) {
      std::memset(bytes.data(), 0, bytes.size());
      return {};
    }
    bytes = bytes.subspan(got);
    offset += got;
  }
  return {};
}

}  // namespace calf::vfs
