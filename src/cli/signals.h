// SIGINT, SIGTERM and other events as descriptors to poll. Signals are blocked and read, never
// handled: a handler could run on a thread that is inside the guest.
#pragma once

namespace calf::cli {

// Blocks SIGINT and SIGTERM in this thread and all that it starts later, and ignores SIGPIPE. Make
// it on the main thread before others start. Its destructor leaves the signals blocked: the process
// is about to end.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }

  // The next signal's number; 0 when there is none.
  int take();

 private:
  int descriptor_;
};

// A flag that poll() can wait for. set() from any thread.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  void set();

 private:
  int descriptor_;
};

}  // namespace calf::cli
