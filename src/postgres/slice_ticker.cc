#include "postgres/slice_ticker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "os/thread_signals.h"

namespace calf::postgres {
namespace {

// A slice ends at a tick: it is at most half longer than asked for.
constexpr int kTicksInSlice = 2;
constexpr int kIdleTicksBeforeParking = 10;  // helpers of an idle cluster run ten times a second

// The guest handles the word as one that a signal handler sets: what it overwrites comes again with
// the next tick. So this is no race for ThreadSanitizer to report.
__attribute__((no_sanitize("thread"))) void mark(volatile uint32_t* flag) {
  *flag = 1;
}

}  // namespace

TickThread::TickThread(int64_t tick_ns) : tick_ns_(tick_ns), thread_([this] { run(); }) {}

TickThread::~TickThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void TickThread::add(SliceTicker& ticker) {
  bool was_idle = false;
  {
    const std::lock_guard lock(mutex_);
    was_idle = active_.empty();
    active_.push_back(&ticker);
  }
  if (was_idle) wake_.notify_one();
}

void TickThread::remove(SliceTicker& ticker) {
  const std::lock_guard lock(mutex_);
  std::erase(active_, &ticker);
}

void TickThread::run() {
  os::block_signals_on_this_thread();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::erase_if(active_, [](SliceTicker* ticker) { return !ticker->tick(); });
    if (active_.empty()) {
      wake_.wait(lock, [this] { return stopping_ || !active_.empty(); });
    } else {
      wake_.wait_for(lock, std::chrono::nanoseconds(tick_ns_), [this] { return stopping_; });
    }
  }
}

std::shared_ptr<TickThread> SliceTicker::make_thread() {
  return std::make_shared<TickThread>(kSliceNs / kTicksInSlice);
}

SliceTicker::SliceTicker(std::shared_ptr<TickThread> ticks)
    : ticks_(ticks != nullptr ? std::move(ticks) : make_thread()) {}

SliceTicker::~SliceTicker() {
  ticks_->remove(*this);
}

void SliceTicker::begin(volatile uint32_t* flag) {
  bool was_parked = false;
  {
    const std::lock_guard lock(mutex_);
    flag_ = flag;
    run_ += 1;
    expired_.store(false, std::memory_order_relaxed);
    was_parked = std::exchange(parked_, false);
  }
  if (was_parked) ticks_->add(*this);
}

void SliceTicker::end() {
  const std::lock_guard lock(mutex_);
  flag_ = nullptr;
}

bool SliceTicker::tick() {
  const std::lock_guard lock(mutex_);
  ticks_of_run_ = run_ == seen_run_ ? ticks_of_run_ + 1 : 0;
  if (flag_ != nullptr && ticks_of_run_ >= kTicksInSlice) {
    mark(flag_);
    expired_.store(true, std::memory_order_relaxed);
  }
  idle_ticks_ = flag_ == nullptr && run_ == seen_run_ ? idle_ticks_ + 1 : 0;
  seen_run_ = run_;
  parked_ = idle_ticks_ >= kIdleTicksBeforeParking;
  if (parked_) idle_ticks_ = 0;
  return !parked_;
}

}  // namespace calf::postgres
