// The database that is archived: keeps SQLite from taking frames out of the write-ahead log before
// they were shipped, and checkpoints it itself when they were.
//
// How: a connection with an open read transaction (the pin) keeps the log from being begun anew.
// The pin is moved forward only when everything up to it was shipped. So whatever other connections
// do, at their own checkpoints or at the end, no commit is missed.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <functional>
#include <memory>

#include "archive/wal_file.h"

namespace calf::archive {

// SQLite's error for a person.
Error sqlite_error(sqlite3* connection, const std::string& what);

// One connection. Closing it neither checkpoints nor removes the log.
class Connection {
 public:
  static Result<Connection> open(const std::filesystem::path& database);
  [[nodiscard]] sqlite3* get() const { return handle_.get(); }
  Result<void> execute(const char* sql) const;
  Result<std::int64_t> integer(const char* sql) const;

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  explicit Connection(sqlite3* handle) : handle_(handle) {}
  std::unique_ptr<sqlite3, Close> handle_;
};

// A snapshot of all pages, as of the moment when it was made. While it lives, the log grows.
class Snapshot {
 public:
  [[nodiscard]] std::uint32_t page_size() const { return page_size_; }
  [[nodiscard]] std::uint32_t page_count() const { return page_count_; }
  // Page numbers start at 1.
  Result<std::string> read_page(std::uint32_t number);

 private:
  friend class Source;
  Snapshot(Connection connection, std::filesystem::path log)
      : connection_(std::move(connection)), log_(std::move(log)) {}

  Connection connection_;  // with an open read transaction
  WalFile log_;
  std::uint32_t page_size_ = 0;
  std::uint32_t page_count_ = 0;
  std::vector<std::uint64_t> in_log_{};  // offset of each page in the log; 0: in the database
};

// One thread at a time.
class Source {
 public:
  // Makes the database when it is missing, turns WAL mode on, and pins it. kIo, kInvalidArgument
  // for a file that is not a database.
  static Result<Source> open(const std::filesystem::path& database);

  [[nodiscard]] WalFile& log() { return log_; }
  // A page in the log, with what stands before it.
  [[nodiscard]] std::uint64_t log_frame_bytes() const { return log_frame_bytes_; }

  // Moves the pin to now. Only when everything that the last one covered was shipped.
  Result<void> advance_pin();

  // Runs `with_writers_waiting`, which must take over all that is in the log, while no other
  // connection can write, and brings the log into the database. True: all of it, so the next commit
  // begins the log anew; false: a reader needs the rest. kUnavailable when a writer does not finish
  // soon.
  Result<bool> checkpoint(const std::function<Result<void>()>& with_writers_waiting);

  // The moment of the snapshot is that of `with_writers_waiting`, while no other connection can
  // write.
  Result<Snapshot> snapshot(const std::function<Result<void>()>& with_writers_waiting);

 private:
  Source(std::filesystem::path database, Connection pin, Connection idle, Connection writer);

  std::filesystem::path database_;
  std::uint64_t log_frame_bytes_ = 0;
  WalFile log_;
  Connection pin_;   // in a read transaction
  Connection idle_;  // takes its place
  Connection writer_;
};

}  // namespace calf::archive
