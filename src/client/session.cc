#include "client/session.h"

#include <algorithm>

#include "pgwire/scram.h"
#include "pgwire/startup.h"
#include "pgwire/wire.h"

namespace calf::client {
namespace {

constexpr std::size_t kKeptBytes = 1024 * 1024;      // of what a long message has made large
constexpr std::size_t kMostNotifications = 100'000;  // of a session that never takes any

ErrorCode code_of(std::string_view sqlstate) {
  if (sqlstate.starts_with("28") || sqlstate == "42501") return ErrorCode::kPermissionDenied;
  if (sqlstate == "3D000") return ErrorCode::kNotFound;
  if (sqlstate.starts_with("53")) return ErrorCode::kResourceExhausted;
  if (sqlstate.starts_with("57")) return ErrorCode::kUnavailable;
  return ErrorCode::kInvalidArgument;
}

Error unexpected(char type) {
  return {.code = ErrorCode::kDataCorrupted,
          .message = std::string("unexpected message of type '") + type + "' from the engine"};
}

bool is_fatal(std::string_view severity) {
  return severity == "FATAL" || severity == "PANIC";
}

}  // namespace

Error to_error(const pgwire::Report& report) {
  return {.code = code_of(report.sqlstate),
          .message = report.severity + ":  " + report.message,
          .hint = report.hint.empty() ? report.detail : report.hint};
}

// What a login needs to remember between two messages.
class LoginState {
 public:
  std::optional<pgwire::ScramClient> scram;
};

Session::Session(server::Engine* engine, Options options, std::unique_ptr<net::PipeClient> pipe)
    : engine_(engine), options_(std::move(options)), pipe_(std::move(pipe)) {
  if (engine == nullptr) return;
  pipe_->set_helper([engine](const std::function<bool()>& done) { return engine->help(done); });
}

Session::~Session() {
  pgwire::FrontendEncoder(out_).terminate();
  pipe_->write_some(out_);
}

// With its length word.
static Result<pgwire::Bytes> startup_packet(const Session::Options& options) {
  constexpr std::size_t kLengthBytes = 4;
  pgwire::Parameters parameters = {{"user", options.user},
                                   {"database", options.database},
                                   {"application_name", options.application_name},
                                   {"client_encoding", "UTF8"}};
  parameters.insert(parameters.end(), options.parameters.begin(), options.parameters.end());
  pgwire::Bytes packet;
  pgwire::FrontendEncoder(packet).startup(parameters);
  if (packet.size() - kLengthBytes > pgwire::kMaxStartupPacketBytes) {
    return fail(ErrorCode::kInvalidArgument, "the session's parameters are too long");
  }
  return packet;
}

Result<std::unique_ptr<Session>> Session::connect(server::Engine& engine, Options options,
                                                  pgwire::Bytes* refusal) {
  CALF_TRY(pgwire::Bytes packet, startup_packet(options));
  packet.erase(packet.begin(), packet.begin() + 4);  // the length word
  net::MemoryPipe pipe = net::MemoryPipe::create();
  std::unique_ptr<Session> session(
      new Session(&engine, std::move(options), std::move(pipe.client_end)));
  engine.connect({.transport = std::move(pipe.engine_end), .startup_packet = std::move(packet)});
  CALF_CHECK_OK(session->log_in(refusal));
  return session;
}

Result<std::unique_ptr<Session>> Session::connect(std::unique_ptr<net::PipeClient> pipe,
                                                  Options options, pgwire::Bytes* refusal) {
  CALF_TRY(pgwire::Bytes packet, startup_packet(options));
  std::unique_ptr<Session> session(new Session(nullptr, std::move(options), std::move(pipe)));
  if (session->options_.timeout) session->begin(Clock::now() + *session->options_.timeout);
  session->out_ = std::move(packet);
  session->login_ = std::make_unique<LoginState>();  // nothing to cancel yet
  CALF_CHECK_OK(session->send());
  CALF_CHECK_OK(session->log_in(refusal));
  return session;
}

// --- Messages

void Session::begin(Clock::time_point deadline) {
  deadline_ = deadline;
  timed_out_ = false;
}

// Before a login there is nothing to cancel, and after the grace nothing to hope for.
Result<void> Session::check_deadline() {
  if (deadline_ == net::PipeClient::kNoDeadline || Clock::now() < deadline_) return {};
  if (!timed_out_ && !login_) {
    timed_out_ = true;
    deadline_ = Clock::now() + kCancelGrace;
    cancel_late_call();
    return {};
  }
  open_ = false;
  pipe_->close();
  return fail(ErrorCode::kDeadlineExceeded, "the engine did not answer in time");
}

void Session::cancel_late_call() {
  if (engine_ == nullptr) return close();
  net::MemoryPipe pipe = net::MemoryPipe::create();
  cancelling_ = std::move(pipe.client_end);
  engine_->cancel({.pid = key_.pid, .key = key_.key, .transport = std::move(pipe.engine_end)});
}

tl::unexpected<Error> Session::ended() {
  open_ = false;
  const auto report = pgwire::parse_report(farewell_);
  if (report) return fail(to_error(*report));
  return fail(ErrorCode::kUnavailable, "the engine closed the connection unexpectedly");
}

Result<void> Session::send() {
  std::span<const std::byte> rest(out_);
  while (!rest.empty()) {
    const net::IoResult sent = pipe_->write_some(rest);
    if (sent.closed()) break;  // what the engine said last is still to be read
    rest = rest.subspan(sent.bytes);
    if (sent.done()) continue;
    pipe_->wait(net::PipeClient::WaitFor::kReadableOrWritable, deadline_);
    const net::IoResult got = pipe_->read_some(decoder_.room());
    if (got.done()) decoder_.filled(got.bytes);
    CALF_CHECK_OK(check_deadline());
  }
  out_.clear();
  if (out_.capacity() > kKeptBytes) out_ = {};
  return {};
}

Result<std::optional<pgwire::Message>> Session::receive_if_there() {
  while (true) {
    auto message = decoder_.next();
    if (!message) {
      open_ = false;
      pipe_->close();
      return fail(std::move(message).error());
    }
    if (*message) {
      CALF_CHECK_OK(note(**message));
      return *message;
    }
    const net::IoResult got = pipe_->read_some(decoder_.room());
    if (got.closed()) return ended();
    if (!got.done()) return std::nullopt;
    decoder_.filled(got.bytes);
  }
}

Result<pgwire::Message> Session::receive() {
  while (true) {
    CALF_TRY(const auto message, receive_if_there());
    if (message) return *message;
    pipe_->wait(net::PipeClient::WaitFor::kReadable, deadline_);
    CALF_CHECK_OK(check_deadline());
  }
}

// What a session knows about itself, and what may come at any time.
Result<void> Session::note(const pgwire::Message& message) {
  switch (message.type) {
    case 'Z': {
      CALF_TRY(transaction_, pgwire::parse_ready_for_query(message.body));
      if (cancelling_ != nullptr) {
        // A cancel request that came late would hit the next statement.
        std::byte nothing{};
        cancelling_->read(std::span(&nothing, 1), Clock::now() + kCancelGrace);
        cancelling_.reset();
      }
      return {};
    }
    case 'A': {
      CALF_TRY(auto notification, pgwire::parse_notification(message.body));
      if (notifications_.size() >= kMostNotifications) notifications_.pop_front();
      notifications_.push_back(std::move(notification));
      return {};
    }
    case 'S': {
      CALF_TRY(auto parameter, pgwire::parse_parameter_status(message.body));
      parameters_.insert_or_assign(std::move(parameter.first), std::move(parameter.second));
      return {};
    }
    case 'N':
      if (on_notice_) on_notice_(message.body);
      return {};
    case 'E': {
      CALF_TRY(const auto report, pgwire::parse_report(message.body));
      if (is_fatal(report.severity)) farewell_.assign(message.body.begin(), message.body.end());
      return {};
    }
    default:
      return {};
  }
}

const std::string* Session::parameter(const std::string& name) const {
  const auto found = parameters_.find(name);
  return found == parameters_.end() ? nullptr : &found->second;
}

// --- Login

Result<void> Session::log_in(pgwire::Bytes* refusal) {
  if (options_.timeout) begin(Clock::now() + *options_.timeout);
  login_ = std::make_unique<LoginState>();
  while (true) {
    CALF_TRY(const pgwire::Message message, receive());
    switch (message.type) {
      case 'R':
        CALF_CHECK_OK(authenticate(message.body));
        break;
      case 'E': {
        CALF_TRY(const pgwire::Report report, pgwire::parse_report(message.body));
        if (refusal != nullptr) refusal->assign(message.body.begin(), message.body.end());
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

Result<void> Session::authenticate(std::span<const std::byte> body) {
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

// --- Queries

Result<Session::Outcome> Session::query(std::string_view sql, QueryEvents& events) {
  if (options_.timeout) begin(Clock::now() + *options_.timeout);
  encoder().query(sql);
  CALF_CHECK_OK(send());
  Outcome outcome;
  while (true) {
    CALF_TRY(const pgwire::Message message, receive());
    if (message.type == 'Z') {
      if (timed_out_) {
        return fail(ErrorCode::kDeadlineExceeded, "the engine did not answer in time");
      }
      outcome.transaction = transaction_;
      return outcome;
    }
    CALF_CHECK_OK(dispatch(message, events, outcome));
  }
}

Result<void> Session::dispatch(const pgwire::Message& message, QueryEvents& events,
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
    case 'A':
      events.notification(notifications_.back());
      notifications_.pop_back();
      return {};
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
Result<void> Session::feed_copy(QueryEvents& events) {
  while (const auto chunk = events.copy_in()) {
    pgwire::FrontendEncoder(out_).copy_data(std::as_bytes(std::span(chunk->data(), chunk->size())));
    CALF_CHECK_OK(send());
  }
  pgwire::FrontendEncoder(out_).copy_done();
  return send();
}

void Session::cancel() {
  if (engine_ == nullptr) return close();
  if (!key_.key.empty()) engine_->cancel({.pid = key_.pid, .key = key_.key});
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

Result<std::optional<std::string>> query_value(Session& session, std::string_view sql) {
  KeepFirst events;
  CALF_CHECK_OK(session.query(sql, events));
  if (events.failure) return fail(std::move(*events.failure));
  return std::move(events.value);
}

Result<void> execute(Session& session, std::string_view sql) {
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

}  // namespace calf::client
