// One connection from accept to the engine: readiness, TLS, startup packet, deadline. Runs on the
// server's thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "net/tls_context.h"
#include "net/transport.h"
#include "pgwire/startup.h"
#include "server/engine.h"

namespace calf::server {

// Waits for a borrowed descriptor's readiness; never closes it. Server thread.
class Readiness {
 public:
  Readiness(boost::asio::io_context& io, int descriptor) : descriptor_(io, descriptor) {}
  ~Readiness() { descriptor_.release(); }
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  // False when the wait was cancelled or failed.
  boost::asio::awaitable<bool> readable();
  boost::asio::awaitable<bool> writable();
  void cancel() { descriptor_.cancel(); }

 private:
  boost::asio::posix::stream_descriptor descriptor_;
};

class Handshake {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    net::TlsContext* tls = nullptr;
    Clock::time_point deadline;
  };

  Handshake(boost::asio::io_context& io, std::unique_ptr<net::Transport> transport,
            Options options);

  // Runs until the engine has the connection or it is closed. `engine` is looked at when the
  // startup packet is there: null as long as there is none.
  boost::asio::awaitable<void> run(Engine* const& engine);

  // Makes run() end soon; `why` goes to the log.
  void abort(std::string why);

  [[nodiscard]] Clock::time_point deadline() const { return options_.deadline; }

 private:
  boost::asio::awaitable<bool> starts_with_tls();
  boost::asio::awaitable<pgwire::StartupAction> read_more();
  boost::asio::awaitable<pgwire::StartupAction> start_tls(bool direct);
  boost::asio::awaitable<bool> wait_for(const net::IoResult& result);
  boost::asio::awaitable<bool> send(std::span<const std::byte> bytes);
  boost::asio::awaitable<void> reject(const pgwire::action::Reject& reject);
  void finish(Engine& engine, pgwire::action::Start start);
  pgwire::StartupAction gone();

  Options options_;
  boost::asio::io_context& io_;
  std::unique_ptr<net::Transport> transport_;  // empty while tls_ has it
  std::unique_ptr<net::TlsHandshake> tls_;
  std::optional<Readiness>
      readiness_;  // after the owners of the descriptor: it lets go of it before they close it
  pgwire::StartupMachine machine_;
  std::string aborted_;  // why, when it was
};

}  // namespace calf::server
