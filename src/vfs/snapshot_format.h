// The bytes of a snapshot file, as docs/formats/snapshot-file.md lays them down. Private to
// snapshot_file_*.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace calf::vfs::snapshot_format {

inline constexpr char kMagic[8] = {'C', 'A', 'L', 'F', 'S', 'A', 'V', 'E'};
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kBlockSize = 1024 * 1024;  // of the stream, before compression
inline constexpr uint32_t kPartSize = 256 * 1024;    // of a file's contents, at most
inline constexpr uint32_t kHoleSize = 16 * 1024;     // zeros of this length are left out
inline constexpr uint64_t kMaxEntries = 10'000'000;

// All integers little endian; the hosts that Calf runs on are, too, so that records are copied as
// they are.
struct Header {
  char magic[8];
  uint32_t version;
  uint32_t zero;
  int64_t created_at_ns;
  uint64_t tree_bytes;  // to say how far reading is; checked at the end
  uint64_t checksum;    // XXH3 of what is before
};
static_assert(sizeof(Header) == 40);

// Before each block. The last one has no block: both sizes are 0, and a Trailer follows.
struct BlockHeader {
  uint32_t compressed_size;
  uint32_t size;
  uint64_t checksum;  // XXH3 of the compressed bytes
};
static_assert(sizeof(BlockHeader) == 16);

struct Trailer {
  uint64_t entries;
  uint64_t tree_bytes;
  uint64_t checksum;  // XXH3 of the file before this field
};
static_assert(sizeof(Trailer) == 24);

enum EntryKind : uint8_t { kEnd = 0, kDirectory = 1, kRegular = 2, kSymlink = 3 };

// In the stream: an entry, its path, then for a symlink the target, for a regular file its parts.
struct EntryHeader {
  uint8_t kind;
  uint8_t zero;
  uint16_t path_size;
  uint32_t permissions;
  int64_t modify_time_ns;
  uint64_t size;  // of the file, or of the symlink's target
};
static_assert(sizeof(EntryHeader) == 24);

// Before each part of a file's contents; one of length 0 ends them.
struct PartHeader {
  uint64_t offset;
  uint32_t length;
  uint32_t zero;
};
static_assert(sizeof(PartHeader) == 16);

}  // namespace calf::vfs::snapshot_format
