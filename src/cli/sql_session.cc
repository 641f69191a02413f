#include "cli/sql_session.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "pgwire/scram.h"
#include "pgwire/wire.h"

namespace calf::cli {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;

ErrorCode code_of(std::string_view sqlstate) {
  if (sqlstate.starts_with("28") || sqlstate == "42501") return ErrorCode::kPermissionDenied;
  if (sqlstate == "3D000") return ErrorCode::kNotFound;
  if (sqlstate.starts_with("53")) return ErrorCode::kResourceExhausted;
  if (sqlstate.starts_with("57")) return ErrorCode::kUnavailable;
  return ErrorCode::kInvalidArgument;
}

Error to_error(const pgwire::Report& report) {
  return {.code = code_of(report.sqlstate),
          .message = report.severity + ":  " + report.message,
          .hint = report.hint.empty() ? report.detail : report.hint};
}

Error unexpected(char type) {
  return {.code = ErrorCode::kDataCorrupted,
          .message = std::string("unexpected message of type '") + type + "' from the engine"};
}

}  // namespace

// What a login needs to remember between two messages.
class LoginState {
 public:
  std::optional<pgwire::ScramClient> scram;
};

SqlSession::SqlSession(server::Engine& engine, Options options,
                       std::unique_ptr<net::PipeClient> pipe)
    : engine_(engine), options_(std::move(options)), pipe_(std::move(pipe)) {}

SqlSession::~SqlSession() {
  pgwire::FrontendEncoder(out_).terminate();
  pipe_->write_some(out_);
}

Result<std::unique_ptr<SqlSession>> SqlSession::connect(server::Engine& engine, Options options) {
  net::MemoryPipe pipe = net::MemoryPipe::create();
  pgwire::Bytes packet;
  pgwire::FrontendEncoder(packet).startup({{"user", options.user},
                                           {"database", options.database},
                                           {"application_name", options.application_name},
                                           {"client_encoding", "UTF8"}});
  packet.erase(packet.begin(), packet.begin() + 4);  // the length word
  std::unique_ptr<SqlSession> session(
      new SqlSession(engine, std::move(options), std::move(pipe.client_end)));
  engine.connect({.transport = std::move(pipe.engine_end), .startup_packet = std::move(packet)});
  CALF_CHECK_OK(session->log_in());
  return session;
}

net::PipeClient::Clock::time_point SqlSession::deadline() const {
  return options_.timeout ? net::PipeClient::Clock::now() + *options_.timeout
                          : net::PipeClient::kNoDeadline;
}

Result<void> SqlSession::read_more(const net::IoResult& result, std::span<const std::byte> buffer) {
  if (result.done()) {
    decoder_.feed(buffer.first(result.bytes));
    return {};
  }
  if (result.state == net::IoState::kError && result.system_errno == ETIMEDOUT) {
    return fail(ErrorCode::kDeadlineExceeded, "the engine did not answer in time");
  }
  return fail(ErrorCode::kUnavailable, "the engine closed the connection unexpectedly");
}

// Writes all of out_; reads meanwhile, so that neither side waits for the other one's full buffer.
Result<void> SqlSession::send() {
  std::span<const std::byte> rest(out_);
  const auto until = deadline();
  std::vector<std::byte> buffer;
  while (!rest.empty()) {
    const net::IoResult sent = pipe_->write_some(rest);
    if (sent.closed()) break;  // what the engine said last is still to be read
    rest = rest.subspan(sent.bytes);
    if (sent.done()) continue;
    pipe_->wait(net::PipeClient::WaitFor::kReadableOrWritable, until);
    buffer.resize(kReadBytes);
    const net::IoResult got = pipe_->read_some(buffer);
    if (got.done()) decoder_.feed(std::span(buffer).first(got.bytes));
    if (net::PipeClient::Clock::now() >= until) {
      return fail(ErrorCode::kDeadlineExceeded, "the engine did not read in time");
    }
  }
  out_.clear();
  return {};
}

Result<pgwire::Message> SqlSession::receive() {
  std::array<std::byte, kReadBytes> buffer;
  while (true) {
    CALF_TRY(const auto message, decoder_.next());
    if (message) return *message;
    CALF_CHECK_OK(read_more(pipe_->read(buffer, deadline()), buffer));
  }
}

Result<void> SqlSession::log_in() {
  login_ = std::make_unique<LoginState>();
  while (true) {
    CALF_TRY(const pgwire::Message message, receive());
    switch (message.type) {
      case 'R':
        CALF_CHECK_OK(authenticate(message.body));
        break;
      case 'E': {
        CALF_TRY(const pgwire::Report report, pgwire::parse_report(message.body));
        return fail(to_error(report));
      }
      case 'K': {
        CALF_TRY(key_, pgwire::parse_backend_key(message.body));
        break;
      }
      case 'S':
      case 'N':
      case 'v':
        break;
      case 'Z':
        login_.reset();
        return {};
      default:
        return fail(unexpected(message.type));
    }
  }
}

Result<void> SqlSession::authenticate(std::span<const std::byte> body) {
  CALF_TRY(const pgwire::AuthenticationRequest request, pgwire::parse_authentication(body));
  pgwire::FrontendEncoder encoder(out_);
  if (request.code == 0) return {};
  if (options_.password.empty()) {
    return fail(ErrorCode::kPermissionDenied,
                "a password is needed for role \"" + options_.user + "\"", "set PGPASSWORD");
  }
  const auto& mechanisms = request.mechanisms;
  if (request.code == 3) {
    encoder.password(options_.password);
  } else if (request.code == 10 &&
             std::find(mechanisms.begin(), mechanisms.end(), "SCRAM-SHA-256") != mechanisms.end()) {
    login_->scram.emplace(options_.password, pgwire::ScramClient::random_nonce());
    encoder.sasl_initial("SCRAM-SHA-256", login_->scram->first());
  } else if (request.code == 11 && login_->scram) {
    CALF_TRY(const std::string proof, login_->scram->final(request.data));
    encoder.sasl_response(proof);
  } else if (request.code == 12 && login_->scram) {
    return login_->scram->verify(request.data);
  } else {
    return fail(ErrorCode::kUnsupported,
                "authentication method " + std::to_string(request.code) + " is not supported");
  }
  return send();
}

Result<SqlSession::Outcome> SqlSession::query(std::string_view sql, QueryEvents& events) {
  pgwire::FrontendEncoder(out_).query(sql);
  CALF_CHECK_OK(send());
  Outcome outcome;
  while (true) {
    CALF_TRY(const pgwire::Message message, receive());
    if (message.type == 'Z') {
      CALF_TRY(outcome.transaction, pgwire::parse_ready_for_query(message.body));
      return outcome;
    }
    CALF_CHECK_OK(dispatch(message, events, outcome));
  }
}

Result<void> SqlSession::dispatch(const pgwire::Message& message, QueryEvents& events,
                                  Outcome& outcome) {
  switch (message.type) {
    case 'T': {
      CALF_TRY(auto columns, pgwire::parse_row_description(message.body));
      events.columns(std::move(columns));
      return {};
    }
    case 'D': {
      CALF_TRY(const auto values, pgwire::parse_data_row(message.body));
      events.row(values);
      return {};
    }
    case 'C': {
      CALF_TRY(const std::string tag, pgwire::parse_command_complete(message.body));
      events.complete(tag);
      return {};
    }
    case 'E': {
      CALF_TRY(const pgwire::Report report, pgwire::parse_report(message.body));
      if (!outcome.failed) outcome.sqlstate = report.sqlstate;
      outcome.failed = true;
      events.error(report);
      return {};
    }
    case 'N': {
      CALF_TRY(const pgwire::Report report, pgwire::parse_report(message.body));
      events.notice(report);
      return {};
    }
    case 'A': {
      pgwire::Reader reader(message.body);
      const std::uint32_t pid = reader.u32();
      const std::string_view channel = reader.cstring();
      const std::string_view payload = reader.cstring();
      if (!reader.finished()) return fail(unexpected('A'));
      events.notification(pid, channel, payload);
      return {};
    }
    case 'G':
      return feed_copy(events);
    case 'd':
      events.copy_out(pgwire::as_text(message.body));
      return {};
    case 'H':
    case 'c':
    case 'I':
    case 'S':
      return {};
    default:
      return fail(unexpected(message.type));
  }
}

// Sends what COPY FROM STDIN asks for. Stops early when the engine has answered: only an error can
// come before the end.
Result<void> SqlSession::feed_copy(QueryEvents& events) {
  while (const auto chunk = events.copy_in()) {
    pgwire::FrontendEncoder(out_).copy_data(std::as_bytes(std::span(chunk->data(), chunk->size())));
    CALF_CHECK_OK(send());
  }
  pgwire::FrontendEncoder(out_).copy_done();
  return send();
}

void SqlSession::cancel() {
  if (!key_.key.empty()) engine_.cancel({.pid = key_.pid, .key = key_.key});
}

namespace {

class KeepFirst final : public QueryEvents {
 public:
  void row(std::span<const std::optional<std::string_view>> values) override {
    if (seen_row_ || values.empty()) return;
    seen_row_ = true;
    if (values[0]) value = std::string(*values[0]);
  }
  void error(const pgwire::Report& report) override {
    if (!failure) failure = to_error(report);
  }
  std::optional<std::string> value;
  std::optional<Error> failure;

 private:
  bool seen_row_ = false;
};

std::string quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out + quote;
}

}  // namespace

Result<std::optional<std::string>> query_value(SqlSession& session, std::string_view sql) {
  KeepFirst events;
  CALF_CHECK_OK(session.query(sql, events));
  if (events.failure) return fail(std::move(*events.failure));
  return std::move(events.value);
}

Result<void> execute(SqlSession& session, std::string_view sql) {
  CALF_CHECK_OK(query_value(session, sql));
  return {};
}

std::string quote_literal(std::string_view text) {
  if (text.find('\\') == std::string_view::npos) return quoted(text, '\'');
  std::string escaped;
  for (char c : text) {
    if (c == '\\') escaped += '\\';
    escaped += c;
  }
  return " E" + quoted(escaped, '\'');
}

std::string quote_identifier(std::string_view name) {
  return quoted(name, '"');
}

}  // namespace calf::cli
