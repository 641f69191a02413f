// Time, behind a class so that a simulation can turn it. Any thread; never blocks.
#pragma once

#include <cstdint>

namespace calf::os {

class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since 1970-01-01 UTC. May jump when the host's clock is set.
  [[nodiscard]] virtual int64_t realtime_ns() const = 0;
  // The same, at the kernel's tick (some ms) and cheaper: for the times of files.
  [[nodiscard]] virtual int64_t realtime_coarse_ns() const = 0;
  // Nanoseconds since some fixed moment. Never goes back.
  [[nodiscard]] virtual int64_t monotonic_ns() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] int64_t realtime_ns() const override;
  [[nodiscard]] int64_t realtime_coarse_ns() const override;
  [[nodiscard]] int64_t monotonic_ns() const override;
};

}  // namespace calf::os
