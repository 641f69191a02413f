// The bytes of a pack, as docs/formats/pack.md lays them down. Private to the pack_*.cc.
#pragma once

#define XXH_INLINE_ALL  // no library to link
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace calf::vfs::pack_format {

inline constexpr char kMagic[8] = {'C', 'A', 'L', 'F', 'P', 'A', 'C', 'K'};
inline constexpr uint32_t kVersion = 2;
inline constexpr uint32_t kMaxFrameSize = 16 * 1024 * 1024;
inline constexpr uint32_t kMaxIndexSize = 512 * 1024 * 1024;

enum Kind : uint8_t { kRegular = 0, kDirectory = 1, kSymlink = 2 };

// All integers little endian; the hosts that Calf runs on are, too, so that records are copied as
// they are.
struct Header {
  char magic[8];
  uint32_t version;
  uint32_t index_size;
  uint64_t index_offset;
  uint64_t index_checksum;  // XXH3
  uint32_t entry_count;
  uint32_t piece_count;
  uint32_t frame_count;
  uint32_t zero;
};
static_assert(sizeof(Header) == 48);

struct EntryRecord {
  uint32_t name_offset;  // in the strings; a symlink's target follows its name
  uint16_t name_length;
  uint8_t kind;
  uint8_t zero;
  uint32_t permissions;
  uint32_t first;
  uint32_t count;
  uint32_t target_length;
  uint64_t size;
  int64_t modify_time_ns;
};
static_assert(sizeof(EntryRecord) == 40);

struct PieceRecord {
  uint32_t frame;
  uint32_t offset;
  uint32_t length;
};
static_assert(sizeof(PieceRecord) == 12);

struct FrameRecord {
  uint64_t offset;
  uint32_t compressed_size;  // 0: the bytes are there as they are
  uint32_t size;

  [[nodiscard]] bool is_stored() const { return compressed_size == 0; }
  [[nodiscard]] uint32_t size_in_blob() const { return is_stored() ? size : compressed_size; }
};
static_assert(sizeof(FrameRecord) == 16);

inline constexpr uint32_t kHole = UINT32_MAX;  // a piece's frame: nothing is stored

template <typename T>
T read_record(const void* at) {
  T record;
  std::memcpy(&record, at, sizeof record);
  return record;
}

// `blob`, the frames after room for a header, made whole: `header` has the counts already.
inline std::string finish_pack(std::string blob, Header header, std::string_view index) {
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.index_offset = blob.size();
  header.index_size = static_cast<uint32_t>(index.size());
  header.index_checksum = XXH3_64bits(index.data(), index.size());
  std::memcpy(blob.data(), &header, sizeof header);
  return blob.append(index);
}

}  // namespace calf::vfs::pack_format
