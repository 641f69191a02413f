// A connection inside the process: one end is a Transport for an engine, the other one blocks, for
// a client on another thread. Each direction is a bounded ring, so either side's back-pressure
// reaches the other one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "net/transport.h"

namespace calf::net {

// The client's end. One thread may read while another one writes. Waits spin for a short time first
// (a waking thread costs more than most answers take), then sleep. Destroying it closes the pipe.
class PipeClient {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::time_point kNoDeadline = Clock::time_point::max();

  virtual ~PipeClient() = default;

  // Waits until bytes are there, and reads at most buffer.size(). kEndOfStream: the engine has
  // closed and everything was read. kError with ETIMEDOUT: the deadline has passed.
  virtual IoResult read(std::span<std::byte> buffer, Clock::time_point deadline = kNoDeadline) = 0;

  // Writes all of `bytes`, waiting for room. kError with EPIPE: the engine has closed; ETIMEDOUT:
  // `bytes` of the result says how many went out.
  virtual IoResult write(std::span<const std::byte> bytes,
                         Clock::time_point deadline = kNoDeadline) = 0;

  // The same without waiting. A client that sends much while the engine answers much must read
  // between its writes. What write_some has sent is seen by the engine at the next wait, or at
  // wake_engine().
  virtual IoResult read_some(std::span<std::byte> buffer) = 0;
  virtual IoResult write_some(std::span<const std::byte> bytes) = 0;
  virtual void wake_engine() = 0;

  // Waits until read_some (or write_some) can go on, or the deadline has passed.
  enum class WaitFor { kReadable, kWritable, kReadableOrWritable };
  virtual void wait(WaitFor what, Clock::time_point deadline = kNoDeadline) = 0;

  // Brings the engine forward on the calling thread until `done`, or until it has nothing more to
  // do; false: another thread is at it. `done` is called first thing, and often.
  using Helper = std::function<bool(const std::function<bool()>& done)>;
  // Waits begin with `helper` from now on, so that an answer needs no switch of threads. Set it
  // before the first wait.
  virtual void set_helper(Helper helper) = 0;

  // A descriptor for event loops, made at the first call and owned by this end. It becomes readable
  // when bytes (or the end) come, and unreadable when read_some would block; what comes while a
  // thread waits here need not show. -1 when the process has run out of descriptors.
  virtual int descriptor() = 0;
  // Brings the descriptor up to date without reading: readable if `has_more`, or if bytes are
  // there.
  virtual void watch(bool has_more) = 0;

  // Closes both directions; the engine's end sees end of stream after what was written. Any thread;
  // may be called twice. A waiting call of this end returns.
  virtual void close() = 0;
};

struct MemoryPipe {
  static constexpr std::size_t kDefaultCapacityBytes = 256 * 1024;

  std::unique_ptr<Transport>
      engine_end;  // non-blocking; descriptor() is -1; see Transport::set_wakeup
  std::unique_ptr<PipeClient> client_end;

  // `capacity_bytes` per direction, rounded up to a power of two, at least 4 KiB.
  static MemoryPipe create(std::size_t capacity_bytes = kDefaultCapacityBytes);
};

}  // namespace calf::net
