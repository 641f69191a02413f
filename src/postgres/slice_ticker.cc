#include "postgres/slice_ticker.h"

#include <chrono>

#include "os/thread_signals.h"

namespace calf::postgres {

namespace {
constexpr int kTicksInSlice =
    2;  // a slice ends at a tick: it is at most half longer than asked for
constexpr int kIdleTicksBeforeParking = 100;
}  // namespace

SliceTicker::SliceTicker(int64_t slice_ns) : slice_ns_(slice_ns), thread_([this] { run(); }) {}

SliceTicker::~SliceTicker() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void SliceTicker::begin(volatile uint32_t* flag) {
  bool parked = false;
  {
    std::lock_guard lock(mutex_);
    flag_ = flag;
    run_ += 1;
    expired_.store(false, std::memory_order_relaxed);
    parked = parked_;
  }
  if (parked) wake_.notify_one();
}

void SliceTicker::end() {
  std::lock_guard lock(mutex_);
  flag_ = nullptr;
}

void SliceTicker::run() {
  os::block_signals_on_this_thread();
  std::unique_lock lock(mutex_);
  uint64_t seen_run = 0;
  int ticks_of_run = 0;
  int idle_ticks = 0;
  while (!stopping_) {
    ticks_of_run = run_ == seen_run ? ticks_of_run + 1 : 0;
    if (flag_ != nullptr && ticks_of_run >= kTicksInSlice) {
      *flag_ = 1;
      expired_.store(true, std::memory_order_relaxed);
    }
    idle_ticks = flag_ == nullptr && run_ == seen_run ? idle_ticks + 1 : 0;
    seen_run = run_;
    if (idle_ticks >= kIdleTicksBeforeParking) {
      parked_ = true;
      wake_.wait(lock, [&] { return stopping_ || run_ != seen_run; });
      parked_ = false;
      idle_ticks = 0;
    } else {
      wake_.wait_for(lock, std::chrono::nanoseconds(slice_ns_ / kTicksInSlice),
                     [&] { return stopping_; });
    }
  }
}

}  // namespace calf::postgres
