// Repeats a step of reading the archive, or of taking it over, while the store is only busy. Steps
// that leave nothing half done.
#pragma once

#include <functional>

#include "blob/http_retry.h"

namespace calf::archive {

template <typename Step>
auto retrying(const blob::Limits& limits, const Step& step) -> decltype(step()) {
  // Stores over a network have tried for a while themselves already.
  constexpr blob::RetryPolicy kPolicy{
      .first_delay_ms = 20, .longest_delay_ms = 1'000, .attempts = 6};
  for (int attempt = 1;; ++attempt) {
    auto result = step();
    if (result || !blob::is_transient(result.error())) return result;
    if (attempt >= kPolicy.attempts || !limits.check("")) return result;
    limits.sleep_ms(blob::backoff_ms(kPolicy, attempt));
  }
}

}  // namespace calf::archive
