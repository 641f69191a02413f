#include "server/testing/proxy_engine.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "net/socket_transport.h"
#include "pgwire/error_response.h"
#include "pgwire/frontend.h"
#include "pgwire/wire.h"

namespace calf::server::testing {
namespace {

// One direction: what was read from one side and not yet written to the other.
struct Direction {
  net::Transport& from;
  net::Transport& to;
  std::array<std::byte, 32768> buffer{};
  std::span<const std::byte> pending{};
  bool ended = false;

  // Moves what can be moved now.
  void pump() {
    while (!ended) {
      if (pending.empty()) {
        const net::IoResult got = from.read_some(buffer);
        if (got.closed()) ended = true;
        if (!got.done()) return;
        pending = std::span(buffer).first(got.bytes);
      }
      const net::IoResult sent = to.write_some(pending);
      if (sent.closed()) ended = true;
      if (!sent.done()) return;
      pending = pending.subspan(sent.bytes);
    }
  }
};

void write_all(net::Transport& transport, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const net::IoResult result = transport.write_some(bytes);
    if (result.closed()) return;
    bytes = bytes.subspan(result.bytes);
  }
}

}  // namespace

struct ProxyEngine::Session {
  std::unique_ptr<net::Transport> client;
  std::unique_ptr<net::Transport> postgres;
  std::vector<std::byte> startup_packet;
  int wakeup = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::atomic<bool> stop{false};
  std::thread thread;

  ~Session() {
    stop = true;
    wake();
    thread.join();
    client.reset();
    ::close(wakeup);
  }

  void wake() const { (void)!::write(wakeup, "\1\0\0\0\0\0\0", 8); }

  void run() {
    pgwire::Bytes packet;
    pgwire::put_u32(packet, static_cast<std::uint32_t>(startup_packet.size() + 4));
    pgwire::put_bytes(packet, startup_packet);
    write_all(*postgres, packet);
    client->set_wakeup([this] { wake(); });
    Direction in{*client, *postgres};
    Direction out{*postgres, *client};
    while (true) {
      in.pump();
      out.pump();
      if (in.ended || out.ended || stop) break;
      wait(in, out);
    }
    if (stop) {
      write_all(*client, pgwire::encode_error_response(
                             {.sqlstate = "57P01",
                              .message = "terminating connection due to administrator command"}));
    }
    client->shutdown();
    postgres->shutdown();
  }

  void wait(const Direction& in, const Direction& out) const {
    const auto events = [](const Direction& reads, const Direction& writes) {
      return static_cast<short>((reads.pending.empty() ? POLLIN : 0) |
                                (writes.pending.empty() ? 0 : POLLOUT));
    };
    std::array<pollfd, 3> fds{{{wakeup, POLLIN, 0},
                               {client->descriptor(), events(in, out), 0},
                               {postgres->descriptor(), events(out, in), 0}}};
    ::poll(fds.data(), fds.size(), 1000);
    std::array<char, 8> ignored{};
    (void)!::read(wakeup, ignored.data(), ignored.size());
  }
};

ProxyEngine::ProxyEngine(std::string socket_path) : socket_path_(std::move(socket_path)) {}
ProxyEngine::~ProxyEngine() {
  (void)ProxyEngine::shutdown(ShutdownMode::kImmediate);
}

int ProxyEngine::connect_to_postgres() const {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, socket_path_.c_str(), sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

void ProxyEngine::connect(ClientConnection connection) {
  const std::lock_guard lock(mutex_);
  const int fd = stopping_ ? -1 : connect_to_postgres();
  if (fd < 0) {
    write_all(*connection.transport,
              pgwire::encode_error_response(
                  {.sqlstate = "57P03", .message = "the database system is shutting down"}));
    return;
  }
  auto session = std::make_unique<Session>();
  session->client = std::move(connection.transport);
  session->postgres = net::make_socket_transport(fd);
  session->startup_packet = std::move(connection.startup_packet);
  session->thread = std::thread([s = session.get()] { s->run(); });
  sessions_.push_back(std::move(session));
}

void ProxyEngine::cancel(CancelRequest request) {
  const int fd = connect_to_postgres();
  if (fd < 0) return;
  const auto postgres = net::make_socket_transport(fd);
  pgwire::Bytes packet;
  pgwire::FrontendEncoder(packet).cancel_request(request.pid, request.key);
  write_all(*postgres, packet);
  if (request.transport) request.transport->shutdown();
}

Result<void> ProxyEngine::shutdown(ShutdownMode) {
  std::list<std::unique_ptr<Session>> sessions;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    sessions.swap(sessions_);
  }
  sessions.clear();
  return {};
}

void ProxyEngine::set_exit_handler(std::function<void(Error)>) {}

}  // namespace calf::server::testing
