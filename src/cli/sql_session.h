// A session of an engine inside this process: simple queries, their results as events, COPY both
// ways. Blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
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

namespace calf::cli {

// What a query answers, in the order in which it comes. Views are valid during the call only.
class QueryEvents {
 public:
  virtual ~QueryEvents() = default;
  virtual void columns(std::vector<pgwire::ColumnDescription> columns) { (void)columns; }
  virtual void row(std::span<const std::optional<std::string_view>> values) { (void)values; }
  virtual void complete(std::string_view command_tag) { (void)command_tag; }
  virtual void error(const pgwire::Report& report) { (void)report; }
  virtual void notice(const pgwire::Report& report) { (void)report; }
  virtual void notification(std::uint32_t pid, std::string_view channel, std::string_view payload) {
    (void)pid, (void)channel, (void)payload;
  }
  virtual void copy_out(std::string_view data) { (void)data; }
  // The next piece for COPY FROM STDIN; nothing at its end.
  virtual std::optional<std::string> copy_in() { return std::nullopt; }
};

class SqlSession {
 public:
  struct Options {
    std::string user = "postgres";
    std::string database = "postgres";
    std::string password{};
    std::string application_name = "calf";
    std::optional<std::chrono::milliseconds> timeout{};  // for the login and for each wait after it
  };

  // Logs in. When PostgreSQL refuses, the error holds its message: kPermissionDenied (28…),
  // kNotFound (3D000), kResourceExhausted (53…), kUnavailable (57…), kInvalidArgument.
  static Result<std::unique_ptr<SqlSession>> connect(server::Engine& engine, Options options);

  ~SqlSession();  // says goodbye

  struct Outcome {
    bool failed = false;     // an ErrorResponse came
    std::string sqlstate{};  // of the first one
    char transaction = 'I';  // I idle, T in a transaction, E in a failed one
  };

  // Runs `sql` (any number of statements) as one simple query. An error of SQL is an event and an
  // Outcome; an Error means that the session is gone: the engine closed (FATAL), broke the
  // protocol, or timed out.
  Result<Outcome> query(std::string_view sql, QueryEvents& events);

  // Asks the engine to cancel what runs now. Any thread.
  void cancel();

 private:
  SqlSession(server::Engine& engine, Options options, std::unique_ptr<net::PipeClient> pipe);

  [[nodiscard]] net::PipeClient::Clock::time_point deadline() const;
  Result<void> send();
  Result<pgwire::Message> receive();
  Result<void> read_more(const net::IoResult& result, std::span<const std::byte> buffer);
  Result<void> log_in();
  Result<void> authenticate(std::span<const std::byte> body);
  Result<void> dispatch(const pgwire::Message& message, QueryEvents& events, Outcome& outcome);
  Result<void> feed_copy(QueryEvents& events);

  server::Engine& engine_;
  const Options options_;
  const std::unique_ptr<net::PipeClient> pipe_;
  pgwire::MessageDecoder decoder_;
  pgwire::Bytes out_;
  pgwire::BackendKey key_;
  std::unique_ptr<class LoginState> login_;
};

// Runs `sql` and fails with PostgreSQL's message when it does; results are dropped.
Result<void> execute(SqlSession& session, std::string_view sql);

// The first column of the first row as text; nothing when there is no row or it is NULL.
Result<std::optional<std::string>> query_value(SqlSession& session, std::string_view sql);

// 'text' and "name", quoted so that nothing in them is SQL.
std::string quote_literal(std::string_view text);
std::string quote_identifier(std::string_view name);

}  // namespace calf::cli
