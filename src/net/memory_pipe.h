// A connection inside the process: one end is a Transport for an engine, the other one blocks, for
// a client on another thread. Each direction is a bounded ring, so either side's back-pressure
// reaches the other one.
#pragma once

#include <chrono>
#include <memory>

#include "net/transport.h"

namespace calf::net {

// The client's end. One thread at a time. Waits spin for a short time first (a waking thread costs
// more than most answers take), then sleep. Destroying it closes the pipe.
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
  // between its writes.
  virtual IoResult read_some(std::span<std::byte> buffer) = 0;
  virtual IoResult write_some(std::span<const std::byte> bytes) = 0;

  // Waits until read_some can go on, or `or_writable` and write_some can, or the deadline has
  // passed.
  enum class WaitFor { kReadable, kReadableOrWritable };
  virtual void wait(WaitFor what, Clock::time_point deadline = kNoDeadline) = 0;

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
