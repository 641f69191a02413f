#include "client/socket_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "net/listener.h"
#include "net/socket_transport.h"

namespace calf::client {
namespace {

using Clock = net::PipeClient::Clock;

// Until `events` or the deadline. False: the deadline has passed.
bool wait_for(int descriptor, short events, Clock::time_point deadline) {
  constexpr std::int64_t kLongestMs = 60'000;
  while (true) {
    std::int64_t left_ms = kLongestMs;
    if (deadline != net::PipeClient::kNoDeadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      left_ms = std::clamp<std::int64_t>(left.count(), 0, kLongestMs);
    }
    pollfd fd{descriptor, events, 0};
    const int ready = ::poll(&fd, 1, static_cast<int>(left_ms));
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
    if (deadline != net::PipeClient::kNoDeadline && Clock::now() >= deadline) return false;
  }
}

class SocketClient final : public net::PipeClient {
 public:
  explicit SocketClient(int descriptor) : transport_(net::make_socket_transport(descriptor)) {}

  net::IoResult read(std::span<std::byte> buffer, Clock::time_point deadline) override {
    while (true) {
      const net::IoResult got = read_some(buffer);
      if (!got.would_block()) return got;
      if (!wait_for(descriptor(), POLLIN, deadline)) return timed_out(0);
    }
  }

  net::IoResult write(std::span<const std::byte> bytes, Clock::time_point deadline) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const net::IoResult sent = write_some(bytes.subspan(done));
      if (sent.closed()) return sent;
      done += sent.bytes;
      if (!sent.done() && !wait_for(descriptor(), POLLOUT, deadline)) return timed_out(done);
    }
    return net::IoResult::moved(done);
  }

  net::IoResult read_some(std::span<std::byte> buffer) override {
    return transport_->read_some(buffer);
  }
  net::IoResult write_some(std::span<const std::byte> bytes) override {
    return transport_->write_some(bytes);
  }
  void wake_engine() override {}  // a socket wakes by itself

  void wait(WaitFor what, Clock::time_point deadline) override {
    const int events = what == WaitFor::kReadable   ? POLLIN
                       : what == WaitFor::kWritable ? POLLOUT
                                                    : POLLIN | POLLOUT;
    wait_for(descriptor(), static_cast<short>(events), deadline);
  }

  void set_helper(Helper) override {}  // the engine is elsewhere
  int descriptor() override { return transport_->descriptor(); }
  void watch(bool) override {}  // readiness is the kernel's
  void close() override { transport_->shutdown(); }

 private:
  static net::IoResult timed_out(std::size_t bytes) {
    net::IoResult result = net::IoResult::of(net::IoState::kError, ETIMEDOUT);
    result.bytes = bytes;
    return result;
  }

  const std::unique_ptr<net::Transport> transport_;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Result<SocketAddress> unix_address(const std::string& path) {
  SocketAddress address;
  auto& un = reinterpret_cast<sockaddr_un&>(address.storage);
  if (path.size() >= sizeof un.sun_path) {
    return fail(ErrorCode::kInvalidArgument, "the socket's path \"" + path + "\" is too long");
  }
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path, path.c_str(), path.size() + 1);
  address.size = sizeof un;
  return address;
}

SocketAddress ip_address(const net::Address& address) {
  SocketAddress result;
  if (address.kind == net::Address::Kind::kIp4) {
    auto& ip = reinterpret_cast<sockaddr_in&>(result.storage);
    ip.sin_family = AF_INET;
    ip.sin_port = htons(address.port);
    inet_pton(AF_INET, address.host.c_str(), &ip.sin_addr);
    result.size = sizeof ip;
  } else {
    auto& ip = reinterpret_cast<sockaddr_in6&>(result.storage);
    ip.sin6_family = AF_INET6;
    ip.sin6_port = htons(address.port);
    inet_pton(AF_INET6, address.host.c_str(), &ip.sin6_addr);
    result.size = sizeof ip;
  }
  return result;
}

// errno, or 0 and a connected socket.
int connect_to(const SocketAddress& address, Clock::time_point deadline, int& descriptor) {
  descriptor = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return errno;
  int error = 0;
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address.storage), address.size) !=
      0) {
    error = errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof error;
      error = ETIMEDOUT;
      if (wait_for(descriptor, POLLOUT, deadline)) {
        ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
      }
    }
  }
  if (error != 0) ::close(descriptor);
  return error;
}

}  // namespace

Result<std::unique_ptr<net::PipeClient>> connect_socket(const std::string& host, std::uint16_t port,
                                                        Clock::time_point deadline) {
  std::vector<SocketAddress> addresses;
  std::string where = host + ":" + std::to_string(port);
  if (host.starts_with('/')) {
    where = host + "/.s.PGSQL." + std::to_string(port);
    CALF_TRY(addresses.emplace_back(), unix_address(where));
  } else {
    CALF_TRY(const auto resolved, net::resolve(host, port));
    for (const net::Address& address : resolved) addresses.push_back(ip_address(address));
  }
  int error = EADDRNOTAVAIL;
  for (const SocketAddress& address : addresses) {
    int descriptor = -1;
    error = connect_to(address, deadline, descriptor);
    if (error == 0) return std::make_unique<SocketClient>(descriptor);
  }
  return fail(
      Error{.code = error == ETIMEDOUT ? ErrorCode::kDeadlineExceeded : ErrorCode::kUnavailable,
            .message = "connecting to " + where + ": " + std::strerror(error),
            .hint = "is a server running there? Give --url, or PGHOST and PGPORT",
            .system_errno = error});
}

}  // namespace calf::client
