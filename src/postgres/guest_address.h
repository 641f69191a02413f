// Socket addresses as the guest's C library lays them out.
#pragma once

#include <cstdint>
#include <span>

#include "net/transport.h"

namespace calf::postgres {

// Writes struct sockaddr_in, sockaddr_in6 or sockaddr_un (in-process pipes look like Unix sockets)
// and returns its size; 0 when `out` is too small. pg_hba.conf is matched against this.
uint32_t encode_guest_address(const net::Address& address, std::span<std::byte> out);

}  // namespace calf::postgres
