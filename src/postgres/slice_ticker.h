// Tells a process that runs for long that its time slice is over: sets InterruptPending in its
// memory, from another thread (signals would disturb the program that Calf is embedded in).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace calf::postgres {

class SliceTicker;

// The thread that ticks, for any number of clusters: with one for each, those of hundreds that are
// busy at once would keep the machine busy with waking up. Sleeps while all of them are idle. Any
// thread.
class TickThread {
 public:
  explicit TickThread(int64_t tick_ns);
  ~TickThread();
  TickThread(const TickThread&) = delete;
  TickThread& operator=(const TickThread&) = delete;

 private:
  friend class SliceTicker;
  void add(SliceTicker& ticker);
  void remove(SliceTicker& ticker);
  void run();

  const int64_t tick_ns_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<SliceTicker*> active_;
  bool stopping_ = false;
  std::thread thread_;
};

class SliceTicker {
 public:
  static constexpr int64_t kSliceNs = 1'000'000;

  // `ticks` may serve other clusters, too; null: one of its own.
  explicit SliceTicker(std::shared_ptr<TickThread> ticks);
  ~SliceTicker();
  SliceTicker(const SliceTicker&) = delete;
  SliceTicker& operator=(const SliceTicker&) = delete;

  static std::shared_ptr<TickThread> make_thread();

  // Cluster thread: a process begins to run; the word at `flag` becomes 1 when it has run for a
  // slice. The memory must stay mapped until end().
  void begin(volatile uint32_t* flag);
  // Cluster thread: nobody runs any more.
  void end();
  // Any thread. Has the slice of the process that runs now ended?
  [[nodiscard]] bool expired() const { return expired_.load(std::memory_order_relaxed); }

 private:
  friend class TickThread;
  // On the ticking thread. False: nothing has run for a while, it need not be called until add().
  bool tick();

  std::shared_ptr<TickThread> ticks_;
  std::mutex mutex_;
  volatile uint32_t* flag_ = nullptr;
  uint64_t run_ = 0;  // counts begin()
  uint64_t seen_run_ = 0;
  int ticks_of_run_ = 0;
  int idle_ticks_ = 0;
  bool parked_ = true;
  std::atomic<bool> expired_{false};
};

}  // namespace calf::postgres
