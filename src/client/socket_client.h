// A connection to a server, for a session: TCP or a Unix socket. Not for TLS.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/memory_pipe.h"

namespace calf::client {

// Connects to `host` (numeric or a name, of which every address is tried), or, if it begins with
// '/', to the socket .s.PGSQL.<port> in that directory. kUnavailable when nobody is there,
// kDeadlineExceeded, kInvalidArgument for a host that does not resolve. Blocks; name servers may
// take longer than the deadline.
Result<std::unique_ptr<net::PipeClient>> connect_socket(
    const std::string& host, std::uint16_t port, net::PipeClient::Clock::time_point deadline);

}  // namespace calf::client
