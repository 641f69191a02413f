#include "net/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "net/socket_transport.h"

namespace calf::net {
namespace {

constexpr int kBacklog = 1024;

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Result<AddressList> lookup(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host == "*" ? nullptr : host.c_str(), std::to_string(port).c_str(),
                                &hints, &found);
  if (error != 0) {
    return fail(ErrorCode::kInvalidArgument,
                "could not resolve the host \"" + host + "\": " + gai_strerror(error));
  }
  return AddressList(found, freeaddrinfo);
}

// Not an address of this machine (no IPv6, say): the host's other addresses may do.
bool is_missing_family(int error) {
  return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT;
}

void set_port(sockaddr* address, std::uint16_t port) {
  if (address->sa_family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
  }
}

// A bound, listening socket, or -errno.
int bind_tcp(const addrinfo& address) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd, address.ai_addr, address.ai_addrlen) == 0 && ::listen(fd, kBacklog) == 0) {
    return fd;
  }
  const int error = errno;
  ::close(fd);
  return -error;
}

// The numeric form of a looked-up address.
Address to_address(const addrinfo& info, std::uint16_t port) {
  char text[NI_MAXHOST] = {};
  getnameinfo(info.ai_addr, info.ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return {info.ai_family == AF_INET ? Address::Kind::kIp4 : Address::Kind::kIp6, text, port};
}

// A hosts file may name one address twice.
bool is_bound(const std::vector<Listener>& listeners, const Address& address) {
  return std::any_of(listeners.begin(), listeners.end(), [&](const Listener& listener) {
    return listener.address().host == address.host;
  });
}

tl::unexpected<Error> bind_error(const std::string& host, std::uint16_t port, int error) {
  const std::string where = host + ", port " + std::to_string(port);
  if (error == EADDRINUSE) {
    return fail(ErrorCode::kAlreadyExists, "could not listen on " + where + ": already in use",
                "another server runs there; choose a port with -p, or -p 0 for a free one");
  }
  return fail(Error::from_errno("could not listen on " + where, error));
}

}  // namespace

Listener::Listener(Listener&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      address_(std::move(other.address_)),
      lock_file_(std::exchange(other.lock_file_, {})) {}

Listener::~Listener() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (address_.kind != Address::Kind::kUnix) return;
  ::unlink(address_.host.c_str());
  ::unlink(lock_file_.c_str());
}

Result<std::vector<Address>> resolve(const std::string& host, std::uint16_t port) {
  CALF_TRY(const AddressList list, lookup(host, port));
  std::vector<Address> addresses;
  for (const addrinfo* a = list.get(); a != nullptr; a = a->ai_next) {
    addresses.push_back(to_address(*a, port));
  }
  return addresses;
}

bool is_loopback(const Address& address) {
  if (address.kind == Address::Kind::kIp4) return address.host.starts_with("127.");
  return address.kind != Address::Kind::kIp6 || address.host == "::1";
}

Result<std::vector<Listener>> listen_tcp(const std::string& host, std::uint16_t port) {
  CALF_TRY(const AddressList list, lookup(host, port));
  std::vector<Listener> listeners;
  int missing = EADDRNOTAVAIL;
  for (const addrinfo* a = list.get(); a != nullptr; a = a->ai_next) {
    if (is_bound(listeners, to_address(*a, port))) continue;
    set_port(a->ai_addr, port);
    const int fd = bind_tcp(*a);
    if (fd < 0 && !is_missing_family(-fd)) return bind_error(host, port, -fd);
    if (fd < 0) {
      missing = -fd;
      continue;
    }
    listeners.push_back(Listener(fd, local_address(fd), {}));
    port = listeners.back().address().port;
  }
  if (listeners.empty()) return bind_error(host, port, missing);
  return listeners;
}

}  // namespace calf::net
