// A client's connection as its backend sees it: bytes in, bytes out, never waiting. The startup
// packet that the server has read already comes first.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "net/transport.h"
#include "postgres/poller.h"

namespace calf::postgres {

struct ClientConnection {
  std::unique_ptr<net::Transport> transport;
  std::vector<std::byte> startup_packet;  // without its length; see pgwire::StartupMachine
};

// What a client is told that no process of PostgreSQL can be had for: FATAL, 53400
// (configuration_limit_exceeded) or 57P03 (cannot_connect_now).
std::vector<std::byte> encode_refusal(const Error& error);

// Cluster thread. Owns the transport; closes it when destroyed.
class ClientSocket {
 public:
  explicit ClientSocket(ClientConnection connection);
  ~ClientSocket();
  ClientSocket(const ClientSocket&) = delete;
  ClientSocket& operator=(const ClientSocket&) = delete;

  // Begins to report readiness to `tag`; in-process pipes call `wakeup` (on another thread)
  // instead.
  Result<void> attach(Poller& poller, void* tag, std::function<void()> wakeup);
  // From the poller. False when nothing has changed: what it reports was read ahead.
  bool on_ready(const Poller::Event& event);
  // From an in-process pipe: it has moved.
  void on_moved();

  net::IoResult read(std::span<std::byte> buffer);
  // Asks the transport itself, before the poller reports, and takes what is there. Can read() go on
  // then?
  bool read_ahead();
  net::IoResult write(std::span<const std::byte> bytes);
  // Keeps the bytes until flush(), or write(), sends them first.
  void hold(std::span<const std::byte> bytes) {
    held_.insert(held_.end(), bytes.begin(), bytes.end());
  }
  // Sends what is held, as far as the socket takes it; the poller's next report does the rest.
  void flush();

  // Can read (write) go on, as far as is known? After a would-block answer: not before the poller
  // (or the pipe's wake-up) has said so; a look at the transport itself could run ahead of that,
  // and its reader would wait in vain.
  [[nodiscard]] bool readable() const { return !read_blocked_ || has_unread(); }
  [[nodiscard]] bool writable() const { return !write_blocked_; }
  [[nodiscard]] bool peer_has_closed() const { return transport_->peer_has_closed(); }
  [[nodiscard]] const net::Address& peer() const { return transport_->peer(); }
  [[nodiscard]] bool is_tls() const { return is_tls_; }
  // What TLS negotiated; nothing for a clear connection.
  [[nodiscard]] std::optional<net::TlsDetails> tls() const { return transport_->tls(); }
  [[nodiscard]] bool is_in_process() const { return transport_->descriptor() < 0; }

 private:
  [[nodiscard]] bool has_unread() const { return unread_begin_ < unread_end_; }
  net::IoResult read_now(std::span<std::byte> buffer);
  net::IoResult write_now(std::span<const std::byte> bytes);

  std::unique_ptr<net::Transport> transport_;
  bool is_tls_;
  bool closing_ = false;           // the peer has closed: no further event will say so
  std::vector<std::byte> unread_;  // the startup packet with its length; later what was read ahead
  size_t unread_begin_ = 0, unread_end_ = 0;
  std::vector<std::byte> held_;
  bool read_blocked_ = false;
  bool write_blocked_ = false;
  bool polls_writable_ = false;
  Poller* poller_ = nullptr;
  void* tag_ = nullptr;
};

}  // namespace calf::postgres
