#include "postgres/poller.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace calf::postgres {
namespace {

uint32_t epoll_events(Poller::Interest interest) {
  // Not EPOLLOUT without need: a Unix socket reports it each time the peer has read something.
  const uint32_t read = EPOLLIN | EPOLLRDHUP | EPOLLET;
  return interest == Poller::Interest::kRead ? read : read | EPOLLOUT;
}

}  // namespace

Result<std::unique_ptr<Poller>> Poller::create() {
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return fail(Error::from_errno("creating a poller", errno));
  const int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd < 0) {
    const int why = errno;
    close(epoll_fd);
    return fail(Error::from_errno("creating a poller's wake-up", why));
  }
  auto poller = std::unique_ptr<Poller>(new Poller(epoll_fd, event_fd));
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &event) != 0) {
    return fail(Error::from_errno("adding a poller's wake-up", errno));
  }
  return poller;
}

Poller::~Poller() {
  close(event_fd_);
  close(epoll_fd_);
}

Result<void> Poller::add(int fd, void* tag, Interest interest) {
  epoll_event event = {};
  event.events = epoll_events(interest);
  event.data.ptr = tag;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0)
    return fail(Error::from_errno("polling a socket", errno));
  return {};
}

void Poller::modify(int fd, void* tag, Interest interest) {
  epoll_event event = {};
  event.events = epoll_events(interest);
  event.data.ptr = tag;
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
}

void Poller::remove(int fd) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

void Poller::poll(int64_t timeout_ns, const std::function<void(const Event&)>& on_event) {
  constexpr int kBatch = 64;
  epoll_event events[kBatch];
  timespec timeout = {timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  const int n =
      epoll_pwait2(epoll_fd_, events, kBatch, timeout_ns < 0 ? nullptr : &timeout, nullptr);
  for (int i = 0; i < n; ++i) {
    if (events[i].data.ptr == nullptr) {
      uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = read(event_fd_, &count, sizeof count);
      continue;
    }
    const uint32_t e = events[i].events;
    on_event({.tag = events[i].data.ptr,
              .readable = (e & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0,
              .writable = (e & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0,
              .closed = (e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0});
  }
}

void Poller::wait(int64_t timeout_ns) const {
  pollfd readable = {epoll_fd_, POLLIN, 0};
  const timespec timeout = {timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  ppoll(&readable, 1, timeout_ns < 0 ? nullptr : &timeout, nullptr);
}

void Poller::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t put = write(event_fd_, &one, sizeof one);
}

}  // namespace calf::postgres
