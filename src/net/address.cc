#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "net/socket_transport.h"

namespace calf::net {
namespace {

Address from_ip4(const sockaddr_in& ip) {
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &ip.sin_addr, text, sizeof text);
  return {Address::Kind::kIp4, text, ntohs(ip.sin_port)};
}

Address from_ip6(const sockaddr_in6& ip) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, &ip.sin6_addr, text, sizeof text);
  return {Address::Kind::kIp6, text, ntohs(ip.sin6_port)};
}

Address from_unix(const sockaddr_un& path, socklen_t size) {
  const std::size_t room = size - std::min<std::size_t>(size, offsetof(sockaddr_un, sun_path));
  return {Address::Kind::kUnix, std::string(path.sun_path, strnlen(path.sun_path, room)), 0};
}

Address from_socket(const sockaddr_storage& storage, socklen_t size) {
  switch (storage.ss_family) {
    case AF_INET:
      return from_ip4(reinterpret_cast<const sockaddr_in&>(storage));
    case AF_INET6:
      return from_ip6(reinterpret_cast<const sockaddr_in6&>(storage));
    default:
      return from_unix(reinterpret_cast<const sockaddr_un&>(storage), size);
  }
}

}  // namespace

std::string Address::to_string() const {
  switch (kind) {
    case Kind::kIp4:
      return host + ":" + std::to_string(port);
    case Kind::kIp6:
      return "[" + host + "]:" + std::to_string(port);
    case Kind::kUnix:
      return "unix:" + host;
    case Kind::kInProcess:
      break;
  }
  return "in-process";
}

Address local_address(int descriptor) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &size);
  return from_socket(storage, size);
}

Address peer_address(int descriptor) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    Address unknown = local_address(descriptor);  // gone already: at least the family is right
    unknown.host.clear();
    unknown.port = 0;
    return unknown;
  }
  return from_socket(storage, size);
}

}  // namespace calf::net
