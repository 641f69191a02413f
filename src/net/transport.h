// A connection's bytes, without waiting: the one thing that the server hands to an engine.
// Not for protocol messages (that is pgwire), and not for accepting or connecting (listener.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

namespace calf::net {

enum class IoState {
  kDone,             // `bytes` > 0 were moved (0 only for an empty span)
  kWouldBlockRead,   // nothing moved; wait until the descriptor is readable, then call the same
                     // function again
  kWouldBlockWrite,  // nothing moved; wait until the descriptor is writable, then call the same
                     // function again
  kEndOfStream,      // the peer has closed its side; nothing more will be read
  kError,            // the connection is broken; `system_errno` says how (EPROTO for a TLS failure)
};

struct IoResult {
  IoState state = IoState::kDone;
  std::size_t bytes = 0;
  int system_errno = 0;

  [[nodiscard]] bool done() const { return state == IoState::kDone; }
  [[nodiscard]] bool would_block() const {
    return state == IoState::kWouldBlockRead || state == IoState::kWouldBlockWrite;
  }
  [[nodiscard]] bool closed() const {
    return state == IoState::kEndOfStream || state == IoState::kError;
  }
  static IoResult moved(std::size_t n) { return {.bytes = n}; }
  static IoResult of(IoState s, int error = 0) { return {.state = s, .system_errno = error}; }
};

// Where one end of a connection is.
struct Address {
  enum class Kind { kUnix, kIp4, kIp6, kInProcess };
  Kind kind = Kind::kInProcess;
  std::string
      host;  // numeric IP address; the socket's path for kUnix (may be empty); empty in process
  std::uint16_t port = 0;  // TCP port; 0 for the others

  // "127.0.0.1:5432", "[::1]:5432", "unix:/run/x", "in-process". For logs and application messages.
  [[nodiscard]] std::string to_string() const;
};

// What was negotiated, in the words of pg_stat_ssl.
struct TlsDetails {
  std::string version;  // "TLSv1.3"
  std::string cipher;   // "TLS_AES_256_GCM_SHA384"
  int bits = 0;
};

// One connected byte stream. Owns its descriptor and closes it when destroyed. Used by one thread
// at a time; it may be handed from thread to thread (the server's thread, then the cluster's). No
// call blocks or raises a signal.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  // Reads at most buffer.size() bytes. TLS may answer kWouldBlockWrite. After kEndOfStream or
  // kError, so does every further call.
  virtual IoResult read_some(std::span<std::byte> buffer) = 0;

  // Writes some of `bytes`. After a would-block answer of a TLS connection call again with bytes
  // that begin with the same ones (the buffer itself may have moved). TLS may answer
  // kWouldBlockRead.
  virtual IoResult write_some(std::span<const std::byte> bytes) = 0;

  // The descriptor whose readiness to wait for (poll/epoll), or -1 for an in-process pipe: then use
  // set_wakeup.
  [[nodiscard]] virtual int descriptor() const = 0;

  // True when read_some has bytes at hand that the descriptor's readiness does not show (decrypted
  // by TLS, or lying in a pipe). Look at it before waiting for readability if the last read_some
  // did not end in would-block.
  [[nodiscard]] virtual bool has_buffered_input() const { return false; }

  // Cheap look whether the peer has gone, for a caller that is busy and does not read
  // (client_connection_check_interval). False negatives are possible with TLS.
  [[nodiscard]] virtual bool peer_has_closed() const = 0;

  // For transports with descriptor() == -1: `wakeup` is called, on the other end's thread, once
  // after each would-block answer as soon as a repeated call can go on, and when the other end
  // closes. It must be quick, must not throw and must not call back into this transport. Set it
  // before the first read; pass {} to remove it (returns only when no call is running). Descriptors
  // ignore it.
  virtual void set_wakeup(std::function<void()> wakeup) { (void)wakeup; }

  [[nodiscard]] virtual const Address& peer() const = 0;
  [[nodiscard]] virtual const Address& local() const = 0;

  // What TLS negotiated; nothing for a clear connection.
  [[nodiscard]] virtual std::optional<TlsDetails> tls() const { return std::nullopt; }
  [[nodiscard]] bool is_tls() const { return tls().has_value(); }

  // Ends both directions now (TLS: tries to send close_notify first). The peer sees end of file
  // after the bytes that were already written. The descriptor stays open until destruction. May be
  // called twice.
  virtual void shutdown() = 0;
};

}  // namespace calf::net
