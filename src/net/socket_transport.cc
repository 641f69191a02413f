#include "net/socket_transport.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace calf::net {
namespace {

class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(int descriptor)
      : descriptor_(descriptor),
        peer_(peer_address(descriptor)),
        local_(local_address(descriptor)) {}
  ~SocketTransport() override { ::close(descriptor_); }

  IoResult read_some(std::span<std::byte> buffer) override {
    if (buffer.empty()) return IoResult::moved(0);
    while (true) {
      const ssize_t n = ::recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n > 0) return IoResult::moved(static_cast<std::size_t>(n));
      if (n == 0) return IoResult::of(IoState::kEndOfStream);
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return IoResult::of(IoState::kWouldBlockRead);
      return IoResult::of(IoState::kError, errno);
    }
  }

  IoResult write_some(std::span<const std::byte> bytes) override {
    if (bytes.empty()) return IoResult::moved(0);
    while (true) {
      const ssize_t n =
          ::send(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n >= 0) return IoResult::moved(static_cast<std::size_t>(n));
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return IoResult::of(IoState::kWouldBlockWrite);
      return IoResult::of(IoState::kError, errno);
    }
  }

  int descriptor() const override { return descriptor_; }

  bool peer_has_closed() const override {
    pollfd poll{.fd = descriptor_, .events = POLLRDHUP, .revents = 0};
    return ::poll(&poll, 1, 0) > 0 && (poll.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

  const Address& peer() const override { return peer_; }
  const Address& local() const override { return local_; }
  void shutdown() override { ::shutdown(descriptor_, SHUT_RDWR); }

 private:
  const int descriptor_;
  const Address peer_;
  const Address local_;
};

void set_option(int descriptor, int level, int name) {
  const int on = 1;
  ::setsockopt(descriptor, level, name, &on, sizeof on);
}

}  // namespace

std::unique_ptr<Transport> make_socket_transport(int descriptor) {
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  auto transport = std::make_unique<SocketTransport>(descriptor);
  if (transport->local().kind != Address::Kind::kUnix) {
    set_option(descriptor, IPPROTO_TCP, TCP_NODELAY);
    set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE);
  }
  return transport;
}

}  // namespace calf::net
