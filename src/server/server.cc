#include "server/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <cerrno>
#include <list>
#include <thread>

#include "base/log.h"
#include "net/listener.h"
#include "net/socket_transport.h"
#include "os/thread_signals.h"
#include "server/handshake.h"

namespace calf::server {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kAcceptBackOff = 100ms;
constexpr auto kLongestSweep = std::chrono::milliseconds(1000);
constexpr std::uint16_t kFirstSocketPort =
    5432;  // of those tried when there is no TCP to take a free port from
constexpr std::uint16_t kLastSocketPort = 5999;

std::filesystem::path socket_path(const std::filesystem::path& directory, std::uint16_t port) {
  return directory / (".s.PGSQL." + std::to_string(port));
}

struct Bound {
  std::vector<net::Listener> listeners;
  Endpoints endpoints;
};

// Whether every address of `host` is listened on already: hosts given twice, or by two names.
Result<bool> is_bound(const std::string& host, const Endpoints& endpoints) {
  CALF_TRY(const auto addresses, net::resolve(host, endpoints.port));
  return std::all_of(addresses.begin(), addresses.end(), [&](const net::Address& address) {
    return std::any_of(endpoints.tcp.begin(), endpoints.tcp.end(),
                       [&](const net::Address& bound) { return bound.host == address.host; });
  });
}

Result<void> bind_tcp(const ServerOptions& options, Bound& bound) {
  for (const std::string& host : options.tcp_hosts) {
    CALF_TRY(const bool known, is_bound(host, bound.endpoints));
    if (known) continue;
    CALF_TRY(auto listeners, net::listen_tcp(host, bound.endpoints.port));
    for (net::Listener& listener : listeners) {
      bound.endpoints.port = listener.address().port;
      bound.endpoints.tcp.push_back(listener.address());
      bound.listeners.push_back(std::move(listener));
    }
  }
  return {};
}

// The path without "..", "." and symbolic links in its directory: one name for one socket.
std::filesystem::path canonical_socket(const std::filesystem::path& path) {
  std::error_code error;
  const auto directory = std::filesystem::canonical(
      path.has_parent_path() ? path.parent_path() : std::filesystem::path("."), error);
  return error ? path : directory / path.filename();
}

bool is_bound(const std::filesystem::path& path, const Endpoints& endpoints) {
  return std::any_of(endpoints.unix_sockets.begin(), endpoints.unix_sockets.end(),
                     [&](const std::filesystem::path& bound) {
                       return canonical_socket(bound) == canonical_socket(path);
                     });
}

// A path that is listened on already is not an error: -k and --path may say the same.
Result<void> bind_socket(const ServerOptions& options, const std::filesystem::path& path,
                         Bound& bound) {
  if (is_bound(path, bound.endpoints)) return {};
  CALF_TRY(auto listener, net::listen_unix(path, {.port = bound.endpoints.port,
                                                  .data_directory = options.data_directory}));
  bound.endpoints.unix_sockets.push_back(path);
  bound.listeners.push_back(std::move(listener));
  return {};
}

// A free port for sockets only: the first one whose socket in the first directory is not in use.
Result<void> choose_socket_port(const ServerOptions& options, Bound& bound) {
  for (std::uint16_t port = kFirstSocketPort; port <= kLastSocketPort; ++port) {
    bound.endpoints.port = port;
    const auto path = socket_path(options.socket_directories.front(), port);
    auto result = bind_socket(options, path, bound);
    if (result || result.error().code != ErrorCode::kAlreadyExists) return result;
  }
  return fail(ErrorCode::kAlreadyExists,
              "no free port for a socket in " + options.socket_directories.front().string());
}

Result<void> make_socket_directory(const std::filesystem::path& directory) {
  std::error_code error;
  if (std::filesystem::create_directories(directory, error)) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  }
  if (!error) return {};
  return fail(
      Error::from_errno("creating the socket directory " + directory.string(), error.value()));
}

Result<Bound> bind_all(const ServerOptions& options) {
  Bound bound;
  bound.endpoints.port = options.port;
  CALF_CHECK_OK(bind_tcp(options, bound));
  for (const auto& directory : options.socket_directories) {
    CALF_CHECK_OK(make_socket_directory(directory));
  }
  auto directories = std::span(options.socket_directories);
  if (bound.endpoints.port == 0 && !directories.empty()) {
    CALF_CHECK_OK(choose_socket_port(options, bound));
    directories = directories.subspan(1);
  }
  for (const auto& directory : directories) {
    CALF_CHECK_OK(bind_socket(options, socket_path(directory, bound.endpoints.port), bound));
  }
  for (const auto& path : options.socket_paths) CALF_CHECK_OK(bind_socket(options, path, bound));
  if (bound.listeners.empty()) {
    return fail(ErrorCode::kInvalidArgument, "nothing to listen on",
                "give an address with -h or a socket directory with -k");
  }
  return bound;
}

// A handshake's place in the list of those under way, for as long as its coroutine lives.
class Registration {
 public:
  Registration(std::list<Handshake*>& list, Handshake* handshake)
      : list_(list), place_(list.insert(list.end(), handshake)) {}
  ~Registration() { list_.erase(place_); }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

 private:
  std::list<Handshake*>& list_;
  const std::list<Handshake*>::iterator place_;
};

class ServerThread final : public Server {
 public:
  ServerThread(ServerOptions options, Bound bound)
      : options_(std::move(options)), bound_(std::move(bound)) {
    for (const net::Listener& listener : bound_.listeners) {
      acceptors_.emplace_back(io_, listener.descriptor());
    }
  }

  ~ServerThread() override { ServerThread::stop(); }

  const Endpoints& endpoints() const override { return bound_.endpoints; }

  void await_engine(std::chrono::milliseconds patience) override {
    asio::co_spawn(io_, answer_early(patience), asio::detached);
    start_thread();
  }

  void serve(Engine& engine) override {
    const auto taken = asio::post(io_, asio::use_future([this, &engine] {
                                    engine_ = &engine;
                                    patience_timer_.cancel();
                                    accept_from_all();
                                  }));
    if (!thread_.joinable()) start_thread();
    taken.wait();  // whoever comes afterwards is not sent away any more
  }

  // io_.run() returns when the last coroutine has ended.
  void stop() override {
    if (thread_.joinable()) {
      asio::post(io_, [this] { begin_stop(); });
      thread_.join();
    }
    acceptors_.clear();
    bound_.listeners.clear();
  }

 private:
  void start_thread() {
    thread_ = std::thread([this] {
      os::block_signals_on_this_thread();
      io_.run();
    });
  }

  asio::awaitable<void> answer_early(std::chrono::milliseconds patience) {
    patience_timer_.expires_after(patience);
    boost::system::error_code error;
    co_await patience_timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (!error) accept_from_all();
  }

  void accept_from_all() {
    if (accepting_ || stopping_) return;
    accepting_ = true;
    for (std::size_t i = 0; i < bound_.listeners.size(); ++i) {
      auto acceptor = std::next(acceptors_.begin(), static_cast<std::ptrdiff_t>(i));
      asio::co_spawn(io_, accept_from(bound_.listeners[i].descriptor(), *acceptor), asio::detached);
    }
  }

  void begin_stop() {
    stopping_ = true;
    for (Readiness& acceptor : acceptors_) acceptor.cancel();
    for (Handshake* handshake : handshakes_) handshake->abort("the server is stopping");
    sweep_timer_.cancel();
    patience_timer_.cancel();
  }

  asio::awaitable<void> accept_from(int listener, Readiness& ready) {
    while (!stopping_) {
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      const int error = fd < 0 ? errno : 0;
      switch (error) {
        case 0:
          begin_handshake(fd);
          if (handshakes_.size() >= options_.max_handshakes) co_await let_others_run();
          break;
        case EAGAIN:
          co_await ready.readable();
          break;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
          co_await back_off(error);
          break;
        default:
          break;  // that connection's own trouble (ECONNABORTED, EPROTO, EINTR, …)
      }
    }
  }

  // Out of descriptors or memory: looking again at once would only burn the processor.
  asio::awaitable<void> back_off(int error) {
    log::warn("{}", Error::from_errno("accepting a connection", error).message);
    asio::steady_timer timer(io_, kAcceptBackOff);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }

  // So that a handshake that was told to end does, before the next one begins.
  asio::awaitable<void> let_others_run() { co_await asio::post(io_, asio::use_awaitable); }

  void begin_handshake(int fd) {
    if (handshakes_.size() >= options_.max_handshakes) {
      handshakes_.front()->abort("too many connections without a startup packet");
    }
    asio::co_spawn(io_, shake_hands(net::make_socket_transport(fd)), log_exception);
  }

  // asio reports running out of memory or of kernel watches by throwing; that ends one connection
  // only.
  static void log_exception(const std::exception_ptr& exception) {
    if (!exception) return;
    try {
      std::rethrow_exception(exception);
    } catch (const std::exception& e) {
      log::warn("a connection failed: {}", e.what());
    }
  }

  asio::awaitable<void> shake_hands(std::unique_ptr<net::Transport> transport) {
    Handshake handshake(
        io_, std::move(transport),
        {.tls = options_.tls, .deadline = Handshake::Clock::now() + options_.handshake_timeout});
    const Registration registration(handshakes_, &handshake);
    if (!sweeping_) asio::co_spawn(io_, sweep(), asio::detached);
    sweeping_ = true;
    co_await handshake.run(engine_);
  }

  // One timer for all deadlines, and none while nobody shakes hands.
  asio::awaitable<void> sweep() {
    while (!handshakes_.empty() && !stopping_) {
      sweep_timer_.expires_after(std::clamp<std::chrono::milliseconds>(
          options_.handshake_timeout / 8, 1ms, kLongestSweep));
      boost::system::error_code ignored;
      co_await sweep_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      const auto now = Handshake::Clock::now();
      for (Handshake* handshake : handshakes_) {
        if (handshake->deadline() <= now) handshake->abort("no startup packet in time");
      }
    }
    sweeping_ = false;
  }

  const ServerOptions options_;
  asio::io_context io_{1};
  Bound bound_;
  std::list<Readiness> acceptors_;
  // From here: server thread only.
  Engine* engine_ = nullptr;  // none yet
  bool accepting_ = false;
  asio::steady_timer patience_timer_{io_};
  std::list<Handshake*> handshakes_;  // oldest first; each lives in its coroutine
  asio::steady_timer sweep_timer_{io_};
  bool sweeping_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

Result<bool> all_loopback(const std::vector<std::string>& hosts) {
  for (const std::string& host : hosts) {
    CALF_TRY(const auto addresses, net::resolve(host, 0));
    if (!std::all_of(addresses.begin(), addresses.end(), net::is_loopback)) return false;
  }
  return true;
}

Result<std::unique_ptr<Server>> Server::bind(ServerOptions options) {
  CALF_TRY(Bound bound, bind_all(options));
  try {
    return std::make_unique<ServerThread>(std::move(options), std::move(bound));
  } catch (const std::exception& e) {  // asio could not make its event queue
    return fail(ErrorCode::kResourceExhausted, std::string("starting the server: ") + e.what());
  }
}

}  // namespace calf::server
