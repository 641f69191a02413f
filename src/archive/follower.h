// A read replica: a local database that follows an archive, no staler than the user allows. Readers
// use the file through SQLite as always and see whole states of the writer's, one after the other.
//
// The writer's pages go into a shadow file first; SQLite's backup brings them into the database as
// one transaction, so readers never wait.
#pragma once

#include <memory>
#include <stop_token>

#include "archive/restore.h"

namespace calf::archive {

struct FollowerOptions {
  std::filesystem::path database{};
  std::int64_t max_staleness_ms = 300'000;  // cache_ttl_minutes
  std::function<void(const RestoreProgress&)> restore_progress{};
  std::stop_token stop{};  // ends open() early: kCancelled
};

class Follower {
 public:
  // Brings the database to the archive's newest state, then keeps it so on a thread of its own.
  static Result<std::unique_ptr<Follower>> open(blob::ObjectStore& store,
                                                const FollowerOptions& options);
  ~Follower();

  // Looks now. Any thread; one at a time works.
  Result<void> refresh(const blob::Limits& limits);

  // kUnavailable when the store was not reached for longer than allowed: what is here may be
  // staler. Any thread; does not block.
  [[nodiscard]] Result<void> check_fresh() const;

  // Rises with every state that readers can see. Any thread.
  [[nodiscard]] std::uint64_t states() const;

 private:
  class Impl;
  explicit Follower(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace calf::archive
