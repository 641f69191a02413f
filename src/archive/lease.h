// Who may write: one object, changed only by conditional writes. It gives each writer its epoch,
// and keeps a second one waiting politely. What really stops a writer that was replaced is the seal
// (chain.h), not this.
#pragma once

#include <array>
#include <string>

#include "blob/object_store.h"

namespace calf::archive {

struct LeaseOptions {
  std::string owner{};        // the same again after a restart of the same place
  std::string description{};  // for people: host and process
  std::int64_t ttl_ms = 15'000;
  std::int64_t wait_ms = 60'000;  // for another holder's end
};

// One thread at a time.
class Lease {
 public:
  // Waits until no other owner renews it. kUnavailable, naming the holder, when that lasts longer
  // than `wait_ms`; kUnsupported for a store that ignores conditions.
  static Result<Lease> acquire(blob::ObjectStore& store, const LeaseOptions& options,
                               const blob::Limits& limits);

  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  [[nodiscard]] const std::array<char, 16>& archive_id() const { return archive_id_; }
  // Of who holds the lease, when it is not this one any more.
  [[nodiscard]] const std::string& winner() const { return winner_; }

  // kPreconditionFailed when another one has it now: for good. Other errors: try again.
  Result<void> renew(blob::ObjectStore& store, const blob::Limits& limits);
  // Lets the next writer begin at once.
  Result<void> release(blob::ObjectStore& store, const blob::Limits& limits);

 private:
  struct Content;
  struct Look;
  struct Silence;
  // `archive_id`: 32 hexadecimal digits.
  Lease(LeaseOptions options, std::uint64_t epoch, const std::string& archive_id, std::string etag);
  static Result<Look> look(blob::ObjectStore& store, const LeaseOptions& options, Silence& silence,
                           const blob::Limits& limits);
  Result<void> write(blob::ObjectStore& store, bool released, const blob::Limits& limits);
  static Result<std::string> put_settled(blob::ObjectStore& store, const std::string& bytes,
                                         const blob::Condition& condition,
                                         const blob::Limits& limits);

  LeaseOptions options_{};
  std::uint64_t epoch_ = 0;
  std::array<char, 16> archive_id_{};
  std::string etag_{};
  std::string winner_{};
};

// kUnavailable when the archive that was there is not: its folder is not mounted, say.
Result<void> check_archive(blob::ObjectStore& store, const blob::Limits& limits);

}  // namespace calf::archive
