// HTTP requests, by libcurl, which is loaded when the first client is made: the program itself does
// not need it (docs/decisions/0015-libcurl-at-run-time.md).
//
// Not here: what a request means, when it is tried again (http_retry.h), signatures.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "blob/limits.h"
#include "blob/object_store.h"

namespace calf::blob {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers{};  // names in lower case
  std::string body{};                            // at most kMaxBodyBytes
  static constexpr std::size_t kMaxBodyBytes = 8u << 20;

  [[nodiscard]] std::string header(const std::string& lower_case_name) const;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url{};
  Headers headers{};
  std::string body{};
  // Receives the body of an answer with status 200 or 206; empty: it is kept in the answer.
  Sink sink{};
  // Sees status and headers before the sink's first chunk.
  std::function<void(const HttpResponse&)> head{};
};

struct HttpOptions {
  bool verify_tls = true;
  std::string ca_file{};  // PEM; empty: the system's
  std::int64_t connect_timeout_ms = 10'000;
  // An answer that brings less than a byte a second for so long is given up.
  std::int64_t stall_timeout_s = 20;
};

// Keeps connections open for the next request. Any thread.
class HttpClient {
 public:
  // kUnavailable when there is no libcurl on this machine.
  static Result<std::shared_ptr<HttpClient>> create(const HttpOptions& options);
  ~HttpClient();

  // Any status is an answer. No redirects are followed. Errors: kUnavailable when the connection
  // cannot be made or breaks, kDeadlineExceeded, kCancelled, kPermissionDenied when the server's
  // certificate is not trusted, kResourceExhausted for a body that is too large, and the sink's.
  // Messages name host and cause, never the query or a header.
  Result<HttpResponse> perform(const HttpRequest& request, const Limits& limits);

 private:
  explicit HttpClient(HttpOptions options) : options_(std::move(options)) {}
  void* take_handle();
  void give_back(void* handle);

  static constexpr std::size_t kMaxIdleHandles = 8;
  const HttpOptions options_;
  std::mutex mutex_;
  std::vector<void*> idle_;  // CURL*
};

// "https://host:port", for messages.
std::string origin_of(const std::string& url);

}  // namespace calf::blob
