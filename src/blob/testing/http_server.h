// A small HTTP server on a free port of this machine, for tests: a function answers, and may break
// off on the way.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace calf::blob::testing {

struct Request {
  std::string method{};
  std::string target{};                          // path and query
  std::map<std::string, std::string> headers{};  // names in lower case
  std::string body{};
};

struct Reply {
  int status = 200;
  std::string body{};
  std::vector<std::string> headers{};              // "Name: value"
  std::optional<std::size_t> break_after_bytes{};  // of the body; then the connection is reset
  int delay_ms = 0;
};

class HttpServer {
 public:
  using Handler = std::function<Reply(const Request&)>;
  explicit HttpServer(Handler handler);
  ~HttpServer();

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::vector<Request> requests();

 private:
  void run();
  bool serve(int connection);

  const Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::vector<Request> requests_;
  std::thread thread_;
};

}  // namespace calf::blob::testing
