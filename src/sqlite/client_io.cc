#include "sqlite/client_io.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

namespace calf::sqlite {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kLargeBytes = 64 * 1024;
constexpr auto kSendPatience = std::chrono::seconds(60);  // once the session shall end

}  // namespace

ClientIo::ClientIo(std::unique_ptr<net::Transport> transport, std::size_t max_message_bytes)
    : transport_(std::move(transport)),
      decoder_({.max_message_bytes = max_message_bytes}),
      event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  transport_->set_wakeup([this] {
    const std::lock_guard lock(mutex_);
    signalled_ = true;
    ready_.notify_all();
  });
}

ClientIo::~ClientIo() {
  transport_->set_wakeup({});
  transport_->shutdown();
  if (event_ >= 0) ::close(event_);
}

void ClientIo::wake() {
  woken_ = true;
  signal();
}

void ClientIo::nudge() {
  nudged_ = true;
  signal();
}

void ClientIo::signal() {
  const std::uint64_t one = 1;
  (void)!::write(event_, &one, sizeof one);
  const std::lock_guard lock(mutex_);
  signalled_ = true;
  ready_.notify_all();
}

// False: the deadline has passed or the session was woken.
bool ClientIo::wait(bool for_write, std::optional<Clock::time_point> deadline, bool interruptible) {
  const int descriptor = transport_->descriptor();
  if (interruptible && woken_) return false;
  if (descriptor < 0) {
    std::unique_lock lock(mutex_);
    const auto signalled = [&] { return signalled_; };
    const bool came = deadline ? ready_.wait_until(lock, *deadline, signalled)
                               : (ready_.wait(lock, signalled), true);
    signalled_ = false;
    return came && !(interruptible && woken_);
  }
  std::array<pollfd, 2> fds{{{descriptor, static_cast<short>(for_write ? POLLOUT : POLLIN), 0},
                             {interruptible ? event_ : -1, POLLIN, 0}}};
  int timeout = -1;
  if (deadline) {
    timeout = static_cast<int>(std::max<std::int64_t>(
        0, std::chrono::duration_cast<std::chrono::milliseconds>(*deadline - Clock::now()).count() +
               1));
  }
  const int count = ::poll(fds.data(), fds.size(), timeout);
  if (count < 0) return errno == EINTR;
  if (fds[1].revents != 0) {
    std::uint64_t signals = 0;
    (void)!::read(event_, &signals, sizeof signals);
  }
  return count > 0 && fds[1].revents == 0;
}

bool ClientIo::fill() {
  std::array<std::byte, kReadBytes> buffer;
  const net::IoResult result = transport_->read_some(buffer);
  if (result.done()) {
    decoder_.feed(std::span(buffer).first(result.bytes));
    return true;
  }
  closed_ = closed_ || result.closed();
  return false;
}

bool ClientIo::has_message() {
  if (peeked_) return true;
  auto message = decoder_.next();
  if (!message) {
    malformed_ = true;
    return true;
  }
  peeked_ = *message;
  return peeked_.has_value();
}

ClientIo::Status ClientIo::receive_or_nudge(pgwire::Message& message,
                                            std::optional<Clock::time_point> deadline) {
  takes_nudges_ = true;
  const Status status = receive(message, deadline);
  takes_nudges_ = false;
  return status;
}

ClientIo::Status ClientIo::receive(pgwire::Message& message,
                                   std::optional<Clock::time_point> deadline, bool interruptible) {
  while (true) {
    if (interruptible && woken_) return Status::kWoken;
    if (has_message()) {
      if (malformed_) return Status::kMalformed;
      message = *peeked_;
      peeked_.reset();
      return Status::kMessage;
    }
    if (fill()) continue;
    if (closed_) return Status::kClosed;
    if (!out_.empty() && !flush()) return Status::kClosed;
    if (takes_nudges_ && nudged_.exchange(false)) return Status::kNudged;
    if (!wait(false, deadline, interruptible)) {
      if (interruptible && woken_) return Status::kWoken;
      if (deadline && Clock::now() >= *deadline) return Status::kTimeout;
    }
  }
}

bool ClientIo::flush() {
  std::size_t sent = 0;
  std::optional<Clock::time_point> deadline;
  while (sent < out_.size()) {
    const net::IoResult result = transport_->write_some(std::span(out_).subspan(sent));
    if (result.done()) {
      sent += result.bytes;
      continue;
    }
    if (result.closed()) {
      closed_ = true;
      break;
    }
    if (woken_ && !deadline) deadline = Clock::now() + kSendPatience;
    if (deadline && Clock::now() > *deadline) {
      closed_ = true;
      break;
    }
    wait(result.state == net::IoState::kWouldBlockWrite, Clock::now() + std::chrono::seconds(1),
         false);
  }
  out_.clear();
  return !closed_;
}

bool ClientIo::flush_if_large() {
  return out_.size() < kLargeBytes || flush();
}

}  // namespace calf::sqlite
