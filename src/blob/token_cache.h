// Keeps a credential that expires and gets the next one in time: some minutes before the end, and
// when that fails, it goes on with the old one as long as that is valid.
#pragma once

#include <functional>
#include <mutex>
#include <optional>

#include "base/log.h"
#include "base/result.h"
#include "blob/limits.h"
#include "os/clock.h"

namespace calf::blob {

template <typename T>
struct Expiring {
  T value{};
  std::optional<std::int64_t> expires_s{};  // since 1970; nothing: never
};

// Any thread; one fetches, the others wait for it.
template <typename T>
class TokenCache {
 public:
  using Fetch = std::function<Result<Expiring<T>>(const Limits&)>;
  explicit TokenCache(Fetch fetch) : fetch_(std::move(fetch)) {}

  Result<T> get(const Limits& limits) {
    const std::lock_guard lock(mutex_);
    const std::int64_t now_s = os::SystemClock().realtime_ns() / 1'000'000'000;
    if (kept_ && (!kept_->expires_s || now_s < refresh_at_s_)) return kept_->value;
    auto fresh = fetch_(limits);
    if (fresh) {
      kept_ = std::move(*fresh);
      refresh_at_s_ = kept_->expires_s.value_or(0) - kRefreshBeforeS;
      // One that lives shorter than that is asked for every time, but not by every call.
      refresh_at_s_ =
          std::max(refresh_at_s_, std::min(now_s + kRetryS, refresh_at_s_ + kRefreshBeforeS));
      return kept_->value;
    }
    // What never expires was returned above.
    const std::int64_t end_s = kept_ ? kept_->expires_s.value_or(now_s) : now_s;
    if (now_s >= end_s) return fail(std::move(fresh).error());
    log::warn("credentials could not be renewed, the old ones are used: {}", fresh.error().message);
    refresh_at_s_ = std::min(now_s + kRetryS, end_s);
    return kept_->value;
  }

 private:
  static constexpr std::int64_t kRefreshBeforeS = 300;
  static constexpr std::int64_t kRetryS = 10;

  const Fetch fetch_;
  std::mutex mutex_;
  std::optional<Expiring<T>> kept_;
  std::int64_t refresh_at_s_ = 0;
};

}  // namespace calf::blob
