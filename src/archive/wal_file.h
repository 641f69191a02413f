// Reads SQLite's write-ahead log: which pages were committed, and where they are in it.
// Source: "WAL-mode File Format" of SQLite's documentation, section 4 of "Database File Format".
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "archive/page_set.h"
#include "blob/host_file.h"

namespace calf::archive {

struct WalFrame {
  std::uint32_t page = 0;
  std::uint64_t page_offset = 0;  // of its content in the file
};

inline constexpr std::size_t kWalFrameHeadBytes = 24;

// Frames up to and including a commit.
struct WalCommits {
  std::vector<WalFrame> frames{};  // in order; empty: nothing new
  std::uint32_t database_pages = 0;
  WalPlace end{};
  bool more = false;  // it ended at the limit; there may be further commits
};

// One thread at a time. Closing its descriptor is harmless for SQLite, which locks the database
// file and the -shm file, never the log.
class WalFile {
 public:
  explicit WalFile(std::filesystem::path path) : path_(std::move(path)) {}

  // Where the log begins; nothing when there is none or it is empty.
  Result<std::optional<WalPlace>> start();

  // What was committed after `from`, whose salts must be those of start(). Stops at the first
  // commit after `limit_bytes` of pages.
  Result<WalCommits> commits_after(const WalPlace& from, std::uint64_t limit_bytes);

  // True when this log has a frame that ends at `place`, with its salts and checksum.
  Result<bool> contains(const WalPlace& place);

  Result<std::string> read_page(const WalFrame& frame);

  // Makes durable what was read. A commit that is in the store must be on this disk, too.
  Result<void> sync();

  [[nodiscard]] std::uint32_t page_size() const { return page_size_; }  // after start()
  Result<std::uint64_t> size_bytes();

 private:
  Result<bool> open();

  const std::filesystem::path path_;
  os::FileDescriptor file_;
  std::uint32_t page_size_ = 0;
  bool big_endian_checksums_ = false;
};

}  // namespace calf::archive
