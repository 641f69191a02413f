// calf_session_exchange: raw messages in, raw answers out, and where an answer ends.
#include <cstring>

#include "capi/session_handle.h"
#include "pgwire/wire.h"

namespace calf::capi {
namespace {

using pgwire::Message;
using Copy = SessionState::Exchange::Copy;

constexpr std::string_view kKnownTypes = "QPBDECSHFdcf";

// The types of the messages, whole ones only.
Answer<std::string> read_types(std::span<const std::byte> bytes) {
  std::string types;
  while (!bytes.empty()) {
    const char type = static_cast<char>(bytes[0]);
    if (bytes.size() < 5) return fail(CALF_ERROR_INVALID, "the last message is not whole");
    const size_t length = pgwire::load_u32(bytes.subspan(1));
    if (kKnownTypes.find(type) == std::string_view::npos) {
      return fail(CALF_ERROR_INVALID,
                  std::string("messages of type '") + type + "' cannot be sent in an exchange");
    }
    if (length < 4 || length > CALF_MAX_MESSAGE || bytes.size() < 1 + length) {
      return fail(CALF_ERROR_INVALID, "a message's length is wrong, or the last one is not whole");
    }
    types += type;
    bytes = bytes.subspan(1 + length);
  }
  return types;
}

// Follows which message the backend is answering: that is how the end of the answer is known.
class Progress {
 public:
  Progress(std::string types, SessionState::Exchange& state)
      : types_(std::move(types)), state_(state) {
    if (state_.skips_to_sync) skip_to_sync();
    pass_silent();
  }

  [[nodiscard]] bool done() const { return at_ >= types_.size() || wants_data_; }
  // The backend waits for what begins anew.
  [[nodiscard]] bool idle() const { return idle_; }

  void see(char answer) {
    if (done() || std::strchr("NAS", answer) != nullptr) return;
    idle_ = answer == 'Z';
    switch (answer) {
      case 'E':
        see_error();
        break;
      case 'G':
        begin_copy();
        break;
      case 'Z':
        state_.copy = Copy::kNone;
        if (std::strchr("QSFcf", types_[at_]) != nullptr) pass();
        break;
      default:
        if (ends(answer)) pass();
    }
  }

 private:
  // Is `answer` the last one to the current message?
  [[nodiscard]] bool ends(char answer) const {
    switch (types_[at_]) {
      case 'P':
        return answer == '1';
      case 'B':
        return answer == '2';
      case 'C':
        return answer == '3';
      case 'D':
        return answer == 'T' || answer == 'n';
      case 'E':
        return answer == 'C' || answer == 'I' || answer == 's';
      case 'c':
      case 'f':
        return state_.copy == Copy::kExtended && answer == 'C';
      default:
        return false;
    }
  }

  void pass() {
    at_ += 1;
    pass_silent();
  }
  void pass_silent() {
    while (at_ < types_.size() && (types_[at_] == 'H' || types_[at_] == 'd')) at_ += 1;
  }

  // The backend takes data until c or f, and ignores what else is sent before.
  void begin_copy() {
    state_.copy = types_[at_] == 'Q' ? Copy::kSimple : Copy::kExtended;
    const size_t end = types_.find_first_of("cf", at_);
    wants_data_ = end == std::string::npos;
    if (!wants_data_) at_ = end;
  }

  void see_error() {
    const bool simple = types_[at_] == 'Q' || types_[at_] == 'F' || state_.copy == Copy::kSimple;
    state_.copy = Copy::kNone;
    if (!simple) skip_to_sync();
  }
  void skip_to_sync() {
    at_ = std::min(types_.find('S', at_), types_.size());
    state_.skips_to_sync = at_ == types_.size();
  }

  const std::string types_;
  SessionState::Exchange& state_;
  size_t at_ = 0;
  bool wants_data_ = false;
  bool idle_ = false;
};

// Without it the backend would keep the answer to these to itself.
bool needs_flush(const std::string& types) {
  return types.find_last_of("PBDEC") == types.size() - 1;
}

class Receiver {
 public:
  Receiver(calf_bytes_function function, void* context) : function_(function), context_(context) {}
  void take(const Message& message) {
    constexpr size_t kHeaderBytes = 5;  // lies before the body
    if (ended_ || function_ == nullptr) return;
    ended_ = function_(context_, message.body.data() - kHeaderBytes,
                       message.body.size() + kHeaderBytes) != 0;
  }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  const calf_bytes_function function_;
  void* const context_;
  bool ended_ = false;
};

Answer<calf_status> exchange(const std::shared_ptr<SessionState>& state,
                             std::span<const std::byte> messages, Receiver receiver) {
  CAPI_TRY(std::string types, read_types(messages));
  if (types.empty()) return CALF_OK;
  CAPI_TRY(Call call, Call::begin_exchange(state));
  size_t own_closes = 0;  // answers that are not the caller's
  if (state->occupant == nullptr) {
    call.encoder();
    own_closes = call.own_closes();
  }
  call.resume();
  pgwire::put_bytes(call.session().outgoing(), messages);
  if (needs_flush(types)) call.session().encoder().flush();
  Progress progress(std::move(types), state->exchange);
  CAPI_CHECK_OK(call.send());
  while (!progress.done()) {
    CAPI_TRY(const Message message, call.receive());
    if (own_closes > 0 && message.type == '3') {
      own_closes -= 1;
      continue;
    }
    receiver.take(message);
    progress.see(message.type);
  }
  call.leave_to(progress.idle() ? nullptr : &state->exchange);
  if (call.session().timed_out()) {
    return fail(CALF_ERROR_TIMEOUT, "PostgreSQL did not answer in time and was cancelled");
  }
  return receiver.ended() ? CALF_DONE : CALF_OK;
}

}  // namespace
}  // namespace calf::capi

using namespace calf::capi;

extern "C" calf_status calf_session_exchange(calf_session* session, const void* messages,
                                             size_t size, calf_bytes_function receive,
                                             void* context, calf_error** error) {
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto state, check(session));
    if (messages == nullptr && size != 0) {
      return fail(CALF_ERROR_INVALID, "the messages are NULL, but their size is not 0");
    }
    return exchange(state, std::span(static_cast<const std::byte*>(messages), size),
                    Receiver(receive, context));
  });
}
