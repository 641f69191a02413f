// Test databases for IntegreSQL's clients: HTTP in, branches out. The door of this module.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "pool/templates.h"
#include "server/engine.h"

namespace calf::pool {

// Ends with its destruction.
class Pool {
 public:
  struct Options {
    std::string host = "127.0.0.1";  // to listen on
    std::uint16_t port = 5000;       // 0: a free one
    Templates::Options templates{};
  };

  // Binds; clients wait. Errors as server::Server::bind().
  static Result<std::unique_ptr<Pool>> bind(Options options);
  virtual ~Pool() = default;

  [[nodiscard]] virtual std::uint16_t port() const = 0;

  // Drops the branches that an earlier run has left, and serves. `engine` must outlive stop(), and
  // trust in-process connections of `reach.user`, a superuser. An empty `reach.host` stands for the
  // address at which the client has reached the pool. Errors are SQL's.
  virtual Result<void> serve(server::Engine& engine, Reach reach) = 0;

  // Ends it; what is under way fails. May be called twice.
  virtual void stop() = 0;
};

}  // namespace calf::pool
