#include "postgres/client_socket.h"

#include <algorithm>
#include <cstring>

#include "pgwire/error_response.h"

namespace calf::postgres {

std::vector<std::byte> encode_refusal(const Error& error) {
  const bool is_limit = error.code == ErrorCode::kResourceExhausted;
  return pgwire::encode_error_response(
      {.sqlstate = is_limit ? "53400" : "57P03", .message = error.message, .hint = error.hint});
}

ClientSocket::ClientSocket(ClientConnection connection)
    : transport_(std::move(connection.transport)), is_tls_(transport_->is_tls()) {
  const auto length = static_cast<uint32_t>(connection.startup_packet.size() + 4);
  unread_ = {std::byte(length >> 24), std::byte(length >> 16), std::byte(length >> 8),
             std::byte(length)};
  unread_.insert(unread_.end(), connection.startup_packet.begin(), connection.startup_packet.end());
  unread_end_ = unread_.size();
}

ClientSocket::~ClientSocket() {
  if (poller_ != nullptr && transport_->descriptor() >= 0)
    poller_->remove(transport_->descriptor());
  transport_->set_wakeup({});
  transport_->shutdown();
}

Result<void> ClientSocket::attach(Poller& poller, void* tag, std::function<void()> wakeup) {
  poller_ = &poller;
  tag_ = tag;
  if (transport_->descriptor() < 0) {
    transport_->set_wakeup(std::move(wakeup));
    return {};
  }
  return poller.add(transport_->descriptor(), tag, Poller::Interest::kRead);
}

bool ClientSocket::on_ready(const Poller::Event& event) {
  if (event.writable) write_blocked_ = false;
  closing_ = closing_ || event.closed;
  if (event.writable && polls_writable_) {
    polls_writable_ = false;
    poller_->modify(transport_->descriptor(), tag_, Poller::Interest::kRead);
  }
  if (event.writable) flush();
  // Behind what was read ahead there may be more by now, and nobody will report it again.
  if (event.closed || (event.readable && has_unread())) read_blocked_ = false;
  const bool has_input = event.readable && read_ahead();
  return has_input || event.writable || event.closed;
}

void ClientSocket::on_moved() {
  read_blocked_ = false;
  write_blocked_ = false;
}

net::IoResult ClientSocket::read(std::span<std::byte> buffer) {
  if (has_unread()) {
    const size_t n = std::min(buffer.size(), unread_end_ - unread_begin_);
    std::memcpy(buffer.data(), unread_.data() + unread_begin_, n);
    unread_begin_ += n;
    return net::IoResult::moved(n);
  }
  if (read_blocked_) return net::IoResult::of(net::IoState::kWouldBlockRead);
  return read_now(buffer);
}

bool ClientSocket::read_ahead() {
  constexpr size_t kMostBytes = 4096;
  if (readable()) return true;
  if (unread_.size() < kMostBytes) unread_.resize(kMostBytes);
  unread_begin_ = unread_end_ = 0;
  const net::IoResult result = read_now(unread_);
  if (result.done()) unread_end_ = result.bytes;
  return readable();
}

net::IoResult ClientSocket::read_now(std::span<std::byte> buffer) {
  const net::IoResult result = transport_->read_some(buffer);
  // A short read has emptied a plain socket: the poller reports the next bytes (edge-triggered), no
  // need to ask again. Unless the peer has closed, which has been reported already: then the end of
  // the stream is still to be read.
  const bool drained = result.done() && result.bytes < buffer.size() &&
                       transport_->descriptor() >= 0 && !is_tls_ && !closing_;
  read_blocked_ = result.would_block() || drained;
  return result;
}

net::IoResult ClientSocket::write(std::span<const std::byte> bytes) {
  flush();
  return held_.empty() ? write_now(bytes) : net::IoResult::of(net::IoState::kWouldBlockWrite);
}

void ClientSocket::flush() {
  while (!held_.empty()) {
    const net::IoResult result = write_now(held_);
    if (result.would_block()) return;
    // A broken connection shows at the next read.
    const size_t gone = result.done() ? result.bytes : held_.size();
    held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(gone));
  }
}

net::IoResult ClientSocket::write_now(std::span<const std::byte> bytes) {
  const net::IoResult result = transport_->write_some(bytes);
  write_blocked_ = result.would_block();
  if (result.would_block() && transport_->descriptor() >= 0 && !polls_writable_) {
    polls_writable_ = true;
    poller_->modify(transport_->descriptor(), tag_, Poller::Interest::kReadAndWrite);
  }
  return result;
}

}  // namespace calf::postgres
