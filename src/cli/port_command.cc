#include "cli/port_command.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/bootstrap.h"
#include "cli/engine_factory.h"
#include "cli/port_frames.h"
#include "cli/signals.h"
#include "client/session.h"
#include "client/wire_connection.h"
#include "os/idle_memory.h"

namespace calf::cli {
namespace {

using client::WireConnection;
using net::IoResult;
using pgwire::Bytes;

constexpr std::size_t kChunkBytes = 64 * 1024;
// What a pipe that poll() calls writable takes without blocking.
constexpr std::size_t kWriteBytes = 4096;
// The answer to most messages comes in this time; this thread works for it meanwhile.
constexpr auto kAnswerSoon = std::chrono::microseconds(500);
constexpr int kIdleMs = 1000;  // after which memory is given back
constexpr int kRetryMs = 2;    // while the backend computes and its input is full

// What the peer reads: packets, or bytes as they are.
class Output {
 public:
  explicit Output(bool raw) : raw_(raw) {}

  void put(std::span<const std::byte> bytes) {
    if (raw_) {
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    } else {
      put_frame(bytes_, bytes);
    }
  }
  // An error outside of the protocol. Without packets there is no place for it.
  void put_error(const Error& error) {
    const std::string text = "ERROR: " + error.message;
    std::fprintf(stderr, "calf port: %s\n", error.to_string().c_str());
    if (!raw_) put_frame(bytes_, std::as_bytes(std::span(text.data(), text.size())));
  }

  [[nodiscard]] bool empty() const { return written_ == bytes_.size(); }

  // Writes some of it, as standard output is writable. False when nobody reads any more.
  bool write_some() {
    const std::size_t size = std::min(bytes_.size() - written_, kWriteBytes);
    const ssize_t n = ::write(STDOUT_FILENO, bytes_.data() + written_, size);
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    written_ += static_cast<std::size_t>(n);
    if (empty()) {
      bytes_.clear();
      written_ = 0;
    }
    return true;
  }
  // All of it, waiting for the reader.
  void write_all() {
    pollfd fd = {STDOUT_FILENO, POLLOUT, 0};
    while (!empty()) {
      if (::poll(&fd, 1, kLastWordsMs) <= 0 || !write_some()) return;
    }
  }

 private:
  static constexpr int kLastWordsMs = 5000;
  const bool raw_;
  Bytes bytes_;
  std::size_t written_ = 0;
};

// A peer that begins with messages instead of a startup packet gets a session that is logged in
// already. The first byte tells: it is the type of a message, or the first one of a length below
// 16 MiB.
class ImplicitLogin {
 public:
  // Looks at the first byte that the peer sends; the startup packet to send before it, or nothing.
  Bytes begin(std::byte first, const PortOptions& options) {
    if (begun_) return {};
    begun_ = true;
    Bytes packet;
    if (first == std::byte{0}) return packet;
    pgwire::FrontendEncoder(packet).startup({{"user", options.user},
                                             {"database", options.database},
                                             {"application_name", "calf port"},
                                             {"client_encoding", "UTF8"}});
    decoder_.emplace();
    return packet;
  }

  // What of the backend's `bytes` is for the peer: nothing before the session is ready.
  Result<Bytes> filter(std::span<const std::byte> bytes) {
    if (!decoder_) return Bytes(bytes.begin(), bytes.end());
    decoder_->feed(bytes);
    while (true) {
      CALF_TRY(const auto message, decoder_->next());
      if (!message) return Bytes{};
      if (message->type == 'E') {
        CALF_TRY(const auto report, pgwire::parse_report(message->body));
        return fail(client::to_error(report));
      }
      if (message->type != 'Z') continue;
      const auto rest = decoder_->rest();
      Bytes answers(rest.begin(), rest.end());
      decoder_.reset();
      return answers;
    }
  }

 private:
  bool begun_ = false;
  std::optional<pgwire::MessageDecoder> decoder_;
};

// Carries bytes both ways. Neither way holds more than a chunk, so either side's back-pressure
// reaches the other one.
class Port {
 public:
  Port(const PortOptions& options, server::Engine& engine, Signals& signals, Output& output)
      : options_(options), signals_(signals), wire_(engine), output_(output) {}

  // Until standard input, the session or the peer has ended, or a signal came.
  Result<void> run() {
    while (true) {
      CALF_CHECK_OK(send_pending());
      CALF_CHECK_OK(receive());
      if (session_has_ended_ && output_.empty()) return {};
      CALF_TRY(const bool goes_on, wait());
      if (!goes_on) return {};
    }
  }

 private:
  Result<bool> wait() {
    enum { kSignal, kInput, kOutput, kSession, kCount };
    const bool takes_input = pending().empty() && !session_has_ended_;
    const bool takes_answers = output_.empty() && !session_has_ended_;
    std::array<pollfd, kCount> fds{{{signals_.descriptor(), POLLIN, 0},
                                    {takes_input ? STDIN_FILENO : -1, POLLIN, 0},
                                    {output_.empty() ? -1 : STDOUT_FILENO, POLLOUT, 0},
                                    {takes_answers ? wire_.descriptor() : -1, POLLIN, 0}}};
    const int events = ::poll(fds.data(), fds.size(), longest_wait_ms());
    if (events == 0 && pending().empty()) trim();
    if (events <= 0) return true;
    is_trimmed_ = false;
    if (fds[kSignal].revents != 0 && signals_.take() != 0) return false;
    if (fds[kOutput].revents != 0 && !output_.write_some()) return false;
    if (fds[kInput].revents != 0) return read_input();
    return true;
  }

  int longest_wait_ms() const {
    if (!pending().empty()) return kRetryMs;
    return is_trimmed_ ? -1 : kIdleMs;
  }
  void trim() {
    os::trim_idle_memory();
    is_trimmed_ = true;
  }

  // False at the end of standard input.
  Result<bool> read_input() {
    const ssize_t n = ::read(STDIN_FILENO, input_.data(), input_.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (n <= 0) {
      if (frames_.in_frame()) {
        return fail(ErrorCode::kDataCorrupted,
                    "standard input has ended in the middle of a packet");
      }
      return false;
    }
    unread_ = std::span<const std::byte>(input_).first(static_cast<std::size_t>(n));
    return true;
  }

  // Payload that is still to be sent.
  std::span<const std::byte> pending() const { return piece_.empty() ? unread_ : piece_; }

  Result<void> send_pending() {
    while (!pending().empty()) {
      if (piece_.empty()) CALF_CHECK_OK(take_piece());
      if (piece_.empty()) continue;
      if (const Bytes startup = login_.begin(piece_.front(), options_); !startup.empty()) {
        send_whole(startup);
      }
      const IoResult sent = wire_.send(piece_, WireConnection::Clock::time_point::min());
      if (sent.closed() && sent.system_errno != ETIMEDOUT) {
        drop_input();
        return {};
      }
      piece_ = piece_.subspan(sent.bytes);
      if (!sent.done()) return {};
      answer_is_due_ = true;
    }
    return {};
  }

  Result<void> take_piece() {
    if (options_.raw) {
      piece_ = std::exchange(unread_, {});
      return {};
    }
    CALF_TRY(piece_, frames_.next(unread_));
    return {};
  }

  // Nobody will read it. The backend's last words are still to come.
  void drop_input() { piece_ = unread_ = {}; }

  // Much shorter than the wire's buffer, which is empty.
  void send_whole(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const IoResult sent = wire_.send(bytes, WireConnection::Clock::time_point::max());
      if (!sent.done()) return;
      bytes = bytes.subspan(sent.bytes);
    }
  }

  Result<void> receive() {
    const auto soon = WireConnection::Clock::now() + kAnswerSoon;
    auto until = answer_is_due_ ? soon : WireConnection::Clock::time_point::min();
    answer_is_due_ = false;
    while (output_.empty() && !session_has_ended_) {
      const IoResult got = wire_.receive(answer_, until);
      until = WireConnection::Clock::time_point::min();
      if (got.state == net::IoState::kEndOfStream) session_has_ended_ = true;
      if (!got.done()) return {};
      CALF_TRY(const Bytes bytes, login_.filter(std::span(answer_).first(got.bytes)));
      if (!bytes.empty()) output_.put(bytes);
    }
    return {};
  }

  const PortOptions& options_;
  Signals& signals_;
  WireConnection wire_;
  Output& output_;
  ImplicitLogin login_;
  FrameReader frames_;
  std::array<std::byte, kChunkBytes> input_;
  std::array<std::byte, kChunkBytes> answer_;
  std::span<const std::byte> unread_;  // of input_
  std::span<const std::byte> piece_;   // of input_, to be sent
  bool answer_is_due_ = false;
  bool session_has_ended_ = false;
  bool is_trimmed_ = false;  // since the last event
};

ClusterOptions cluster_options(const PortOptions& options, const ClusterLocation& location) {
  ClusterOptions cluster{.location = location, .settings = options.settings};
  if (options.debug_level > 0) {
    cluster.log_sink = [](std::string_view line) {
      std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    };
  }
  return cluster;
}

Result<OpenedCluster> open(const PortOptions& options, const ClusterLocation& location) {
  if (!options.wasm_path.empty()) {
    log::info("PGLITE_WASM_PATH={} is not used: the image is built in", options.wasm_path);
  }
  CALF_TRY(OpenedCluster cluster, open_cluster(cluster_options(options, location)));
  const ServeOptions wanted{.location = location,
                            .user = options.user,
                            .database = options.database,
                            .extensions = options.extensions,
                            .quiet = true};
  const bool is_plain =
      options.user == "postgres" && options.database == "postgres" && options.extensions.empty();
  if (!is_plain) CALF_CHECK_OK(bootstrap(*cluster.engine, wanted, cluster.created));
  return cluster;
}

Result<void> run(const PortOptions& options, Signals& signals, Output& output) {
  CALF_TRY(const ClusterLocation location, Result<ClusterLocation>(options.location));
  CALF_TRY(OpenedCluster cluster, open(options, location));
  // On the heap: it holds its buffers.
  auto done = std::make_unique<Port>(options, *cluster.engine, signals, output)->run();
  const bool in_memory = std::holds_alternative<MemoryLocation>(location);
  const auto stopped = cluster.engine->shutdown(in_memory ? server::ShutdownMode::kHalt
                                                          : server::ShutdownMode::kFast);
  CALF_CHECK_OK(done);
  return stopped;
}

}  // namespace

int run_port(const PortOptions& options) {
  Signals signals;
  log::configure({.level = options.debug_level > 0 ? log::Level::kInfo : log::Level::kWarn});
  Output output(options.raw);
  const auto done = run(options, signals, output);
  if (!done) output.put_error(done.error());
  output.write_all();
  return done ? 0 : 1;
}

}  // namespace calf::cli
