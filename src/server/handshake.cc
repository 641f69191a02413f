#include "server/handshake.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "pgwire/error_response.h"

namespace calf::server {
namespace {

namespace asio = boost::asio;
using pgwire::StartupAction;

// What a rejected client has sent is read up to this much before closing: closing with unread bytes
// would make the kernel send a reset, which can overtake our answer.
constexpr std::size_t kDrainBytes = 64 * 1024;

bool tls_is_offered(const net::Transport& transport, const net::TlsContext* tls) {
  return tls != nullptr && transport.local().kind != net::Address::Kind::kUnix;
}

pgwire::Bytes starting_up() {
  return pgwire::encode_error_response(
      {.sqlstate = "57P03", .message = "the database system is starting up"});
}

}  // namespace

asio::awaitable<bool> Readiness::readable() {
  boost::system::error_code error;
  co_await descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                                  asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

asio::awaitable<bool> Readiness::writable() {
  boost::system::error_code error;
  co_await descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                                  asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

Handshake::Handshake(asio::io_context& io, std::unique_ptr<net::Transport> transport,
                     Options options)
    : options_(options),
      io_(io),
      transport_(std::move(transport)),
      readiness_(std::in_place, io, transport_->descriptor()),
      machine_({.tls_available = tls_is_offered(*transport_, options.tls)}) {}

void Handshake::abort(std::string why) {
  if (aborted_.empty()) aborted_ = std::move(why);
  if (readiness_) readiness_->cancel();
}

asio::awaitable<void> Handshake::run(Engine* const& engine) {
  StartupAction next = co_await starts_with_tls() ? machine_.direct_tls()
                                                  : StartupAction(pgwire::action::NeedBytes{});
  while (true) {
    if (std::holds_alternative<pgwire::action::NeedBytes>(next)) {
      next = co_await read_more();
    } else if (const auto* byte = std::get_if<pgwire::action::SendByte>(&next)) {
      const bool sent = co_await send(std::as_bytes(std::span(&byte->byte, 1)));
      next = sent ? StartupAction(pgwire::action::NeedBytes{}) : gone();
    } else if (const auto* tls = std::get_if<pgwire::action::StartTls>(&next)) {
      next = co_await start_tls(tls->direct);
    } else if (auto* start = std::get_if<pgwire::action::Start>(&next)) {
      if (engine == nullptr) {
        co_await reject({.response = starting_up(), .reason = {}});
      } else {
        finish(*engine, std::move(*start));
      }
      co_return;
    } else if (auto* cancel = std::get_if<pgwire::action::Cancel>(&next)) {
      if (engine == nullptr) co_return;  // nothing runs that could be cancelled
      readiness_.reset();  // before the engine's thread registers the descriptor for itself
      engine->cancel(
          {.pid = cancel->pid, .key = std::move(cancel->key), .transport = std::move(transport_)});
      co_return;
    } else {
      co_await reject(std::get<pgwire::action::Reject>(next));
      co_return;
    }
  }
}

// Looks at the first byte without taking it.
asio::awaitable<bool> Handshake::starts_with_tls() {
  std::byte first{};
  while (true) {
    const ssize_t n = ::recv(transport_->descriptor(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n == 1) co_return pgwire::StartupMachine::looks_like_tls(first);
    if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) co_return false;
    if (!aborted_.empty() || !co_await readiness_->readable()) co_return false;
  }
}

// Exactly what the machine wants, so that nothing behind the startup packet is taken from the
// engine.
asio::awaitable<StartupAction> Handshake::read_more() {
  std::array<std::byte, 4 + pgwire::kMaxStartupPacketBytes> buffer;
  while (aborted_.empty()) {
    const net::IoResult result = transport_->read_some(std::span(buffer).first(machine_.wanted()));
    if (result.done()) co_return machine_.feed(std::span(buffer).first(result.bytes));
    if (result.closed() || !co_await wait_for(result)) break;
  }
  co_return gone();
}

// What a client sends without waiting for the 'S' is taken as the beginning of its TLS handshake,
// never as a message in the clear (CVE-2021-23214): read_more() leaves it in the socket.
asio::awaitable<StartupAction> Handshake::start_tls(bool direct) {
  if (!direct) {
    const char yes = 'S';
    if (!co_await send(std::as_bytes(std::span(&yes, 1)))) co_return gone();
  }
  const int descriptor = transport_->descriptor();
  readiness_.reset();  // accept() closes the descriptor when it fails
  auto tls = options_.tls->accept(std::move(transport_));
  if (!tls) co_return pgwire::action::Reject{.response = {}, .reason = tls.error().to_string()};
  tls_ = std::move(*tls);
  readiness_.emplace(io_, descriptor);
  while (aborted_.empty()) {
    const net::IoResult result = tls_->step();
    if (result.done()) {
      transport_ = tls_->into_transport();
      co_return machine_.tls_started(tls_->alpn_postgresql());
    }
    if (result.closed()) {
      co_return pgwire::action::Reject{.response = {},
                                       .reason = "TLS handshake failed: " + tls_->failure()};
    }
    if (!co_await wait_for(result)) break;
  }
  co_return gone();
}

asio::awaitable<bool> Handshake::wait_for(const net::IoResult& result) {
  if (result.state == net::IoState::kWouldBlockWrite) co_return co_await readiness_->writable();
  co_return co_await readiness_->readable();
}

asio::awaitable<bool> Handshake::send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const net::IoResult result = transport_->write_some(bytes);
    bytes = bytes.subspan(result.bytes);
    if (result.closed() || (result.would_block() && !co_await wait_for(result))) co_return false;
  }
  co_return true;
}

asio::awaitable<void> Handshake::reject(const pgwire::action::Reject& reject) {
  if (!reject.reason.empty()) log::info("connection refused: {}", reject.reason);
  if (!transport_) co_return;
  co_await send(reject.response);
  std::array<std::byte, 4096> rest;
  for (std::size_t drained = 0; drained < kDrainBytes; drained += rest.size()) {
    if (!transport_->read_some(rest).done()) break;
  }
  transport_->shutdown();
}

void Handshake::finish(Engine& engine, pgwire::action::Start start) {
  readiness_.reset();  // before the engine's thread registers the descriptor for itself
  engine.connect(
      {.transport = std::move(transport_), .startup_packet = std::move(start.packet.raw)});
}

// The client has closed, or abort() was called: nothing to answer.
StartupAction Handshake::gone() {
  std::string reason = aborted_;
  if (reason.empty() && !machine_.ended_cleanly()) reason = "incomplete startup packet";
  return pgwire::action::Reject{.response = {}, .reason = std::move(reason)};
}

}  // namespace calf::server
