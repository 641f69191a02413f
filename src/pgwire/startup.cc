#include "pgwire/startup.h"

#include <algorithm>
#include <utility>

#include "pgwire/wire.h"

namespace calf::pgwire {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::uint32_t kCancelCode = 1234u << 16 | 5678;
constexpr std::uint32_t kSslCode = 1234u << 16 | 5679;
constexpr std::uint32_t kGssCode = 1234u << 16 | 5680;
constexpr std::uint32_t kEarliestMajor = 3, kEarliestMinor = 0;
constexpr std::uint32_t kLatestMajor = 3, kLatestMinor = 2;

StartupAction reject(std::string_view sqlstate, std::string message) {
  Bytes response = encode_error_response({.sqlstate = std::string(sqlstate), .message = message});
  return action::Reject{.response = std::move(response), .reason = std::move(message)};
}

// What PostgreSQL logs but does not tell the client (COMMERROR).
StartupAction reject_silently(std::string reason) {
  return action::Reject{.response = {}, .reason = std::move(reason)};
}

std::string unsupported(std::uint32_t version) {
  const auto text = [](std::uint32_t major, std::uint32_t minor) {
    return std::to_string(major) + "." + std::to_string(minor);
  };
  return "unsupported frontend protocol " + text(version >> 16, version & 0xffff) +
         ": server supports " + text(kEarliestMajor, kEarliestMinor) + " to " +
         text(kLatestMajor, kLatestMinor);
}

StartupAction layout_error() {
  return reject("08P01", "invalid startup packet layout: expected terminator as last byte");
}

}  // namespace

StartupAction StartupMachine::direct_tls() {
  if (!options_.tls_available || ssl_done_ || !buffer_.empty()) {
    return reject_silently("direct TLS connection, but TLS is not available here");
  }
  direct_ = true;
  return action::StartTls{.direct = true};
}

std::size_t StartupMachine::wanted() const {
  if (buffer_.size() < kLengthBytes) return kLengthBytes - buffer_.size();
  return load_u32(buffer_) - std::min<std::size_t>(load_u32(buffer_), buffer_.size());
}

StartupAction StartupMachine::feed(std::span<const std::byte> bytes) {
  while (true) {
    const auto taken = bytes.first(std::min(bytes.size(), wanted()));
    const bool length_was_known = buffer_.size() >= kLengthBytes;
    put_bytes(buffer_, taken);
    bytes = bytes.subspan(taken.size());
    if (buffer_.size() < kLengthBytes) return action::NeedBytes{};
    if (!length_was_known) {
      const std::uint32_t length = load_u32(buffer_);
      if (length < 2 * kLengthBytes || length > kLengthBytes + kMaxStartupPacketBytes) {
        return reject_silently("invalid length of startup packet");
      }
      continue;
    }
    if (wanted() > 0) return action::NeedBytes{};
    break;
  }
  if (!bytes.empty()) {
    const std::uint32_t code = load_u32(std::span(buffer_).subspan(kLengthBytes));
    if (code == kSslCode && !ssl_done_) {
      return reject("08P01", "received unencrypted data after SSL request");
    }
    if (code == kGssCode && !gss_done_) {
      return reject("08P01", "received unencrypted data after GSSAPI encryption request");
    }
    return reject("08P01", "received data before the startup packet was answered");
  }
  return packet_complete();
}

StartupAction StartupMachine::packet_complete() {
  const Bytes packet = std::exchange(buffer_, {});
  const auto body = std::span(packet).subspan(kLengthBytes);
  const std::uint32_t code = load_u32(body);
  if (code == kCancelCode) return parse_cancel(body);
  if (code == kSslCode && !ssl_done_) {
    ssl_done_ = true;
    if (options_.tls_available) return action::StartTls{.direct = false};
    return action::SendByte{'N'};
  }
  if (code == kGssCode && !gss_done_) {
    gss_done_ = true;
    return action::SendByte{'N'};
  }
  return parse_startup(body);
}

StartupAction StartupMachine::tls_started(bool alpn_postgresql) {
  ssl_done_ = gss_done_ = true;
  if (direct_ && !alpn_postgresql) {
    return reject("08P01",
                  "received direct SSL connection request without ALPN protocol negotiation "
                  "extension");
  }
  return action::NeedBytes{};
}

StartupAction StartupMachine::parse_cancel(std::span<const std::byte> body) {
  Reader reader(body);
  reader.u32();
  const std::uint32_t pid = reader.u32();
  if (!reader.ok()) return reject_silently("invalid length of cancel request packet");
  if (reader.left() == 0 || reader.left() > kMaxCancelKeyBytes) {
    return reject_silently("invalid length of cancel key in cancel request packet");
  }
  const auto key = body.last(reader.left());
  return action::Cancel{.pid = pid, .key = Bytes(key.begin(), key.end())};
}

StartupAction StartupMachine::parse_startup(std::span<const std::byte> body) {
  StartupPacket packet{.protocol_version = load_u32(body), .raw = Bytes(body.begin(), body.end())};
  const std::uint32_t major = packet.protocol_version >> 16;
  if (major < kEarliestMajor || major > kLatestMajor) {
    return reject("0A000", unsupported(packet.protocol_version));
  }
  Reader reader(body.subspan(4));
  while (reader.left() > 1) {
    const std::string_view name = reader.cstring();
    const std::string_view value = reader.cstring();
    if (!reader.ok() || name.empty()) return layout_error();
    packet.parameters.insert_or_assign(std::string(name), std::string(value));
  }
  if (reader.left() != 1 || reader.u8() != 0) return layout_error();
  const auto user = packet.parameters.find("user");
  if (user == packet.parameters.end() || user->second.empty()) {
    return reject("28000", "no PostgreSQL user name specified in startup packet");
  }
  return action::Start{std::move(packet)};
}

}  // namespace calf::pgwire
