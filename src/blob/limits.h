// How long a call may take, and who may end it early.
#pragma once

#include <cstdint>
#include <stop_token>

#include "base/result.h"

namespace calf::blob {

// Cheap to copy; any thread.
struct Limits {
  std::int64_t deadline_ns = 0;  // os::Clock::monotonic_ns
  std::stop_token stop{};

  // `timeout_ms` from now.
  static Limits within(std::int64_t timeout_ms, std::stop_token stop = {});

  // The same, but not later than `timeout_ms` from now.
  [[nodiscard]] Limits at_most(std::int64_t timeout_ms) const;

  [[nodiscard]] std::int64_t remaining_ms() const;  // 0 when the time is over

  // kCancelled or kDeadlineExceeded, or nothing yet. `what` was being done.
  [[nodiscard]] Result<void> check(std::string_view what) const;

  // Sleeps, at most to the deadline; wakes at once when stopped.
  void sleep_ms(std::int64_t duration_ms) const;
};

}  // namespace calf::blob
