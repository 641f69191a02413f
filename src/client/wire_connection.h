// A connection to an engine in this process that begins where a socket would: with a startup
// packet, and carries bytes. Not for what they mean (session.h).
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "base/result.h"
#include "net/memory_pipe.h"
#include "pgwire/frontend.h"
#include "pgwire/startup.h"
#include "server/engine.h"

namespace calf::client {

// One thread may send while another one receives; cancel() and close() on any thread. `engine` must
// outlive every call but close().
class WireConnection {
 public:
  using Clock = net::PipeClient::Clock;

  explicit WireConnection(server::Engine& engine);

  // Sends some of `bytes` (at least one), waiting for room until `deadline`. kError: EPIPE when the
  // engine has closed, or has refused the startup packet; what it said last can still be received.
  // ETIMEDOUT.
  net::IoResult send(std::span<const std::byte> bytes, Clock::time_point deadline);

  // Receives some bytes, waiting for them until `deadline`: kEndOfStream, or kError with ETIMEDOUT.
  net::IoResult receive(std::span<std::byte> buffer, Clock::time_point deadline);

  // Sends what there is room for (`sent`), and receives. The engine is not woken between the two:
  // the waiting thread runs it, if it can.
  net::IoResult exchange(std::span<const std::byte> bytes, std::size_t& sent,
                         std::span<std::byte> buffer, Clock::time_point deadline);

  // Cancels what the session runs; before it has logged in nothing happens.
  void cancel();

  // For event loops, see net::PipeClient.
  [[nodiscard]] int descriptor() { return pipe_.client_end->descriptor(); }

  // Ends the connection; calls that wait return.
  void close() { pipe_.client_end->close(); }

 private:
  net::IoResult start(std::span<const std::byte> bytes);
  void act(pgwire::StartupAction action);
  void answer(std::span<const std::byte> bytes);
  void look_for_key(std::span<const std::byte> bytes);

  server::Engine& engine_;
  net::MemoryPipe pipe_;  // the engine's end: until the startup packet is whole
  pgwire::StartupMachine machine_{{.tls_available = false}};
  // The answers up to the first ReadyForQuery, for the key to cancel with.
  std::optional<pgwire::MessageDecoder> login_;
  std::mutex mutex_;
  pgwire::BackendKey key_;  // under `mutex_`
};

}  // namespace calf::client
