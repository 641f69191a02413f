// The server's side of a connection before there is a session: SSLRequest, GSSENCRequest,
// CancelRequest and the startup packet. Bytes in, actions out; no input or output, no clock.
// Follows ProcessSSLStartup and ProcessStartupPacket in PostgreSQL 18's
// src/backend/tcop/backend_startup.c. Not for authentication: that is the engine's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "pgwire/error_response.h"

namespace calf::pgwire {

constexpr std::size_t kMaxStartupPacketBytes =
    10000;  // MAX_STARTUP_PACKET_LENGTH, without the length word
constexpr std::size_t kMaxCancelKeyBytes = 256;

// The parsed startup packet. `raw` is the body without the length word, as received.
struct StartupPacket {
  std::uint32_t protocol_version = 0;               // 3.2 is 0x00030002
  std::map<std::string, std::string> parameters{};  // the last one wins, as in PostgreSQL
  Bytes raw{};
};

namespace action {
struct NeedBytes {};  // read more (at most wanted() bytes) and feed them
struct SendByte {
  char byte;
};  // send this one byte ('S' or 'N'), then feed on
struct StartTls {
  bool direct;
};  // send 'S' unless direct, shake hands, then call tls_started
struct Start {
  StartupPacket packet;
};  // hand the connection to the engine
struct Cancel {
  std::uint32_t pid;
  Bytes key;
};  // pass it on; its connection is closed without an answer
// Send `response` (may be empty: PostgreSQL says nothing either) and close. `reason` is for the
// log.
struct Reject {
  Bytes response;
  std::string reason;
};
}  // namespace action

using StartupAction = std::variant<action::NeedBytes, action::SendByte, action::StartTls,
                                   action::Start, action::Cancel, action::Reject>;

struct StartupOptions {
  bool tls_available = false;  // answer SSLRequest with 'S' (never on Unix sockets)
};

// One connection's machine. One thread at a time. After Start, Cancel or Reject it is finished.
class StartupMachine {
 public:
  explicit StartupMachine(StartupOptions options) : options_(options) {}

  // A direct TLS connection (sslnegotiation=direct) shows in its first byte. Look at it (MSG_PEEK)
  // before the first feed; if this is true, feed nothing, and do what direct_tls() answers.
  static bool looks_like_tls(std::byte first) { return first == std::byte{0x16}; }
  StartupAction direct_tls();

  // How many bytes may be read now so that nothing of what follows the packet is taken.
  [[nodiscard]] std::size_t wanted() const;

  // The next bytes. More than wanted() is an error of the client's: bytes that follow an SSLRequest
  // or GSSENCRequest in the clear are refused (CVE-2021-23214), bytes behind a startup packet too.
  StartupAction feed(std::span<const std::byte> bytes);

  // The handshake that StartTls asked for is done. `alpn_postgresql`: the client negotiated the
  // protocol "postgresql", which a direct connection must.
  StartupAction tls_started(bool alpn_postgresql);

  // The peer closed. True when that is ordinary: nothing at all was sent (a port probe), or nothing
  // after 'N'.
  [[nodiscard]] bool ended_cleanly() const { return buffer_.empty(); }

 private:
  StartupAction packet_complete();
  StartupAction parse_cancel(std::span<const std::byte> body);
  StartupAction parse_startup(std::span<const std::byte> body);

  StartupOptions options_;
  Bytes buffer_;  // the current packet, length word included; at most 4 + kMaxStartupPacketBytes
  bool ssl_done_ = false;
  bool gss_done_ = false;
  bool direct_ = false;
};

}  // namespace calf::pgwire
