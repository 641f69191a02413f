// For tests only: an Engine whose sessions are those of a real PostgreSQL server, reached over its
// Unix socket.
#pragma once

#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "server/engine.h"

namespace calf::server::testing {

class ProxyEngine final : public Engine {
 public:
  // `socket_path`: the .s.PGSQL.<port> file of the real server.
  explicit ProxyEngine(std::string socket_path);
  ~ProxyEngine() override;

  void connect(ClientConnection connection) override;
  void cancel(CancelRequest request) override;
  Result<void> shutdown(ShutdownMode mode) override;
  void set_exit_handler(std::function<void(Error)> on_exit) override;

 private:
  struct Session;
  int connect_to_postgres() const;

  const std::string socket_path_;
  std::mutex mutex_;
  std::list<std::unique_ptr<Session>> sessions_;
  bool stopping_ = false;
};

}  // namespace calf::server::testing
