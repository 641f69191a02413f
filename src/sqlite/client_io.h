// A client's connection for a thread that waits: messages in, a buffer out.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "net/transport.h"
#include "pgwire/frontend.h"

namespace calf::sqlite {

// One thread, but for wake() and nudge().
class ClientIo {
 public:
  using Clock = std::chrono::steady_clock;

  ClientIo(std::unique_ptr<net::Transport> transport, std::size_t max_message_bytes);
  ~ClientIo();
  ClientIo(const ClientIo&) = delete;
  ClientIo& operator=(const ClientIo&) = delete;

  enum class Status { kMessage, kClosed, kWoken, kNudged, kTimeout, kMalformed };
  // The next message; sends what is buffered before it waits. `message` is valid until the next
  // call. kWoken: wake() was called, and `interruptible`.
  Status receive(pgwire::Message& message, std::optional<Clock::time_point> deadline = {},
                 bool interruptible = true);
  // The same between statements: kNudged, once, after nudge().
  Status receive_or_nudge(pgwire::Message& message, std::optional<Clock::time_point> deadline);

  // Whether a whole message is there already: more work before the answers have to go out.
  [[nodiscard]] bool has_message();
  // Its type; only after has_message().
  [[nodiscard]] char next_type() const { return peeked_ ? peeked_->type : 0; }
  // What is to be sent. Grows until flush().
  pgwire::Bytes& out() { return out_; }
  // Sends all of it. False: the client is gone, or does not read for a minute after being woken.
  bool flush();
  bool flush_if_large();

  // Interrupts a waiting receive(), now and from now on. Any thread.
  void wake();
  // Ends a receive_or_nudge() that waits, or the next one. Any thread.
  void nudge();
  [[nodiscard]] net::Transport& transport() { return *transport_; }

 private:
  bool wait(bool for_write, std::optional<Clock::time_point> deadline, bool interruptible);
  bool fill();
  void signal();

  std::unique_ptr<net::Transport> transport_;
  pgwire::MessageDecoder decoder_;
  std::optional<pgwire::Message> peeked_;
  pgwire::Bytes out_;
  bool malformed_ = false;
  bool closed_ = false;
  int event_ = -1;  // wakes poll()
  std::atomic<bool> woken_{false};
  std::atomic<bool> nudged_{false};
  bool takes_nudges_ = false;
  std::mutex mutex_;  // for pipes, which have no descriptor
  std::condition_variable ready_;
  bool signalled_ = false;
};

}  // namespace calf::sqlite
