// Listens, reads startup packets and hands connections to an engine. Not for sessions: those are
// the engine's.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/tls_context.h"
#include "server/engine.h"

namespace calf::server {

struct ServerOptions {
  // Addresses to listen on with TCP: numeric, "localhost", a host name, or "*" for all. Empty: no
  // TCP.
  std::vector<std::string> tcp_hosts = {"127.0.0.1"};
  std::uint16_t port = 5432;  // 0 takes a free one; Unix sockets are then named after it
  std::vector<std::filesystem::path> socket_directories;  // a socket .s.PGSQL.<port> in each one
  std::vector<std::filesystem::path> socket_paths;        // sockets at exactly these paths
  std::string data_directory;                             // told in the socket's lock file
  net::TlsContext* tls = nullptr;  // must outlive the server; nullptr answers SSLRequest with 'N'
  std::chrono::milliseconds handshake_timeout{60'000};  // PostgreSQL's authentication_timeout
  // Connections that have not sent their startup packet yet; above this the oldest of them is
  // closed, so that clients that connect and say nothing do not lock others out.
  std::size_t max_handshakes = 200;
};

// Where a running server can be reached.
struct Endpoints {
  std::uint16_t port = 0;
  std::vector<net::Address> tcp;
  std::vector<std::filesystem::path> unix_sockets;
};

// True when every address that `hosts` resolves to is a loopback address.
Result<bool> all_loopback(const std::vector<std::string>& hosts);

class Server {
 public:
  // Binds everything. Clients may connect from now on; they wait in the kernel's queue until
  // serve(). Errors: kAlreadyExists when a port or socket is in use, kInvalidArgument for a host
  // that does not resolve, kPermissionDenied, kIo.
  static Result<std::unique_ptr<Server>> bind(ServerOptions options);

  // Stops as stop() does.
  virtual ~Server() = default;

  [[nodiscard]] virtual const Endpoints& endpoints() const = 0;

  // For an engine that may take long to start: clients that come before serve() wait for `patience`
  // at most, counted from now; from then on they are told 57P03, "the database system is starting
  // up", as PostgreSQL does. Without it they wait until serve(). Call it once, before serve().
  virtual void await_engine(std::chrono::milliseconds patience) = 0;

  // Starts accepting, on a thread of its own. `engine` must outlive the server. Call it once.
  virtual void serve(Engine& engine) = 0;

  // Closes the listeners and the connections that are still shaking hands, and joins the thread;
  // removes the Unix sockets. Sessions go on: they are the engine's. Blocks for milliseconds. May
  // be called twice.
  virtual void stop() = 0;
};

}  // namespace calf::server
