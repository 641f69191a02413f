// Readiness of the cluster's client sockets, and wake-ups from other threads (epoll and eventfd).
// Not for listening or for anything that other threads own: those use asio. The cluster's thread
// polls by itself because a client's bytes must reach its backend without a hop through another
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"

namespace calf::postgres {

// One thread at a time, but for wait() and wake().
class Poller {
 public:
  enum class Interest { kRead, kReadAndWrite };

  static Result<std::unique_ptr<Poller>> create();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  // Edge-triggered: reports a change to ready once. `tag` comes back with the event.
  Result<void> add(int fd, void* tag, Interest interest);
  void modify(int fd, void* tag, Interest interest);
  void remove(int fd);

  struct Event {
    void* tag;
    bool readable;
    bool writable;
    bool closed;
  };
  // Waits at most `timeout_ns` (negative: for ever; 0: not at all) and calls `on_event` for each. A
  // wake() ends the wait.
  void poll(int64_t timeout_ns, const std::function<void(const Event&)>& on_event);

  // Any thread: waits as poll() does, and leaves everything for the next poll().
  void wait(int64_t timeout_ns) const;

  // Any thread: makes the running or next poll (or wait) return.
  void wake();

 private:
  Poller(int epoll_fd, int event_fd) : epoll_fd_(epoll_fd), event_fd_(event_fd) {}
  int epoll_fd_;
  int event_fd_;
};

}  // namespace calf::postgres
