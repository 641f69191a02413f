#include "server/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>

#include "pgwire/frontend.h"
#include "pgwire/wire.h"

namespace calf::server {
namespace {

using namespace std::chrono_literals;
using pgwire::Bytes;
using pgwire::FrontendEncoder;

// Keeps what it is given, for the test to look at.
class RecordingEngine final : public Engine {
 public:
  void connect(ClientConnection connection) override {
    const std::lock_guard lock(mutex_);
    connections_.push_back(std::move(connection));
    changed_.notify_all();
  }
  void cancel(CancelRequest request) override {
    const std::lock_guard lock(mutex_);
    cancels_.emplace_back(request.pid, std::move(request.key));
    if (request.transport) request.transport->shutdown();
    changed_.notify_all();
  }
  Result<void> shutdown(ShutdownMode) override { return {}; }
  void set_exit_handler(std::function<void(Error)>) override {}

  ClientConnection next_connection() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 10s, [&] { return !connections_.empty(); }));
    if (connections_.empty()) return {};
    ClientConnection connection = std::move(connections_.front());
    connections_.erase(connections_.begin());
    return connection;
  }
  bool has_connection() {
    const std::lock_guard lock(mutex_);
    return !connections_.empty();
  }
  std::pair<std::uint32_t, Bytes> next_cancel() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 10s, [&] { return !cancels_.empty(); }));
    return cancels_.empty() ? std::pair<std::uint32_t, Bytes>{} : cancels_.back();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ClientConnection> connections_;
  std::vector<std::pair<std::uint32_t, Bytes>> cancels_;
};

// A blocking client that gives up after 10 s.
class Client {
 public:
  static Client tcp(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return Client(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  static Client unix_socket(const std::string& path) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    return Client(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Client() {
    if (fd_ >= 0) ::close(fd_);
  }

  void send(std::span<const std::byte> bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  std::string read(std::size_t size) {
    std::string text(size, '\0');
    const ssize_t n = ::recv(fd_, text.data(), size, MSG_WAITALL);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    return text;
  }
  // Everything up to the end; "<timeout>" when the server did not close.
  std::string read_all() {
    std::string text;
    char buffer[1000];
    while (true) {
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n == 0 || (n < 0 && errno == ECONNRESET)) return text;
      if (n < 0) return text + "<timeout>";
      text.append(buffer, static_cast<std::size_t>(n));
    }
  }
  void half_close() { ::shutdown(fd_, SHUT_WR); }

 private:
  Client(int family, const sockaddr* address, socklen_t size)
      : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval timeout{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    EXPECT_EQ(::connect(fd_, address, size), 0) << std::strerror(errno);
  }
  int fd_;
};

Bytes encode(auto&& write) {
  Bytes out;
  FrontendEncoder encoder(out);
  write(encoder);
  return out;
}
Bytes startup() {
  return encode([](auto& e) { e.startup({{"user", "u"}}); });
}

Bytes part_of_startup() {
  Bytes bytes = startup();
  bytes.resize(6);
  return bytes;
}

class ServerTest : public testing::Test {
 protected:
  void bind(ServerOptions options = {}) {
    options.port = 0;
    auto started = Server::bind(std::move(options));
    ASSERT_TRUE(started.has_value()) << started.error().to_string();
    server_ = std::move(*started);
  }
  void start(ServerOptions options = {}) {
    bind(std::move(options));
    server_->serve(engine_);
  }
  Client connect() { return Client::tcp(server_->endpoints().port); }

  RecordingEngine engine_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnEngineThatStartsForLongSendsClientsAway) {
  bind();
  server_->await_engine(0ms);
  Client early = connect();
  early.send(startup());
  const std::string answer = early.read_all();
  EXPECT_NE(answer.find("57P03"), std::string::npos);
  EXPECT_NE(answer.find("the database system is starting up"), std::string::npos);
  Client slow = connect();
  slow.send(part_of_startup());
  server_->serve(engine_);
  Bytes rest = startup();
  rest.erase(rest.begin(), rest.begin() + 6);
  slow.send(rest);
  EXPECT_TRUE(engine_.next_connection().transport);
}

TEST_F(ServerTest, AnEngineThatStartsQuicklyKeepsItsFirstClients) {
  bind();
  server_->await_engine(10s);
  Client early = connect();
  early.send(startup());
  std::this_thread::sleep_for(50ms);
  server_->serve(engine_);
  EXPECT_TRUE(engine_.next_connection().transport);
}

TEST_F(ServerTest, AServerWhoseEngineNeverCameEnds) {
  bind();
  server_->await_engine(0ms);
  Client waiting = connect();
  waiting.send(part_of_startup());
  server_->stop();
  EXPECT_EQ(waiting.read_all(), "");
}

TEST_F(ServerTest, hands_the_connection_and_its_packet_to_the_engine) {
  start();
  Client client = connect();
  Bytes bytes = startup();
  const std::size_t packet_size = bytes.size();
  FrontendEncoder(bytes).query("select 1");  // pipelined: must be left for the engine
  client.send(bytes);
  const ClientConnection got = engine_.next_connection();
  ASSERT_TRUE(got.transport);
  EXPECT_EQ(got.startup_packet, Bytes(bytes.begin() + 4, bytes.begin() + packet_size));
  EXPECT_EQ(got.transport->peer().kind, net::Address::Kind::kIp4);
  std::array<std::byte, 100> buffer{};
  const net::IoResult result = got.transport->read_some(buffer);
  ASSERT_TRUE(result.done());
  EXPECT_EQ(result.bytes, bytes.size() - packet_size);
}

TEST_F(ServerTest, answers_n_without_tls_and_passes_cancel_requests_on) {
  start();
  Client client = connect();
  client.send(encode([](auto& e) { e.ssl_request(); }));
  EXPECT_EQ(client.read(1), "N");
  const Bytes key(32, std::byte{9});
  client.send(encode([&](auto& e) { e.cancel_request(77, key); }));
  EXPECT_EQ(engine_.next_cancel(), (std::pair<std::uint32_t, Bytes>(77, key)));
  EXPECT_EQ(client.read_all(), "");
}

TEST_F(ServerTest, closes_after_a_malformed_packet_with_the_reason) {
  start();
  Client client = connect();
  client.send(encode([](auto& e) { e.startup({{"user", "u"}}, 0x00020000); }));
  EXPECT_NE(client.read_all().find("C0A000"), std::string::npos);
  Client garbage = connect();
  garbage.send(Bytes(100000, std::byte{'G'}));
  EXPECT_EQ(garbage.read_all(), "");
}

TEST_F(ServerTest, bytes_in_the_clear_behind_the_tls_request_are_not_read_as_messages) {
  const auto tls = net::TlsContext::self_signed().value();
  start({.tls = tls.get()});
  Client client = connect();
  Bytes bytes = encode([](auto& e) { e.ssl_request(); });
  pgwire::put_bytes(bytes, startup());
  client.send(bytes);
  EXPECT_EQ(client.read(1), "S");
  EXPECT_EQ(client.read_all().find("<timeout>"), std::string::npos);
  EXPECT_FALSE(engine_.has_connection());
}

TEST_F(ServerTest, offers_tls_on_tcp_but_not_on_unix_sockets) {
  const auto tls = net::TlsContext::self_signed().value();
  char pattern[] = "/tmp/calf-server-XXXXXX";
  const std::filesystem::path directory = ::mkdtemp(pattern);
  start({.socket_directories = {directory / "made"}, .tls = tls.get()});
  Client tcp = connect();
  tcp.send(encode([](auto& e) { e.ssl_request(); }));
  EXPECT_EQ(tcp.read(1), "S");
  tcp.send(Bytes(100, std::byte{'x'}));  // not a TLS hello
  EXPECT_EQ(tcp.read_all().find("<timeout>"), std::string::npos);
  const auto path = server_->endpoints().unix_sockets.at(0);
  Client local = Client::unix_socket(path);
  local.send(encode([](auto& e) { e.ssl_request(); }));
  EXPECT_EQ(local.read(1), "N");
  local.send(startup());
  EXPECT_EQ(engine_.next_connection().transport->peer().kind, net::Address::Kind::kUnix);
  server_->stop();
  EXPECT_FALSE(std::filesystem::exists(path));
  std::filesystem::remove_all(directory);
}

TEST_F(ServerTest, the_same_place_given_twice_is_listened_on_once) {
  char pattern[] = "/tmp/calf-server-XXXXXX";
  const std::filesystem::path directory = ::mkdtemp(pattern);
  start({.tcp_hosts = {"127.0.0.1", "127.0.0.1"},
         .socket_directories = {directory, directory / "." / "",
                                directory / "../" / directory.filename()}});
  EXPECT_EQ(server_->endpoints().tcp.size(), 1u);
  EXPECT_EQ(server_->endpoints().unix_sockets.size(), 1u);
  server_->stop();
  std::filesystem::remove_all(directory);
}

TEST_F(ServerTest, closes_clients_that_never_finish_their_packet) {
  start({.handshake_timeout = 100ms});
  Client silent = connect();
  Client slow = connect();
  slow.send(part_of_startup());
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_EQ(slow.read_all(), "");
}

TEST_F(ServerTest, a_half_closed_client_does_not_keep_its_connection) {
  start();
  Client client = connect();
  client.send(part_of_startup());
  client.half_close();
  EXPECT_EQ(client.read_all(), "");
}

TEST_F(ServerTest, silent_clients_do_not_lock_others_out) {
  start({.max_handshakes = 4});
  std::vector<Client> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(connect());
  Client client = connect();
  client.send(startup());
  EXPECT_TRUE(engine_.next_connection().transport);
  EXPECT_EQ(silent.front().read_all(), "");
}

TEST_F(ServerTest, stops_at_once_with_clients_in_their_handshake) {
  start();
  Client client = connect();
  client.send(part_of_startup());
  std::this_thread::sleep_for(20ms);
  const auto begin = std::chrono::steady_clock::now();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);  // a handshake has a minute
  EXPECT_EQ(client.read_all(), "");
}

TEST_F(ServerTest, survives_running_out_of_descriptors) {
  start();
  Client first = connect();
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  std::vector<int> held;
  while (true) {  // leave one: for the client's own socket
    const int fd = ::dup(0);
    if (fd < 0 || held.size() > 60000) break;
    held.push_back(fd);
  }
  if (held.empty() || held.size() > 60000) GTEST_SKIP() << "no limit of descriptors here";
  ::close(held.back());
  held.pop_back();
  Client client = connect();
  client.send(startup());
  std::this_thread::sleep_for(50ms);
  for (int fd : held) ::close(fd);
  EXPECT_TRUE(engine_.next_connection().transport);
}

TEST_F(ServerTest, says_when_the_port_is_in_use) {
  start();
  const auto second = Server::bind({.port = server_->endpoints().port});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
}

TEST(AllLoopback, looks_at_every_address) {
  EXPECT_TRUE(all_loopback({"127.0.0.1", "localhost"}).value());
  EXPECT_FALSE(all_loopback({"127.0.0.1", "0.0.0.0"}).value());
  EXPECT_FALSE(all_loopback({"*"}).value());
  EXPECT_TRUE(all_loopback({}).value());
}

}  // namespace
}  // namespace calf::server
