#include "postgres/guest_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace calf::postgres {

uint32_t encode_guest_address(const net::Address& address, std::span<std::byte> out) {
  constexpr uint16_t kUnix = 1;
  constexpr uint16_t kInet = 2;
  constexpr uint16_t kInet6 =
      10;  // not Linux's host value by chance only: the guest's C library is musl
  constexpr uint32_t kInetSize = 16;
  constexpr uint32_t kInet6Size = 28;
  if (out.size() < kInet6Size) return 0;
  std::fill(out.begin(), out.end(), std::byte{0});
  auto put = [&](size_t at, uint16_t value) { std::memcpy(out.data() + at, &value, sizeof value); };
  using Kind = net::Address::Kind;
  if (address.kind == Kind::kIp4 && inet_pton(AF_INET, address.host.c_str(), out.data() + 4) == 1) {
    put(0, kInet);
    put(2, htons(address.port));
    return kInetSize;
  }
  if (address.kind == Kind::kIp6 &&
      inet_pton(AF_INET6, address.host.c_str(), out.data() + 8) == 1) {
    put(0, kInet6);
    put(2, htons(address.port));
    return kInet6Size;
  }
  put(0, kUnix);
  return 2;
}

}  // namespace calf::postgres
