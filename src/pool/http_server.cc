#include "pool/http_server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <list>
#include <thread>

#include "base/log.h"
#include "net/listener.h"
#include "os/thread_signals.h"

namespace calf::pool {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

class Connection;

// Those that are open; the one that has been idle longest is first. The server's thread only.
using Connections = std::list<std::weak_ptr<Connection>>;

struct Shared {
  HttpServer::Options options;
  HttpServer::Handler handler;
  Connections connections;
};

// One client. It lives as long as something is pending for it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, std::shared_ptr<Shared> shared)
      : stream_(std::move(socket)), shared_(std::move(shared)), buffer_(kMostBufferedBytes) {
    boost::system::error_code ignored;
    stream_.socket().set_option(tcp::no_delay(true), ignored);
  }
  ~Connection() { shared_->connections.erase(place_); }

  void start() {
    place_ = shared_->connections.insert(shared_->connections.end(), weak_from_this());
    read();
  }

  void close() { stream_.close(); }
  [[nodiscard]] bool is_idle() const { return idle_; }

 private:
  static constexpr std::size_t kMostBufferedBytes = 128 * 1024;  // of requests sent in advance

  void read() {
    idle_ = true;
    shared_->connections.splice(shared_->connections.end(), shared_->connections, place_);
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_->options.max_header_bytes));
    parser_->body_limit(shared_->options.max_body_bytes);
    stream_.expires_after(shared_->options.request_timeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       self->on_read(error);
                     });
  }

  void on_read(beast::error_code error) {
    idle_ = false;
    if (!error) return handle();
    if (error == http::error::body_limit) return refuse(413, "the request is too long");
    if (error == http::error::header_limit) return refuse(431, "the request's header is too long");
    // Of the parser's errors the client hears; others mean that there is none.
    if (error.category() == make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      return refuse(400, "not an HTTP request");
    }
    close();
  }

  void handle() {
    // No route has HEAD, whose answer has no body: the end of the connection ends it.
    keep_alive_ = parser_->get().keep_alive() && parser_->get().method() != http::verb::head;
    boost::system::error_code error;
    const auto local = stream_.socket().local_endpoint(error);
    if (error) return close();
    if (auto why = refusal(local.address()); !why.empty()) return refuse(403, why);
    auto request = parser_->release();
    stream_.expires_never();  // the handler has deadlines of its own
    auto reply = [self = shared_from_this()](Answer answer) {
      asio::post(self->stream_.get_executor(),
                 [self, answer = std::move(answer)]() mutable { self->write(std::move(answer)); });
    };
    shared_->handler({.method = std::string(request.method_string()),
                      .target = std::string(request.target()),
                      .body = std::move(request.body()),
                      .local_host = local.address().to_string()},
                     std::move(reply));
  }

  // Pages of the web can send requests to this machine through its user's browser: by themselves,
  // which an Origin tells, or by a name of theirs that resolves to it.
  [[nodiscard]] std::string refusal(const asio::ip::address& local) const {
    const auto& fields = parser_->get();
    if (fields.count(http::field::origin) != 0) return "web pages are not served";
    const auto header = fields[http::field::host];
    const std::string host(header.substr(0, header.rfind(':')));
    // A name without a dot is of this network, and none that a page could have.
    const bool has_domain = !host.starts_with('[') && host.find('.') != std::string::npos;
    if (!local.is_loopback() || !has_domain) return "";
    boost::system::error_code not_numeric;
    asio::ip::make_address_v4(host, not_numeric);
    return not_numeric ? "say localhost or 127.0.0.1 for the host" : "";
  }

  void refuse(int status, std::string_view why) {
    keep_alive_ = false;
    write(Answer::error(status, why));
  }

  void write(Answer answer) {
    response_.emplace(static_cast<http::status>(answer.status), 11);
    response_->keep_alive(keep_alive_);
    if (!answer.body.empty()) {
      response_->set(http::field::content_type, "application/json; charset=UTF-8");
      response_->body() = std::move(answer.body);
    }
    if (answer.status != 204) response_->prepare_payload();
    stream_.expires_after(shared_->options.request_timeout);
    http::async_write(stream_, *response_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (!error && self->keep_alive_) return self->read();
                        self->linger();
                      });
  }

  // What the client is still sending would otherwise reset the connection before it has read the
  // answer.
  void linger() {
    boost::system::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    constexpr auto kLinger = std::chrono::seconds(2);
    stream_.expires_after(kLinger);
    drop_input();
  }

  void drop_input() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(4096),
                            [self = shared_from_this()](beast::error_code error, std::size_t size) {
                              self->dropped_bytes_ += size;
                              if (error || self->dropped_bytes_ > kMostDroppedBytes)
                                return self->close();
                              self->drop_input();
                            });
  }
  static constexpr std::size_t kMostDroppedBytes = 1024 * 1024;

  beast::tcp_stream stream_;
  const std::shared_ptr<Shared> shared_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  Connections::iterator place_;
  std::size_t dropped_bytes_ = 0;
  bool keep_alive_ = false;
  bool idle_ = true;
};

class BeastServer final : public HttpServer {
 public:
  explicit BeastServer(Options options) : shared_(std::make_shared<Shared>()) {
    shared_->options = std::move(options);
  }
  ~BeastServer() override { stop(); }

  Result<void> listen() {
    std::uint16_t port = shared_->options.port;
    CALF_TRY(auto listeners, net::listen_tcp(shared_->options.host, port));
    for (const net::Listener& listener : listeners) {
      // The acceptor closes its descriptor, as does the listener.
      const int descriptor = ::dup(listener.descriptor());
      if (descriptor < 0) return fail(Error::from_errno("listening for HTTP", errno));
      auto acceptor = std::make_unique<tcp::acceptor>(context_);
      const bool is_ip4 = listener.address().kind == net::Address::Kind::kIp4;
      acceptor->assign(is_ip4 ? tcp::v4() : tcp::v6(), descriptor);
      acceptor->non_blocking(true);
      port_ = listener.address().port;
      acceptors_.push_back(std::move(acceptor));
    }
    return {};
  }

  [[nodiscard]] std::uint16_t port() const override { return port_; }

  void serve(Handler handler) override {
    shared_->handler = std::move(handler);
    for (const auto& acceptor : acceptors_) accept(*acceptor);
    thread_ = std::thread([this] {
      os::block_signals_on_this_thread();
      context_.run();
    });
  }

  void stop() override {
    context_.stop();
    if (thread_.joinable()) thread_.join();
    acceptors_.clear();
    for (const auto& weak : Connections(shared_->connections)) {
      if (auto connection = weak.lock()) connection->close();
    }
  }

 private:
  void accept(tcp::acceptor& acceptor) {
    acceptor.async_accept([this, &acceptor](beast::error_code error, tcp::socket socket) {
      if (!error) {
        make_room();
        std::make_shared<Connection>(std::move(socket), shared_)->start();
        return accept(acceptor);
      }
      if (error == asio::error::operation_aborted) return;
      log::warn("pool: accepting a connection: {}", error.message());
      // Out of descriptors, mostly: later there may be some.
      auto timer = std::make_shared<asio::steady_timer>(context_, std::chrono::milliseconds(200));
      timer->async_wait([this, &acceptor, timer](beast::error_code) { accept(acceptor); });
    });
  }

  void make_room() {
    if (shared_->connections.size() < shared_->options.max_connections) return;
    for (const auto& weak : shared_->connections) {
      const auto connection = weak.lock();
      if (connection != nullptr && connection->is_idle()) return connection->close();
    }
  }

  const std::shared_ptr<Shared> shared_;
  asio::io_context context_{1};
  std::vector<std::unique_ptr<tcp::acceptor>> acceptors_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::bind(Options options) {
  try {
    auto server = std::make_unique<BeastServer>(std::move(options));
    CALF_CHECK_OK(server->listen());
    return server;
  } catch (const std::exception& e) {  // asio could not make its event queue
    return fail(ErrorCode::kResourceExhausted, std::string("starting the pool: ") + e.what());
  }
}

}  // namespace calf::pool
