#include "blob/limits.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "os/clock.h"

namespace calf::blob {
namespace {
constexpr std::int64_t kNsPerMs = 1'000'000;
}

Limits Limits::within(std::int64_t timeout_ms, std::stop_token stop) {
  return {.deadline_ns = os::SystemClock().monotonic_ns() + timeout_ms * kNsPerMs,
          .stop = std::move(stop)};
}

Limits Limits::at_most(std::int64_t timeout_ms) const {
  Limits shorter = within(timeout_ms, stop);
  shorter.deadline_ns = std::min(shorter.deadline_ns, deadline_ns);
  return shorter;
}

std::int64_t Limits::remaining_ms() const {
  const std::int64_t left_ns = deadline_ns - os::SystemClock().monotonic_ns();
  return left_ns <= 0 ? 0 : (left_ns + kNsPerMs - 1) / kNsPerMs;
}

Result<void> Limits::check(std::string_view what) const {
  if (stop.stop_requested()) return fail(ErrorCode::kCancelled, std::string(what) + ": cancelled");
  if (remaining_ms() == 0) {
    return fail(ErrorCode::kDeadlineExceeded, std::string(what) + ": out of time");
  }
  return {};
}

void Limits::sleep_ms(std::int64_t duration_ms) const {
  std::mutex mutex;
  std::condition_variable_any woken;
  std::unique_lock lock(mutex);
  const auto duration = std::chrono::milliseconds(std::min(duration_ms, remaining_ms()));
  woken.wait_for(lock, stop, duration, [] { return false; });
}

}  // namespace calf::blob
