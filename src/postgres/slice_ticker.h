// Tells a process that runs for long that its time slice is over: sets InterruptPending in its
// memory, from a thread of its own (signals would disturb the program that Calf is embedded in).
// Sleeps while the cluster is idle.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace calf::postgres {

class SliceTicker {
 public:
  explicit SliceTicker(int64_t slice_ns);
  ~SliceTicker();
  SliceTicker(const SliceTicker&) = delete;
  SliceTicker& operator=(const SliceTicker&) = delete;

  // Cluster thread: a process begins to run; the word at `flag` becomes 1 when it has run for a
  // slice. The memory must stay mapped until end().
  void begin(volatile uint32_t* flag);
  // Cluster thread: nobody runs any more.
  void end();
  // Any thread. Has the slice of the process that runs now ended?
  [[nodiscard]] bool expired() const { return expired_.load(std::memory_order_relaxed); }

 private:
  void run();

  const int64_t slice_ns_;
  std::mutex mutex_;
  std::condition_variable wake_;
  volatile uint32_t* flag_ = nullptr;
  uint64_t run_ = 0;  // counts begin()
  bool parked_ = false;
  bool stopping_ = false;
  std::atomic<bool> expired_{false};
  std::thread thread_;
};

}  // namespace calf::postgres
