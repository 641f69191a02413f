#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include "capi/session_handle.h"

namespace calf::capi {
namespace {

using Clock = client::Session::Clock;

constexpr auto kNoDeadline = net::PipeClient::kNoDeadline;

tl::unexpected<Failure> closed() {
  return fail(CALF_ERROR_CLOSED, "the session is closed");
}

Answer<client::Session::Options> to_session_options(const calf_cluster& cluster,
                                                    const calf_session_options& given) {
  client::Session::Options options{
      .user = text_or(given.user, cluster.options.user.c_str()),
      .database = text_or(given.database, cluster.options.database.c_str())};
  CAPI_TRY(options.parameters, read_pairs(given.parameters, given.parameters_count));
  if (given.timeout_ms > 0) {
    options.timeout = std::chrono::milliseconds(std::min(given.timeout_ms, int64_t{1} << 40));
  }
  return options;
}

Answer<std::unique_ptr<calf_session>> open(calf_cluster& cluster,
                                           const calf_session_options* options) {
  CAPI_TRY(const auto given, read_options(options, sizeof(calf_session_options)));
  CAPI_TRY(auto session_options, to_session_options(cluster, given));
  auto state = std::make_shared<SessionState>();
  state->generation = process_generation();
  state->engine = cluster.engine;
  state->timeout_ms = given.timeout_ms;
  pgwire::Bytes refusal;
  auto session = client::Session::connect(*cluster.engine, std::move(session_options), &refusal);
  if (!session && !refusal.empty()) return tl::unexpected(from_refusal(refusal));
  if (!session && session.error().code == ErrorCode::kUnavailable) {
    return fail(CALF_ERROR_CLOSED, session.error().message);
  }
  if (!session) return fail_with(session.error());
  state->session = std::move(*session);
  if (given.notice != nullptr) {
    state->session->set_notice_handler(
        [notice = given.notice, context = given.notice_context](std::span<const std::byte> body) {
          const Failure report = from_report(body, CALF_OK);
          notice(context, &report);
        });
  }
  return std::make_unique<calf_session>(calf_session{std::move(state)});
}

// Ends the call that waits on another thread, if there is one, and shuts the door.
void close(SessionState& state) {
  state.closed = true;
  if (state.in_call.exchange(true, std::memory_order_acquire)) {
    state.session->close();
    while (state.in_call.exchange(true, std::memory_order_acquire)) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }
  state.session.reset();
  state.in_call.store(false, std::memory_order_release);
}

Answer<calf_status> next_notification(Call& call, int64_t timeout_ms,
                                      calf_notification& notification) {
  client::Session& session = call.session();
  const auto deadline = timeout_ms < 0 ? kNoDeadline : *deadline_in(timeout_ms);
  session.begin(deadline);
  auto& waiting = session.notifications();
  while (waiting.empty()) {
    const auto message = session.receive_if_there();
    if (!message) return tl::unexpected(call.failure(message.error()));
    if (*message) continue;
    if (timeout_ms == 0 || Clock::now() >= deadline) return CALF_DONE;
    session.wait_for_message();
  }
  auto& taken = call.state().notification;
  taken = std::move(waiting.front());
  waiting.pop_front();
  notification = {.channel = taken.channel.c_str(),
                  .payload = taken.payload.c_str(),
                  .pid = static_cast<int32_t>(taken.pid)};
  return CALF_OK;
}

}  // namespace

std::optional<Clock::time_point> deadline_in(int64_t timeout_ms) {
  constexpr int64_t kLongestMs = int64_t{1} << 40;  // 35 years
  if (timeout_ms < 0) return std::nullopt;
  return Clock::now() + std::chrono::milliseconds(std::min(timeout_ms, kLongestMs));
}

Answer<std::shared_ptr<SessionState>> check(const calf_session* session) {
  if (session == nullptr) return fail(CALF_ERROR_INVALID, "the session is NULL");
  return session->state;
}

Answer<Call> Call::enter(const std::shared_ptr<SessionState>& state) {
  if (state->generation != process_generation()) {
    return fail(CALF_ERROR_INVALID, "the session belongs to the parent process",
                "open a cluster of its own after fork()");
  }
  if (state->closed) return closed();
  if (state->in_call.exchange(true, std::memory_order_acquire)) {
    return fail(CALF_ERROR_BUSY, "another thread is using the session");
  }
  Call call(state, state->engine.lock());
  if (state->closed || call.engine_ == nullptr) return closed();
  if (!state->session->is_open()) return tl::unexpected(call.failure(Error{.message = ""}));
  const int64_t timeout_ms = state->timeout_ms.load(std::memory_order_relaxed);
  state->session->begin(timeout_ms <= 0 ? kNoDeadline : *deadline_in(timeout_ms));
  return call;
}

Answer<Call> Call::begin(const std::shared_ptr<SessionState>& state, const void* occupant) {
  CAPI_TRY(Call call, enter(state));
  if (state->occupant == occupant) return call;
  if (occupant != nullptr) return closed();
  if (state->occupant == &state->exchange) {
    return fail(CALF_ERROR_BUSY, "the session is in the middle of raw messages",
                "send Sync, or what ends the COPY, by calf_session_exchange");
  }
  return fail(CALF_ERROR_BUSY, "the session is busy with an open stream or copy",
              "end that first, or use another session");
}

Answer<Call> Call::begin_exchange(const std::shared_ptr<SessionState>& state) {
  CAPI_TRY(Call call, enter(state));
  if (state->occupant == nullptr || state->occupant == &state->exchange) return call;
  return fail(CALF_ERROR_BUSY, "the session is busy with an open stream or copy",
              "end that first, or use another session");
}

Call::~Call() {
  if (state_ == nullptr) return;
  if (state_->session != nullptr) {
    if (underway_) state_->session->close();
    if (state_->has_descriptor) state_->session->watch();
  }
  state_->in_call.store(false, std::memory_order_release);
}

pgwire::FrontendEncoder Call::encoder() {
  underway_ = true;
  auto encoder = session().encoder();
  const std::lock_guard lock(state_->mutex);
  for (const std::string& name : state_->to_close) encoder.close('S', name);
  own_closes_ += state_->to_close.size();
  state_->to_close.clear();
  return encoder;
}

Answer<void> Call::send() {
  if (const auto sent = session().send(); !sent) return tl::unexpected(failure(sent.error()));
  return {};
}

Answer<pgwire::Message> Call::receive() {
  const auto message = session().receive();
  if (!message) return tl::unexpected(failure(message.error()));
  return *message;
}

Failure Call::failure(const Error& error) const {
  if (error.code == ErrorCode::kDeadlineExceeded || error.code == ErrorCode::kDataCorrupted) {
    return fail_with(error).value();
  }
  if (!session().farewell().empty()) return from_report(session().farewell(), CALF_ERROR_CLOSED);
  return fail(CALF_ERROR_CLOSED, error.message.empty() ? "the session has ended" : error.message)
      .value();
}

Failure Call::failure(std::span<const std::byte> report) const {
  return from_report(report, session().timed_out() ? CALF_ERROR_TIMEOUT : CALF_ERROR_SQL);
}

}  // namespace calf::capi

using namespace calf::capi;

extern "C" {

calf_status calf_session_open(calf_cluster* cluster, const calf_session_options* options,
                              calf_session** session, calf_error** error) {
  if (session != nullptr) *session = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_CHECK_OK(check(cluster));
    if (session == nullptr) return fail(CALF_ERROR_INVALID, "there is no place for the session");
    CAPI_TRY(auto opened, open(*cluster, options));
    *session = opened.release();
    return CALF_OK;
  });
}

void calf_session_close(calf_session* session) {
  if (session == nullptr || session->state->generation != process_generation()) return;
  guarded(nullptr, [&]() -> Answer<calf_status> {
    const std::unique_ptr<calf_session> owned(session);
    close(*owned->state);
    return CALF_OK;
  });
}

calf_status calf_session_set_timeout(calf_session* session, int64_t timeout_ms,
                                     calf_error** error) {
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto state, check(session));
    state->timeout_ms = timeout_ms;
    return CALF_OK;
  });
}

calf_status calf_session_cancel(calf_session* session, calf_error** error) {
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto state, check(session));
    const auto engine = state->engine.lock();
    if (state->generation != process_generation() || state->closed || engine == nullptr) {
      return closed();
    }
    state->session->cancel();
    return CALF_OK;
  });
}

char calf_session_transaction(const calf_session* session) {
  if (session == nullptr || session->state->session == nullptr) return 0;
  return session->state->engine.expired() ? '\0' : session->state->session->transaction();
}

int32_t calf_session_pid(const calf_session* session) {
  if (session == nullptr || session->state->session == nullptr) return 0;
  return static_cast<int32_t>(session->state->session->pid());
}

const char* calf_session_parameter(const calf_session* session, const char* name) {
  if (session == nullptr || name == nullptr || session->state->session == nullptr) return nullptr;
  const std::string* value = session->state->session->parameter(name);
  if (value == nullptr) return nullptr;
  session->state->parameter = *value;
  return session->state->parameter.c_str();
}

calf_status calf_session_next_notification(calf_session* session, int64_t timeout_ms,
                                           calf_notification* notification, calf_error** error) {
  if (notification != nullptr) *notification = {};
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto state, check(session));
    if (notification == nullptr) {
      return fail(CALF_ERROR_INVALID, "there is no place for the notification");
    }
    CAPI_TRY(Call call, Call::begin(state));
    return next_notification(call, timeout_ms, *notification);
  });
}

int calf_session_descriptor(calf_session* session) {
  if (session == nullptr) return -1;
  int descriptor = -1;
  guarded(nullptr, [&]() -> Answer<calf_status> {
    CAPI_TRY(Call call, Call::begin(session->state));
    descriptor = call.session().descriptor();
    call.state().has_descriptor = descriptor >= 0;
    return CALF_OK;
  });
  return descriptor;
}

}  // extern "C"
