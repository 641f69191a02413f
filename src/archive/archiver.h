// Keeps an archive of a SQLite database in an object store up to date, for a server that writes to
// the database by connections of its own. See README.md for how it hangs together.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "archive/restore.h"
#include "blob/object_store.h"

namespace calf::archive {

// When a commit is in the store.
enum class Durability {
  kCommit,    // before it is acknowledged: the server calls commit_barrier()
  kInterval,  // at most `interval_ms` later
  kShutdown,  // when the server ends
};

struct ArchiverOptions {
  std::filesystem::path database{};
  Durability durability = Durability::kInterval;
  std::int64_t interval_ms = 1'000;
  // What may wait on this machine while the store cannot be reached; then writes are refused.
  std::uint64_t max_unshipped_bytes = 256u << 20;
  std::int64_t retention_ms = std::int64_t{7} * 24 * 3600 * 1000;
  std::uint64_t checkpoint_bytes = 4u << 20;  // of the log
  // A new base is made when segments since the last one cost a restore more than it, and than this
  // (kObjectCostBytes).
  std::uint64_t min_base_interval_bytes = 4u << 20;
  std::int64_t lease_ttl_ms = 15'000;
  std::int64_t lease_wait_ms = 60'000;
  std::int64_t request_timeout_ms = 30'000;
  std::function<void(const RestoreProgress&)> restore_progress{};
  std::stop_token stop{};  // ends open() early: kCancelled
};

struct ArchiverStatus {
  Position shipped{};
  std::int64_t shipped_time_ms = 0;
  std::uint64_t unshipped_bytes = 0;
  bool lease_lost = false;
  std::string last_error{};  // of the newest attempt; empty when it was fine
};

// Any thread, but for open() and the destructor.
class Archiver {
 public:
  // Takes the lease, restores the database if it is not here or not the archive's newest, and ships
  // what is not in the store. The server opens its connections afterwards, and closes them before
  // this object goes. `store` must outlive it. Blocks. Errors: another writer (kUnavailable), the
  // store's, SQLite's, kDataCorrupted.
  //
  // A file that is here, but is neither the archive's nor fits to it, is moved aside, not deleted.
  static Result<std::unique_ptr<Archiver>> open(blob::ObjectStore& store,
                                                const ArchiverOptions& options);
  // Without stop(): at once, shipping nothing.
  ~Archiver();

  // Returns when everything that was committed before the call is in the store. Commits of several
  // callers share one upload. kDeadlineExceeded: they are on this machine's disk, not known to be
  // in the store yet. kPreconditionFailed: another writer took over, they never will be.
  Result<void> commit_barrier(const blob::Limits& limits);

  // The log has so many frames after a commit (sqlite3_wal_hook): so the bound on what waits holds
  // while a request to the store is on its way, too. Cheap; never blocks.
  void note_commit(std::uint32_t log_frames);

  // Whether a transaction that writes may begin: kPreconditionFailed after the lease was lost,
  // kResourceExhausted while too much waits for the store. Cheap; never blocks.
  [[nodiscard]] Result<void> check_writable() const;

  [[nodiscard]] ArchiverStatus status() const;

  // Ships everything and gives the lease back. Further calls of commit_barrier() fail.
  Result<void> stop(const blob::Limits& limits);

 private:
  class Impl;
  explicit Archiver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace calf::archive
