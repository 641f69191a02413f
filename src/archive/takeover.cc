#include "archive/takeover.h"

#include <unistd.h>

#include "archive/retry.h"
#include "base/log.h"
#include "os/clock.h"

namespace calf::archive {
namespace {

namespace fs = std::filesystem;

std::string describe_this_process() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return std::string(host) + ", process " + std::to_string(::getpid());
}

// Ends all epochs before this one: whoever still believes to be a writer cannot put any more.
Result<Head> seal_predecessors(blob::ObjectStore& store, const Lease& lease,
                               const blob::Limits& limits) {
  while (true) {
    CALF_TRY(Head head, retrying(limits, [&] { return find_head(store, limits); }));
    if (head.next.epoch == lease.epoch()) return head;
    if (head.next.epoch > lease.epoch()) {
      return fail(ErrorCode::kPreconditionFailed,
                  "another writer took " + store.describe() + " over meanwhile");
    }
    const std::int64_t now_ms = os::SystemClock().realtime_ns() / 1'000'000;
    CALF_TRY(const std::string seal,
             make_seal(head.next, {head.next.epoch, head.next.sequence - 1}, lease.epoch(),
                       lease.archive_id(), std::max(now_ms, head.time_ms)));
    const auto put =
        blob::put_bytes(store, segment_key(head.next), seal, blob::Condition::absent(), limits);
    // Whatever came of it, the next look tells.
    const bool settled = put || put.error().code == ErrorCode::kPreconditionFailed;
    if (!settled && !blob::is_transient(put.error())) return fail(put.error());
    CALF_CHECK_OK(limits.check("taking over " + store.describe()));
  }
}

Result<void> move_aside(const fs::path& database) {
  const std::string aside = blob::random_name(".replaced-");
  std::error_code error;
  for (const char* suffix : {"-wal", "-shm", ""}) {
    const fs::path from = database.string() + suffix;
    if (!fs::exists(from)) continue;
    fs::rename(from, database.string() + aside + suffix, error);
    if (error) return fail(Error::from_errno("renaming " + from.string(), error.value()));
  }
  log::warn("{} is older than its archive, which another writer went on with: moved to {}",
            database.string(), database.string() + aside);
  return {};
}

// What a restore that was killed has left.
void remove_leftovers(const fs::path& database) {
  const std::string beginning = database.filename().string() + ".restoring-";
  std::error_code ignored;
  const fs::path folder = database.has_parent_path() ? database.parent_path() : ".";
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().starts_with(beginning)) fs::remove(entry, ignored);
  }
}

Result<bool> has_content(const fs::path& database) {
  std::error_code error;
  for (const char* suffix : {"", "-wal"}) {
    const auto size = fs::file_size(database.string() + suffix, error);
    if (!error && size > 0) return true;
  }
  return false;
}

// True when the file had to be made from the archive.
Result<bool> settle_file(blob::ObjectStore& store, const ArchiverOptions& options,
                         const Takeover& takeover, const blob::Limits& limits) {
  if (!takeover.head.segment) return false;  // nothing there: this file is the beginning
  CALF_TRY(const bool here, has_content(options.database));
  const auto& id = takeover.lease.archive_id();
  if (here && takeover.state.is_current(id, takeover.head.segment->position.epoch)) return false;
  if (here && !takeover.state.is_of_archive(id)) {
    return fail(ErrorCode::kAlreadyExists,
                options.database.string() + " is not a copy of the database in " + store.describe(),
                "move the file away to take the database from the store, or choose another place "
                "in the store for this file");
  }
  if (here) CALF_CHECK_OK(move_aside(options.database));
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    fs::remove(options.database.string() + suffix, ignored);  // empty ones
  }
  remove_leftovers(options.database);
  CALF_CHECK_OK(retrying(limits, [&] {
    return restore(store, options.database, {.progress = options.restore_progress}, limits);
  }));
  return true;
}

}  // namespace

Result<Takeover> take_over(blob::ObjectStore& store, const ArchiverOptions& options,
                           const blob::Limits& limits) {
  CALF_TRY(LocalState state, LocalState::open(options.database));
  const LeaseOptions lease_options{.owner = state.owner(),
                                   .description = describe_this_process(),
                                   .ttl_ms = options.lease_ttl_ms,
                                   .wait_ms = options.lease_wait_ms};
  CALF_TRY(Lease lease, Lease::acquire(store, lease_options, limits));
  CALF_TRY(Head head, seal_predecessors(store, lease, limits));
  Takeover takeover{std::move(state), std::move(lease), std::move(head)};
  CALF_TRY(takeover.restored, settle_file(store, options, takeover, limits));
  // Before anything is put: from here on the archive's newest epoch is this file's.
  std::vector<std::uint64_t> epochs{takeover.lease.epoch()};
  if (takeover.head.segment) epochs.push_back(takeover.head.segment->position.epoch);
  CALF_CHECK_OK(takeover.state.save(takeover.lease.archive_id(), std::move(epochs)));
  return takeover;
}

}  // namespace calf::archive
