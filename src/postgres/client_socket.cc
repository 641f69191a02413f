#include "postgres/client_socket.h"

#include <algorithm>
#include <cstring>

namespace calf::postgres {

ClientSocket::ClientSocket(ClientConnection connection)
    : transport_(std::move(connection.transport)), is_tls_(transport_->is_tls()) {
  const auto length = static_cast<uint32_t>(connection.startup_packet.size() + 4);
  unread_ = {std::byte(length >> 24), std::byte(length >> 16), std::byte(length >> 8),
             std::byte(length)};
  unread_.insert(unread_.end(), connection.startup_packet.begin(), connection.startup_packet.end());
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

void ClientSocket::on_ready(const Poller::Event& event) {
  if (event.readable) read_blocked_ = false;
  if (event.writable) write_blocked_ = false;
  closing_ = closing_ || event.closed;
  if (event.writable && polls_writable_) {
    polls_writable_ = false;
    poller_->modify(transport_->descriptor(), tag_, Poller::Interest::kRead);
  }
  if (event.writable) flush();
}

void ClientSocket::on_moved() {
  read_blocked_ = false;
  write_blocked_ = false;
}

net::IoResult ClientSocket::read(std::span<std::byte> buffer) {
  if (unread_begin_ < unread_.size()) {
    const size_t n = std::min(buffer.size(), unread_.size() - unread_begin_);
    std::memcpy(buffer.data(), unread_.data() + unread_begin_, n);
    unread_begin_ += n;
    return net::IoResult::moved(n);
  }
  if (read_blocked_) return net::IoResult::of(net::IoState::kWouldBlockRead);
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
