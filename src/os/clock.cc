#include "os/clock.h"

#include <ctime>

namespace calf::os {
namespace {

int64_t read_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

int64_t SystemClock::realtime_ns() const {
  return read_ns(CLOCK_REALTIME);
}
int64_t SystemClock::realtime_coarse_ns() const {
  return read_ns(CLOCK_REALTIME_COARSE);
}
int64_t SystemClock::monotonic_ns() const {
  return read_ns(CLOCK_MONOTONIC);
}

}  // namespace calf::os
