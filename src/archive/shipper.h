// Brings commits from the write-ahead log to the store, segment by segment. The archiver's thread
// calls it; it has no thread of its own.
#pragma once

#include <deque>

#include "archive/archiver.h"
#include "archive/source.h"

namespace calf::archive {

class Shipper {
 public:
  Shipper(blob::ObjectStore& store, Source source, std::uint64_t epoch,
          const std::array<char, 16>& archive_id, const Head& head);

  // The log's place that the archive's last segment speaks of, if this log has it. False: unknown,
  // ship_everything() is needed.
  Result<bool> find_place(const PageSetHeader& last);
  // The database is exactly the archive's newest state, with nothing in its log.
  void start_at_empty_log();

  // Ships all pages. Writers wait while the snapshot is taken, not while it is shipped.
  Result<void> ship_everything(const blob::Limits& limits);

  // Ships all that was committed before the call. kPreconditionFailed: another writer has sealed
  // this epoch. After other errors the next call goes on where this one stopped.
  Result<void> ship(const blob::Limits& limits);

  // Empties the log when it is larger than `bytes`; what it takes over is shipped by the next
  // ship(). Only after a ship() without error.
  Result<void> checkpoint_if_larger(std::uint64_t bytes);

  // A snapshot whose position is shipped by the next ship().
  struct At {
    Snapshot snapshot;
    PageSetHeader header;  // kind, position, time: as of the snapshot
  };
  Result<At> snapshot_for_base();

  [[nodiscard]] Position shipped() const { return shipped_; }
  [[nodiscard]] std::int64_t shipped_time_ms() const { return time_ms_; }
  // Of the log: up to here it is in the store, after a ship() without error; and of one frame.
  [[nodiscard]] std::uint64_t log_offset() const { return place_.end_offset; }
  [[nodiscard]] std::uint64_t log_frame_bytes() const { return source_.log_frame_bytes(); }
  // Committed, but not in the store: in the log, and in memory.
  Result<std::uint64_t> unshipped_bytes();
  // What was put, as the cost of a restore: bytes, and kObjectCostBytes for each object.
  [[nodiscard]] std::uint64_t cost_put() const { return cost_put_; }

 private:
  struct Object {
    PageSetHeader header{};
    std::string bytes{};
  };
  using PageSource = std::function<Result<std::string>(std::size_t index)>;

  Result<void> encode(const std::vector<std::uint32_t>& pages, const PageSource& read,
                      PageSetHeader header, const std::function<Result<void>(Object)>& each);
  Result<void> take_commits(const WalCommits& commits);
  Result<void> take_over_log();
  Result<bool> scan_once();
  Result<void> put_pending(const blob::Limits& limits);
  Result<void> put(const Object& object, const blob::Limits& limits);
  Result<void> meet_log();
  PageSetHeader next_header();

  blob::ObjectStore& store_;
  Source source_;
  const std::uint64_t epoch_;
  const std::array<char, 16> archive_id_;

  Position shipped_;      // last object in the store
  Position encoded_;      // last object made
  std::int64_t time_ms_;  // of encoded_
  std::deque<Object> pending_{};
  WalPlace place_{};          // up to here commits are encoded
  WalPlace seen_{};           // commits are known to be there up to here
  WalPlace emptied_{};        // the log up to here is in the database
  bool pin_covered_ = false;  // everything that the pin covers is shipped
  std::uint64_t cost_put_ = 0;
};

}  // namespace calf::archive
