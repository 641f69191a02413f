// Transports on connected sockets.
#pragma once

#include <memory>

#include "net/transport.h"

namespace calf::net {

// Takes over a connected stream socket (TCP or Unix), makes it non-blocking and close-on-exec, and,
// for TCP, sets NODELAY and keep-alive. Always succeeds: a socket that is already broken says so
// when it is read.
std::unique_ptr<Transport> make_socket_transport(int descriptor);

// The address of a socket's own end or of its peer.
Address local_address(int descriptor);
Address peer_address(int descriptor);

}  // namespace calf::net
