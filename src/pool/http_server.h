// HTTP/1.1 with JSON answers, on a thread of its own. Everything that a client can send or leave
// unsent has a limit. Knows nothing of what is asked.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "pool/routes.h"

namespace calf::pool {

struct HttpRequest {
  std::string method, target, body;
  std::string local_host;  // the address that the client has reached
};

// Ends with its destruction.
class HttpServer {
 public:
  struct Options {
    std::string host = "127.0.0.1";     // numeric, or a name; "*" for all addresses
    std::uint16_t port = 0;             // 0: a free one
    std::size_t max_connections = 512;  // above it the one that has been idle longest is closed
    std::size_t max_header_bytes = 8 * 1024;
    std::size_t max_body_bytes = 64 * 1024;
    std::chrono::milliseconds request_timeout{
        60'000};  // for the next request, and to take an answer
  };
  // Called on the server's thread; must not block. `reply` is called once, on any thread.
  using Handler = std::function<void(HttpRequest, std::function<void(Answer)> reply)>;

  // Binds; nobody is served before serve(). Errors as server::Server::bind().
  static Result<std::unique_ptr<HttpServer>> bind(Options options);
  virtual ~HttpServer() = default;

  [[nodiscard]] virtual std::uint16_t port() const = 0;
  // Call it once.
  virtual void serve(Handler handler) = 0;
  // Closes everything and ends the thread; replies that come later go nowhere. May be called twice.
  virtual void stop() = 0;
};

}  // namespace calf::pool
