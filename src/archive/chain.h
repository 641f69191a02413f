// The archive as objects: their names, and walking the chain of segments from writer to writer.
// See docs/formats/archive.md.
//
// Each segment has one place, seg/EPOCH-SEQUENCE, and is put there only if nothing is. Who takes
// over puts a seal at the first free place of the old epoch: from then on the old writer's next put
// fails, whatever it believes about its lease.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "archive/page_set.h"
#include "archive/read_ahead.h"
#include "blob/object_store.h"

namespace calf::archive {

inline constexpr const char* kSegmentPrefix = "seg/";
inline constexpr const char* kBasePrefix = "base/";
// Of a segment's pages before compression; a larger commit becomes several parts.
inline constexpr std::uint64_t kPartBytes = 8u << 20;
// A small object takes a restore about as long as so many bytes more in a large one.
inline constexpr std::uint64_t kObjectCostBytes = 32u << 10;
inline constexpr std::size_t kMaxSegmentObjectBytes = 32u << 20;

std::string segment_key(Position position);
std::string base_key(Position position);
// Nothing for a key that is not one of ours.
std::optional<Position> position_of_key(const std::string& key);

// Reads only the header. kNotFound, kDataCorrupted.
Result<PageSetHeader> fetch_header(blob::ObjectStore& store, const std::string& key,
                                   const blob::Limits& limits);

// Bases, oldest first.
Result<std::vector<Position>> list_bases(blob::ObjectStore& store, const blob::Limits& limits);

struct Head {
  Position last{};  // the last object that was put; {e, n}
  Position next{};  // where the next one belongs
  // The last segment whose group is complete; nothing in an archive without any.
  std::optional<PageSetHeader> segment{};
  std::int64_t time_ms = 0;
};

// The end of the chain, found from the newest base on. kDataCorrupted when a segment is missing.
Result<Head> find_head(blob::ObjectStore& store, const blob::Limits& limits);

// A seal's bytes.
Result<std::string> make_seal(Position position, Position previous, std::uint64_t next_epoch,
                              const std::array<char, 16>& archive_id, std::int64_t time_ms);

// One object of the chain on the way forward.
struct Link {
  PageSetHeader header{};
  std::string bytes{};  // the whole object
};

// For ReadAhead: the object at `position`, whole or its header; nothing when there is none.
Result<std::optional<std::string>> fetch_segment(blob::ObjectStore& store, Position position,
                                                 const blob::Limits& limits);
Result<std::optional<std::string>> fetch_segment_header(blob::ObjectStore& store, Position position,
                                                        const blob::Limits& limits);
// `key` is for messages.
Result<PageSetHeader> parse_header(const std::string& key, std::string_view bytes);

// The object after `at`: follows seals by itself. Nothing at the end of the chain. kDataCorrupted
// when it is missing though there are later ones, or is not what its name says.
Result<std::optional<Link>> next_link(blob::ObjectStore& store, ReadAhead& segments, Position& at,
                                      const blob::Limits& limits);

// Decodes a segment's pages after having checked all of it.
struct PageList {
  std::vector<std::pair<std::uint32_t, std::string>> pages{};
};
Result<PageList> decode_pages(const std::string& name, const std::string& bytes);

}  // namespace calf::archive
