// The one format of an archive: a set of database pages, as of one position. A base has all pages,
// a segment those that changed, a seal none. See docs/formats/archive.md.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace calf::archive {

// A place in the chain of segments. Epochs count writers, sequence numbers count objects.
struct Position {
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};

// How far the write-ahead log had been read: enough to find the place again in a log that is there.
struct WalPlace {
  std::uint32_t salt[2] = {0, 0};
  std::uint64_t end_offset = 0;  // after the last frame; 0: no log
  std::uint32_t checksum[2] = {0, 0};
  friend bool operator==(const WalPlace&, const WalPlace&) = default;
};

enum class PageSetKind : std::uint32_t { kBase = 1, kSegment = 2, kSeal = 3 };

struct PageSetHeader {
  PageSetKind kind = PageSetKind::kSegment;
  bool last_part = true;  // of the pages that were committed together
  std::uint32_t page_size = 0;
  std::uint32_t database_pages = 0;  // after it
  Position position{};
  Position previous{};
  std::int64_t time_ms = 0;  // since 1970: everything in it was committed before
  WalPlace wal{};
  std::uint64_t next_epoch = 0;  // of a seal: who goes on
  std::array<char, 16> archive_id{};

  [[nodiscard]] std::uint64_t database_bytes() const {
    return std::uint64_t{page_size} * database_pages;
  }
};

inline constexpr std::size_t kPageSetHeaderBytes = 128;

// kDataCorrupted unless these 128 bytes are a header that makes sense.
Result<PageSetHeader> parse_page_set_header(std::string_view bytes);

// Writes one. `out` receives the bytes in order; memory is bounded by a block of pages.
class PageSetWriter {
 public:
  using Out = std::function<Result<void>(std::string_view)>;
  static Result<std::unique_ptr<PageSetWriter>> begin(const PageSetHeader& header, Out out);
  ~PageSetWriter();

  // Numbers start at 1; each page once. `page` has the page size.
  Result<void> add(std::uint32_t number, std::string_view page);
  Result<void> finish();

 private:
  struct State;
  explicit PageSetWriter(std::unique_ptr<State> state);
  Result<void> put(std::string_view bytes);
  Result<void> flush();
  std::unique_ptr<State> state_;
};

// Reads one that comes in pieces. Nothing of it counts before finish() was fine: only then is the
// checksum over the whole known to be right.
class PageSetReader {
 public:
  using OnHeader = std::function<Result<void>(const PageSetHeader&)>;
  using OnPage = std::function<Result<void>(std::uint32_t number, std::string_view page)>;
  // `name` is for messages.
  PageSetReader(std::string name, OnHeader on_header, OnPage on_page);
  ~PageSetReader();

  // kDataCorrupted, or the callbacks' errors.
  Result<void> feed(std::string_view bytes);
  Result<void> finish();

 private:
  struct State;
  Result<bool> step();
  Result<void> decode_block(std::string_view stored, std::uint32_t raw_bytes);
  [[nodiscard]] tl::unexpected<Error> corrupted(const std::string& why) const;
  std::unique_ptr<State> state_;
};

}  // namespace calf::archive
