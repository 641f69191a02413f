#include "blob/testing/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <sstream>

namespace calf::blob::testing {
namespace {

bool read_more(int connection, std::string& text) {
  char chunk[65536];
  const ssize_t n = ::recv(connection, chunk, sizeof chunk, 0);
  if (n > 0) text.append(chunk, static_cast<std::size_t>(n));
  return n > 0;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::optional<Request> read_request(int connection) {
  std::string text;
  while (text.find("\r\n\r\n") == std::string::npos) {
    if (!read_more(connection, text)) return std::nullopt;
  }
  Request request;
  const std::size_t end = text.find("\r\n\r\n");
  std::istringstream lines(text.substr(0, end));
  lines >> request.method >> request.target;
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    if (line.ends_with('\r')) line.pop_back();
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::size_t begin = std::min(line.find_first_not_of(' ', colon + 1), line.size());
    request.headers[lower(line.substr(0, colon))] = line.substr(begin);
  }
  request.body = text.substr(end + 4);
  const auto length = request.headers.find("content-length");
  const std::size_t size = length == request.headers.end() ? 0 : std::stoull(length->second);
  while (request.body.size() < size) {
    if (!read_more(connection, request.body)) return std::nullopt;
  }
  return request;
}

void write_all(int connection, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, length) == 0 && ::listen(listener_, 16) == 0 &&
      ::getsockname(listener_, generic, &length) == 0) {
    port_ = ntohs(address.sin_port);
  }
  thread_ = std::thread([this] { run(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  thread_.join();
  ::close(listener_);
}

std::vector<Request> HttpServer::requests() {
  const std::lock_guard lock(mutex_);
  return requests_;
}

// One thread: a connection that is idle is watched beside the listener.
void HttpServer::run() {
  std::vector<pollfd> fds{{listener_, POLLIN, 0}};
  while (!stopping_) {
    if (::poll(fds.data(), fds.size(), 20) <= 0) continue;
    for (std::size_t i = fds.size() - 1; i > 0; --i) {
      if (fds[i].revents == 0 || serve(fds[i].fd)) continue;
      ::close(fds[i].fd);
      fds.erase(fds.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (fds[0].revents != 0) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection >= 0) fds.push_back({connection, POLLIN, 0});
    }
  }
  for (std::size_t i = 1; i < fds.size(); ++i) ::close(fds[i].fd);
}

bool HttpServer::serve(int connection) {
  const auto request = read_request(connection);
  if (!request) return false;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(*request);
  }
  const Reply reply = handler_(*request);
  for (int waited_ms = 0; waited_ms < reply.delay_ms && !stopping_; waited_ms += 10) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) +
                     " X\r\ncontent-length: " + std::to_string(reply.body.size()) + "\r\n";
  for (const std::string& header : reply.headers) text += header + "\r\n";
  text += "\r\n";
  if (request->method != "HEAD") {
    text += reply.body.substr(0, reply.break_after_bytes.value_or(std::string::npos));
  }
  write_all(connection, text);
  return !reply.break_after_bytes;
}

}  // namespace calf::blob::testing
