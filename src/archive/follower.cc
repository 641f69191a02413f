#include "archive/follower.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "archive/lease.h"
#include "archive/retry.h"
#include "archive/source.h"
#include "base/log.h"
#include "blob/encoding.h"
#include "blob/host_file.h"
#include "os/clock.h"

namespace calf::archive {
namespace {

constexpr std::int64_t kOpenTimeoutMs = std::int64_t{24} * 3600 * 1000;
constexpr std::int64_t kRefreshTimeoutMs = 10 * 60 * 1000;

struct Close {
  void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
};
using Handle = std::unique_ptr<sqlite3, Close>;

// As a URI: what is special in one is encoded. Nobody else has the shadow open.
Result<Handle> open_immutable(const std::filesystem::path& path) {
  const std::string uri =
      "file:" + blob::percent_encode(path.string(), blob::Slash::kKeep) + "?immutable=1";
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(uri.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr);
  Handle handle(raw);
  if (code != SQLITE_OK) return fail(sqlite_error(raw, "opening " + path.string()));
  return handle;
}

Result<void> copy_database(sqlite3* from, sqlite3* to) {
  sqlite3_backup* backup = sqlite3_backup_init(to, "main", from, "main");
  if (backup == nullptr) return fail(sqlite_error(to, "bringing the replica up to date"));
  sqlite3_backup_step(backup, -1);
  if (sqlite3_backup_finish(backup) == SQLITE_OK) return {};
  return fail(sqlite_error(to, "bringing the replica up to date"));
}

// The file is the archive's newest state, or an older replica of one. What is there and is no
// replica is somebody's data: it would be overwritten.
Result<void> prepare_file(blob::ObjectStore& store, const FollowerOptions& options,
                          const blob::Limits& limits) {
  const std::filesystem::path& database = options.database;
  const std::filesystem::path marker = database.string() + "-calf-replica";
  std::error_code error;
  if (!std::filesystem::exists(database, error)) {
    CALF_CHECK_OK(blob::write_file(marker, "The database beside this file is a replica.\n"));
    // Restored, not copied: WAL mode fixes the page size, which must be the archive's.
    CALF_CHECK_OK(retrying(limits, [&] {
      return restore(store, database, {.progress = options.restore_progress}, limits);
    }));
    return {};
  }
  if (std::filesystem::exists(marker, error)) return {};
  return fail(ErrorCode::kAlreadyExists, database.string() + " is there and is not a replica",
              "move it away, or give the replica another name");
}

}  // namespace

class Follower::Impl {
 public:
  Impl(blob::ObjectStore& store, FollowerOptions options, Connection connection)
      : store_(store), options_(std::move(options)), connection_(std::move(connection)) {}
  ~Impl() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    std::error_code ignored;
    std::filesystem::remove(shadow(), ignored);
  }

  void start() {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

  Result<void> refresh(const blob::Limits& limits) {
    const std::lock_guard lock(mutex_);
    const std::int64_t began_ns = os::SystemClock().monotonic_ns();
    auto done = advance(limits);
    // What it needed was deleted meanwhile: from the newest base, then.
    if (!done && replay_ && !blob::is_transient(done.error())) {
      replay_.reset();
      done = advance(limits);
    }
    CALF_CHECK_OK(done);
    CALF_CHECK_OK(check_archive(store_, limits));
    if (published_ != replay_->state()->position) CALF_CHECK_OK(publish());
    fresh_ns_ = began_ns;
    return {};
  }

  [[nodiscard]] std::uint64_t states() const { return states_; }

  Result<void> check_fresh() const {
    const std::int64_t age_ms = (os::SystemClock().monotonic_ns() - fresh_ns_) / 1'000'000;
    if (age_ms <= options_.max_staleness_ms) return {};
    return fail(ErrorCode::kUnavailable,
                "this replica has not reached " + store_.describe() + " for " +
                    std::to_string(age_ms / 1000) + " s",
                "storage.cache_ttl_minutes says how old an answer may be");
  }

 private:
  [[nodiscard]] std::filesystem::path shadow() const {
    return options_.database.string() + "-calf-shadow";
  }

  Result<void> advance(const blob::Limits& limits) {
    if (replay_) {
      CALF_CHECK_OK(replay_->advance(store_, limits));
      return {};
    }
    CALF_TRY(auto replay, Replay::begin(store_, shadow(), {}, limits));
    CALF_CHECK_OK(replay.advance(store_, limits));
    if (!replay.state()) {
      return fail(ErrorCode::kNotFound, "there is no archive in " + store_.describe());
    }
    replay_ = std::move(replay);
    return {};
  }

  Result<void> publish() {
    CALF_TRY(const Handle source, open_immutable(shadow()));
    CALF_CHECK_OK(copy_database(source.get(), connection_.get()));
    sqlite3_wal_checkpoint_v2(connection_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr,
                              nullptr);
    published_ = replay_->state()->position;
    ++states_;
    return {};
  }

  void run(const std::stop_token& stop) {
    const std::int64_t period_ms = std::max<std::int64_t>(1, options_.max_staleness_ms / 2);
    while (!stop.stop_requested()) {
      blob::Limits::within(2 * period_ms, stop).sleep_ms(period_ms);
      if (stop.stop_requested()) return;
      const auto done = refresh(blob::Limits::within(kRefreshTimeoutMs, stop));
      if (!done) log::warn("replica: {}", done.error().to_string());
    }
  }

  blob::ObjectStore& store_;
  const FollowerOptions options_;
  Connection connection_;
  std::mutex mutex_;
  std::optional<Replay> replay_;
  Position published_{};  // what readers see
  std::atomic<std::int64_t> fresh_ns_ = 0;
  std::atomic<std::uint64_t> states_ = 0;
  std::jthread thread_;
};

Follower::Follower(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Follower::~Follower() = default;

Result<std::unique_ptr<Follower>> Follower::open(blob::ObjectStore& store,
                                                 const FollowerOptions& options) {
  const auto limits = blob::Limits::within(kOpenTimeoutMs, options.stop);
  CALF_CHECK_OK(prepare_file(store, options, limits));
  CALF_TRY(Connection connection, Connection::open(options.database));
  auto impl = std::make_unique<Impl>(store, options, std::move(connection));
  CALF_CHECK_OK(retrying(limits, [&] { return impl->refresh(limits); }));
  impl->start();
  return std::unique_ptr<Follower>(new Follower(std::move(impl)));
}

Result<void> Follower::refresh(const blob::Limits& limits) {
  return impl_->refresh(limits);
}
Result<void> Follower::check_fresh() const {
  return impl_->check_fresh();
}

std::uint64_t Follower::states() const {
  return impl_->states();
}

}  // namespace calf::archive
