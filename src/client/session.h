// A session of an engine, inside this process or at the end of a socket: login, messages both ways,
// and simple queries whose results are events. The only client of the protocol in this tree.
// Blocks. Not for what a user sees of it: that is `cli`, and `capi` for other programs.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/memory_pipe.h"
#include "pgwire/frontend.h"
#include "server/engine.h"

namespace calf::client {

// What a query answers, in the order in which it comes. Views are valid during the call only.
class QueryEvents {
 public:
  virtual ~QueryEvents() = default;
  virtual void columns(std::vector<pgwire::ColumnDescription> columns) { (void)columns; }
  virtual void row(std::span<const std::optional<std::string_view>> values) { (void)values; }
  virtual void complete(std::string_view command_tag) { (void)command_tag; }
  virtual void error(const pgwire::Report& report) { (void)report; }
  virtual void notice(const pgwire::Report& report) { (void)report; }
  virtual void notification(const pgwire::Notification& notification) { (void)notification; }
  virtual void copy_out(std::string_view data) { (void)data; }
  // The next piece for COPY FROM STDIN; nothing at its end.
  virtual std::optional<std::string> copy_in() { return std::nullopt; }
};

// One thread at a time, but for cancel(). Every call that waits ends at the deadline, or soon
// after: what runs is cancelled, and its answer awaited for kCancelGrace.
class Session {
 public:
  using Clock = net::PipeClient::Clock;
  static constexpr std::chrono::seconds kCancelGrace{5};

  struct Options {
    std::string user = "postgres";
    std::string database = "postgres";
    std::string password{};
    std::string application_name = "calf";
    pgwire::Parameters parameters{};                     // more of them; a later one wins
    std::optional<std::chrono::milliseconds> timeout{};  // of the login, and of each query()
  };

  // Logs in. When PostgreSQL refuses, the error holds its message: kPermissionDenied (28…),
  // kNotFound (3D000), kResourceExhausted (53…), kUnavailable (57…), kInvalidArgument; and
  // `refusal`, if not null, the whole report. `engine` must outlive the session.
  static Result<std::unique_ptr<Session>> connect(server::Engine& engine, Options options,
                                                  pgwire::Bytes* refusal = nullptr);
  // The same over a connection to a server (socket_client.h), where cancel() ends the session.
  static Result<std::unique_ptr<Session>> connect(std::unique_ptr<net::PipeClient> pipe,
                                                  Options options,
                                                  pgwire::Bytes* refusal = nullptr);

  ~Session();  // says goodbye

  struct Outcome {
    bool failed = false;     // an ErrorResponse came
    std::string sqlstate{};  // of the first one
    char transaction = 'I';  // I idle, T in a transaction, E in a failed one
  };

  // Runs `sql` (any number of statements) as one simple query. An error of SQL is an event and an
  // Outcome; an Error means that the session is gone: the engine closed (FATAL), broke the
  // protocol, or timed out.
  Result<Outcome> query(std::string_view sql, QueryEvents& events);

  // Asks the engine to cancel what runs now. Any thread. No engine in this process: close().
  void cancel();
  // Closes the connection: a waiting call fails, and so does every later one. Any thread.
  void close() { pipe_->close(); }

  // --- Messages, for who speaks the protocol here
  // Begins a call: none of its waits is longer than until `deadline`.
  void begin(Clock::time_point deadline);
  // Appends to what send() sends next.
  [[nodiscard]] pgwire::FrontendEncoder encoder() { return pgwire::FrontendEncoder(out_); }
  [[nodiscard]] pgwire::Bytes& outgoing() { return out_; }
  // Writes all that was encoded; reads meanwhile, so that neither side waits for the other one's
  // full buffer. kUnavailable, kDeadlineExceeded: the session is gone.
  Result<void> send();
  // The next message, after send(). Those that may come at any time (N, A, S) are noted here and go
  // to the handler; they are also returned. Errors: as send(), and kDataCorrupted.
  Result<pgwire::Message> receive();
  // receive() without waiting: nothing when no whole message has come.
  Result<std::optional<pgwire::Message>> receive_if_there();
  // Has this call's deadline passed, and was cancelled what ran?
  [[nodiscard]] bool timed_out() const { return timed_out_; }
  [[nodiscard]] bool is_open() const { return open_; }
  // The report of the FATAL error that ended the session; empty when there was none.
  [[nodiscard]] const pgwire::Bytes& farewell() const { return farewell_; }
  // 'I', 'T' or 'E', as of the last ReadyForQuery; 0 when the session is gone.
  [[nodiscard]] char transaction() const { return open_ ? transaction_ : '\0'; }
  [[nodiscard]] std::uint32_t pid() const { return key_.pid; }
  // What ParameterStatus has said; null for what it has not.
  [[nodiscard]] const std::string* parameter(const std::string& name) const;
  // Notifications that have come and were not taken, oldest first.
  [[nodiscard]] std::deque<pgwire::Notification>& notifications() { return notifications_; }
  void set_notice_handler(std::function<void(std::span<const std::byte> body)> handler) {
    on_notice_ = std::move(handler);
  }
  // For event loops, see net::PipeClient; watch() is to be called at the end of each call.
  [[nodiscard]] int descriptor() { return pipe_->descriptor(); }
  void watch() { pipe_->watch(!notifications_.empty()); }
  // Waits until something comes or the deadline of begin() has passed; cancels nothing.
  void wait_for_message() { pipe_->wait(net::PipeClient::WaitFor::kReadable, deadline_); }

 private:
  Session(server::Engine* engine, Options options, std::unique_ptr<net::PipeClient> pipe);

  Result<void> log_in(pgwire::Bytes* refusal);
  Result<void> authenticate(std::span<const std::byte> body);
  Result<void> dispatch(const pgwire::Message& message, QueryEvents& events, Outcome& outcome);
  Result<void> feed_copy(QueryEvents& events);
  Result<void> note(const pgwire::Message& message);
  Result<void> check_deadline();
  void cancel_late_call();
  tl::unexpected<Error> ended();

  server::Engine* const engine_;  // null: it is not in this process
  const Options options_;
  const std::unique_ptr<net::PipeClient> pipe_;
  pgwire::MessageDecoder decoder_;
  pgwire::Bytes out_;
  pgwire::BackendKey key_;
  std::unique_ptr<class LoginState> login_;
  Clock::time_point deadline_ = net::PipeClient::kNoDeadline;
  bool timed_out_ = false;
  std::unique_ptr<net::PipeClient> cancelling_;  // closed by the engine when it has cancelled
  bool open_ = true;
  char transaction_ = 'I';
  pgwire::Bytes farewell_;
  std::map<std::string, std::string> parameters_;
  std::deque<pgwire::Notification> notifications_;
  std::function<void(std::span<const std::byte>)> on_notice_;
};

// What PostgreSQL's report is as an error of this program.
Error to_error(const pgwire::Report& report);

// Runs `sql` and fails with PostgreSQL's message when it does; results are dropped.
Result<void> execute(Session& session, std::string_view sql);

// The first column of the first row as text; nothing when there is no row or it is NULL.
Result<std::optional<std::string>> query_value(Session& session, std::string_view sql);

// 'text' and "name", quoted so that nothing in them is SQL.
std::string quote_literal(std::string_view text);
std::string quote_identifier(std::string_view name);

}  // namespace calf::client
