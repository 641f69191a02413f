#include "client/wire_connection.h"

#include <cerrno>
#include <variant>

namespace calf::client {
namespace {

constexpr std::size_t kMaxLoginMessageBytes = 64 * 1024;

}  // namespace

WireConnection::WireConnection(server::Engine& engine)
    : engine_(engine),
      pipe_(net::MemoryPipe::create()),
      login_(pgwire::DecoderOptions{.max_message_bytes = kMaxLoginMessageBytes}) {
  pipe_.client_end->set_helper(
      [&engine](const std::function<bool()>& done) { return engine.help(done); });
}

net::IoResult WireConnection::send(std::span<const std::byte> bytes, Clock::time_point deadline) {
  if (bytes.empty()) return net::IoResult::moved(0);
  if (pipe_.engine_end != nullptr) return start(bytes);
  net::PipeClient& pipe = *pipe_.client_end;
  while (true) {
    const net::IoResult sent = pipe.write_some(bytes);
    if (sent.done()) pipe.wake_engine();
    if (!sent.would_block()) return sent;
    if (deadline != net::PipeClient::kNoDeadline && Clock::now() >= deadline) {
      return net::IoResult::of(net::IoState::kError, ETIMEDOUT);
    }
    pipe.wait(net::PipeClient::WaitFor::kWritable, deadline);
  }
}

net::IoResult WireConnection::receive(std::span<std::byte> buffer, Clock::time_point deadline) {
  const net::IoResult got = pipe_.client_end->read(buffer, deadline);
  if (got.done() && login_) look_for_key(buffer.first(got.bytes));
  return got;
}

net::IoResult WireConnection::exchange(std::span<const std::byte> bytes, std::size_t& sent,
                                       std::span<std::byte> buffer, Clock::time_point deadline) {
  const bool logs_in = pipe_.engine_end != nullptr;
  sent = (logs_in ? send(bytes, deadline) : pipe_.client_end->write_some(bytes)).bytes;
  const net::IoResult got = receive(buffer, deadline);
  // What was received may have been there before, and nobody has waited.
  pipe_.client_end->wake_engine();
  return got;
}

// Takes no more than what the machine wants: what follows a startup packet is the engine's.
net::IoResult WireConnection::start(std::span<const std::byte> bytes) {
  const auto wanted = bytes.first(std::min(bytes.size(), machine_.wanted()));
  act(machine_.feed(wanted));
  return net::IoResult::moved(wanted.size());
}

void WireConnection::act(pgwire::StartupAction action) {
  namespace action_of = pgwire::action;
  if (const auto* byte = std::get_if<action_of::SendByte>(&action)) {
    answer(std::as_bytes(std::span(&byte->byte, 1)));
  } else if (auto* start = std::get_if<action_of::Start>(&action)) {
    engine_.connect(
        {.transport = std::move(pipe_.engine_end), .startup_packet = std::move(start->packet.raw)});
  } else if (auto* cancel = std::get_if<action_of::Cancel>(&action)) {
    engine_.cancel({.pid = cancel->pid,
                    .key = std::move(cancel->key),
                    .transport = std::move(pipe_.engine_end)});
  } else if (const auto* reject = std::get_if<action_of::Reject>(&action)) {
    answer(reject->response);
    pipe_.engine_end.reset();
  }
}

// Much shorter than the pipe is long.
void WireConnection::answer(std::span<const std::byte> bytes) {
  (void)pipe_.engine_end->write_some(bytes);
}

void WireConnection::look_for_key(std::span<const std::byte> bytes) {
  login_->feed(bytes);
  while (login_) {
    const auto message = login_->next();
    if (message && !*message) return;
    if (message && (*message)->type == 'K') {
      auto key = pgwire::parse_backend_key((*message)->body);
      const std::lock_guard lock(mutex_);
      if (key) key_ = std::move(*key);
    }
    if (!message || (*message)->type == 'Z') login_.reset();
  }
}

void WireConnection::cancel() {
  const std::lock_guard lock(mutex_);
  if (!key_.key.empty()) engine_.cancel({.pid = key_.pid, .key = key_.key});
}

}  // namespace calf::client
