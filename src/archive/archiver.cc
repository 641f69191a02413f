#include "archive/archiver.h"

#include <atomic>
#include <condition_variable>
#include <thread>

#include "archive/base.h"
#include "archive/retry.h"
#include "archive/takeover.h"
#include "base/log.h"
#include "os/clock.h"

namespace calf::archive {
namespace {

constexpr std::int64_t kOpenTimeoutMs = std::int64_t{24} * 3600 * 1000;  // a restore may be large
constexpr std::int64_t kBaseTimeoutMs = kOpenTimeoutMs;
constexpr blob::RetryPolicy kShipPolicy{.first_delay_ms = 50, .longest_delay_ms = 2'000};

std::int64_t now_ms() {
  return os::SystemClock().realtime_ns() / 1'000'000;
}

}  // namespace

class Archiver::Impl {
 public:
  Impl(blob::ObjectStore& store, ArchiverOptions options, Takeover takeover, Source source)
      : store_(store),
        options_(std::move(options)),
        takeover_(std::move(takeover)),
        shipper_(store_, std::move(source), takeover_.lease.epoch(), takeover_.lease.archive_id(),
                 takeover_.head) {}
  ~Impl() { end_threads(); }

  Result<void> begin(const blob::Limits& limits);
  Result<void> commit_barrier(const blob::Limits& limits);
  void note_commit(std::uint32_t log_frames);
  Result<void> check_writable() const;
  ArchiverStatus status() const;
  Result<void> stop(const blob::Limits& limits);

 private:
  [[nodiscard]] Error lost_error() const;
  void end_threads();
  void ship_loop(const std::stop_token& stop);
  bool ship_once(std::uint64_t target, const std::stop_token& stop);
  void note_failure(const Error& error);
  void after_shipping();
  void make_base_if_due();
  void lease_loop(const std::stop_token& stop);
  void lose_lease(const std::string& winner);

  blob::ObjectStore& store_;
  const ArchiverOptions options_;
  Takeover takeover_;  // its lease: lease thread, and stop() after that has ended
  Shipper shipper_;    // ship thread, and begin() before there is one

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t wanted_ = 0;  // tickets of barriers
  std::uint64_t done_ = 0;
  bool stopping_ = false;
  ArchiverStatus status_;
  std::string winner_;

  // For check_writable().
  std::atomic<bool> lease_lost_ = false;
  std::atomic<bool> too_much_waits_ = false;
  // For note_commit(): what is in the store of the log, as of the last ship.
  std::atomic<std::uint64_t> shipped_offset_ = 0;

  // Ship thread only.
  int failures_ = 0;
  std::uint64_t base_bytes_ = 0;
  std::uint64_t cost_at_base_ = 0;  // shipper_.cost_put() when the newest base was made
  std::uint64_t inherited_cost_ = 0;
  std::atomic<bool> making_base_ = false;
  std::atomic<std::uint64_t> made_base_bytes_ = 0;

  std::jthread base_thread_;
  std::jthread lease_thread_;
  std::jthread ship_thread_;
};

Result<void> Archiver::Impl::begin(const blob::Limits& limits) {
  bool placed = takeover_.restored;
  if (takeover_.restored) {
    shipper_.start_at_empty_log();
  } else if (takeover_.head.segment) {
    CALF_TRY(placed, shipper_.find_place(*takeover_.head.segment));
  }
  if (!placed) CALF_CHECK_OK(retrying(limits, [&] { return shipper_.ship_everything(limits); }));
  CALF_CHECK_OK(retrying(limits, [&] { return shipper_.ship(limits); }));
  CALF_TRY(const ChainSize size, retrying(limits, [&] { return measure_chain(store_, limits); }));
  base_bytes_ = size.base_bytes;
  inherited_cost_ = size.segment_cost() - std::min(size.segment_cost(), shipper_.cost_put());
  shipped_offset_ = shipper_.log_offset();
  status_.shipped = shipper_.shipped();
  status_.shipped_time_ms = shipper_.shipped_time_ms();
  lease_thread_ = std::jthread([this](const std::stop_token& stop) { lease_loop(stop); });
  ship_thread_ = std::jthread([this](const std::stop_token& stop) { ship_loop(stop); });
  return {};
}

void Archiver::Impl::end_threads() {
  for (std::jthread* thread : {&ship_thread_, &lease_thread_}) thread->request_stop();
  for (std::jthread* thread : {&ship_thread_, &lease_thread_}) {
    if (thread->joinable()) thread->join();
  }
  // The ship thread's until it has ended.
  base_thread_.request_stop();
  if (base_thread_.joinable()) base_thread_.join();
}

Error Archiver::Impl::lost_error() const {
  return {
      .code = ErrorCode::kPreconditionFailed,
      .message = "this server is no longer the writer of " + store_.describe() +
                 (winner_.empty() ? "" : ": " + winner_ + " is"),
      .hint = "connect to the other one; commits that were not acknowledged are not in the store"};
}

Result<void> Archiver::Impl::commit_barrier(const blob::Limits& limits) {
  std::unique_lock lock(mutex_);
  const std::uint64_t ticket = ++wanted_;
  changed_.notify_all();
  const auto settled = [&] { return done_ >= ticket || status_.lease_lost || stopping_; };
  changed_.wait_for(lock, limits.stop, std::chrono::milliseconds(limits.remaining_ms()), settled);
  if (done_ >= ticket) return {};
  if (status_.lease_lost) return fail(lost_error());
  if (stopping_) return fail(ErrorCode::kCancelled, "the archive is being closed");
  CALF_CHECK_OK(limits.check("waiting until the commit is in " + store_.describe() +
                             (status_.last_error.empty() ? "" : " (" + status_.last_error + ")")));
  return fail(ErrorCode::kDeadlineExceeded, "the commit is not in " + store_.describe() + " yet");
}

// A log that is begun anew looks shorter than what was shipped: the ship thread knows more.
void Archiver::Impl::note_commit(std::uint32_t log_frames) {
  const std::uint64_t bytes = log_frames * shipper_.log_frame_bytes();
  const std::uint64_t shipped = shipped_offset_;
  if (bytes > shipped && bytes - shipped > options_.max_unshipped_bytes) too_much_waits_ = true;
}

Result<void> Archiver::Impl::check_writable() const {
  if (!lease_lost_ && !too_much_waits_) [[likely]]
    return {};
  const std::lock_guard lock(mutex_);
  if (lease_lost_) return fail(lost_error());
  return fail(ErrorCode::kResourceExhausted,
              "more than " + std::to_string(options_.max_unshipped_bytes >> 20) + " MB wait for " +
                  store_.describe() + (status_.last_error.empty() ? "" : ": " + status_.last_error),
              "writes go on when the store can be reached again");
}

ArchiverStatus Archiver::Impl::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void Archiver::Impl::ship_loop(const std::stop_token& stop) {
  const auto interval = std::chrono::milliseconds(options_.interval_ms);
  while (!stop.stop_requested()) {
    std::uint64_t target = 0;
    bool asked = false;
    {
      std::unique_lock lock(mutex_);
      const auto delay = failures_ == 0
                             ? interval
                             : std::chrono::milliseconds(blob::backoff_ms(kShipPolicy, failures_));
      // After a failure nobody's hurry shortens the delay.
      changed_.wait_for(lock, stop, delay, [&] { return failures_ == 0 && wanted_ > done_; });
      target = wanted_;
      asked = wanted_ > done_;
    }
    if (stop.stop_requested() || lease_lost_) continue;
    // Begun in time, so that no writer is refused as long as the store takes it.
    const bool much = status().unshipped_bytes > options_.max_unshipped_bytes / 4;
    const bool quiet = options_.durability == Durability::kShutdown && !asked && !much;
    if (!quiet && ship_once(target, stop)) after_shipping();
    const auto waiting = shipper_.unshipped_bytes();
    const std::lock_guard lock(mutex_);
    if (waiting) status_.unshipped_bytes = *waiting;
    too_much_waits_ = status_.unshipped_bytes > options_.max_unshipped_bytes;
  }
}

bool Archiver::Impl::ship_once(std::uint64_t target, const std::stop_token& stop) {
  auto done = shipper_.ship(blob::Limits::within(options_.request_timeout_ms, stop));
  if (!done && done.error().code == ErrorCode::kPreconditionFailed) {
    lose_lease("");
    return false;
  }
  if (!done) {
    note_failure(done.error());
    return false;
  }
  if (failures_ > 0) log::info("{} can be reached again", store_.describe());
  failures_ = 0;
  shipped_offset_ = shipper_.log_offset();
  const std::lock_guard lock(mutex_);
  done_ = std::max(done_, target);
  status_.shipped = shipper_.shipped();
  status_.shipped_time_ms = shipper_.shipped_time_ms();
  status_.last_error.clear();
  changed_.notify_all();
  return true;
}

void Archiver::Impl::note_failure(const Error& error) {
  if (error.code == ErrorCode::kCancelled) return;
  if (failures_++ == 0) log::warn("archiving: {}; trying again", error.to_string());
  const std::lock_guard lock(mutex_);
  status_.last_error = error.message;
}

void Archiver::Impl::after_shipping() {
  if (const auto done = shipper_.checkpoint_if_larger(options_.checkpoint_bytes); !done) {
    log::debug("the log was not emptied: {}", done.error().to_string());
  }
  make_base_if_due();
}

void Archiver::Impl::make_base_if_due() {
  if (making_base_) return;
  if (const std::uint64_t made = made_base_bytes_.exchange(0); made > 0) base_bytes_ = made;
  const std::uint64_t since = inherited_cost_ + shipper_.cost_put() - cost_at_base_;
  if (since < std::max(base_bytes_, options_.min_base_interval_bytes)) return;
  auto at = shipper_.snapshot_for_base();
  if (!at) {
    log::debug("no new base: {}", at.error().to_string());
    return;
  }
  // Nothing may stand in the store that is newer than its segments.
  const auto limits = blob::Limits::within(options_.request_timeout_ms);
  if (!shipper_.ship(limits)) return;
  cost_at_base_ = shipper_.cost_put();
  inherited_cost_ = 0;
  making_base_ = true;
  auto held = std::make_shared<Shipper::At>(std::move(*at));  // std::jthread copies
  base_thread_ = std::jthread([this, held](const std::stop_token& stop) {
    const auto base_limits = blob::Limits::within(kBaseTimeoutMs, stop);
    const auto made =
        put_base(store_, std::move(*held), options_.database.string() + "-calf-base", base_limits);
    if (made) made_base_bytes_ = *made;
    const auto deleted =
        made ? delete_unneeded(store_, now_ms() - options_.retention_ms, base_limits) : made;
    if (!deleted && deleted.error().code != ErrorCode::kCancelled) {
      log::warn("archiving: {}; the next base will do it", deleted.error().to_string());
    }
    making_base_ = false;
  });
}

void Archiver::Impl::lose_lease(const std::string& winner) {
  const std::lock_guard lock(mutex_);
  if (!winner.empty()) winner_ = winner;
  if (!lease_lost_) log::error("{}", lost_error().to_string());
  lease_lost_ = true;
  status_.lease_lost = true;
  changed_.notify_all();
}

void Archiver::Impl::lease_loop(const std::stop_token& stop) {
  const std::int64_t period_ms = std::max<std::int64_t>(1, options_.lease_ttl_ms / 3);
  while (!stop.stop_requested()) {
    blob::Limits::within(period_ms * 2, stop).sleep_ms(period_ms);
    if (stop.stop_requested()) return;
    const auto renewed =
        takeover_.lease.renew(store_, blob::Limits::within(options_.request_timeout_ms, stop));
    if (renewed || renewed.error().code != ErrorCode::kPreconditionFailed) continue;
    lose_lease(takeover_.lease.winner());
    return;
  }
}

Result<void> Archiver::Impl::stop(const blob::Limits& limits) {
  const auto shipped = commit_barrier(limits);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  end_threads();
  CALF_CHECK_OK(shipped);
  return takeover_.lease.release(store_, limits);
}

Archiver::Archiver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Archiver::~Archiver() = default;

Result<std::unique_ptr<Archiver>> Archiver::open(blob::ObjectStore& store,
                                                 const ArchiverOptions& options) {
  const auto limits = blob::Limits::within(kOpenTimeoutMs, options.stop);
  CALF_TRY(Takeover takeover, take_over(store, options, limits));
  CALF_TRY(Source source, Source::open(options.database));
  auto impl = std::make_unique<Impl>(store, options, std::move(takeover), std::move(source));
  CALF_CHECK_OK(impl->begin(limits));
  return std::unique_ptr<Archiver>(new Archiver(std::move(impl)));
}

Result<void> Archiver::commit_barrier(const blob::Limits& limits) {
  return impl_->commit_barrier(limits);
}
Result<void> Archiver::check_writable() const {
  return impl_->check_writable();
}
void Archiver::note_commit(std::uint32_t log_frames) {
  impl_->note_commit(log_frames);
}
ArchiverStatus Archiver::status() const {
  return impl_->status();
}
Result<void> Archiver::stop(const blob::Limits& limits) {
  return impl_->stop(limits);
}

}  // namespace calf::archive
