// A session behind calf_session: who uses it now, what occupies it, and one call on it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "capi/cluster_handle.h"
#include "client/session.h"

namespace calf::capi {

// Shared by the session's handle and those of what was made from it, whichever lives longest.
struct SessionState {
  unsigned generation = 0;
  std::weak_ptr<server::Engine> engine;
  std::unique_ptr<client::Session> session;
  std::atomic<bool> closed{false};  // calf_session_close has been called
  std::atomic<bool> in_call{false};
  const void* occupant = nullptr;  // the open stream or copy, or the exchange; under in_call
  struct Exchange {
    bool skips_to_sync = false;  // after an error in the extended protocol
    enum class Copy { kNone, kSimple, kExtended } copy = Copy::kNone;
  } exchange{};  // of raw messages that was left in the middle; under in_call
  std::atomic<int64_t> timeout_ms{0};
  bool has_descriptor = false;
  unsigned statements = 0;              // ever prepared
  pgwire::Notification notification{};  // the one whose strings the caller has
  std::string parameter{};              // the same
  std::mutex mutex;
  std::vector<std::string> to_close;  // names of statements, told at the next call; under `mutex`
};

// One call on a session: keeps other threads out and the engine alive, and notices when the call
// leaves the protocol in the middle of something.
class Call {
 public:
  // For a call by the session's `occupant`, or by nobody (null). The session's timeout runs from
  // here.
  static Answer<Call> begin(const std::shared_ptr<SessionState>& state,
                            const void* occupant = nullptr);
  // For an exchange of raw messages, which may go on with the one before.
  static Answer<Call> begin_exchange(const std::shared_ptr<SessionState>& state);
  ~Call();
  Call(Call&& other) noexcept = default;
  Call& operator=(Call&&) = delete;

  [[nodiscard]] client::Session& session() const { return *state_->session; }
  [[nodiscard]] SessionState& state() const { return *state_; }
  // Begins to send: tells PostgreSQL first which statements were closed. The session is unusable
  // when the call ends before finish() or leave_to().
  pgwire::FrontendEncoder encoder();
  // How many CloseComplete come first for that.
  [[nodiscard]] size_t own_closes() const { return own_closes_; }
  // Goes on with what an occupant has begun: the same holds.
  void resume() { underway_ = true; }
  // The protocol is where another call can begin.
  void finish() { underway_ = false; }
  // It is where `occupant` wants it.
  void leave_to(const void* occupant) {
    state_->occupant = occupant;
    underway_ = false;
  }

  // The session's own answers as a failure.
  Answer<void> send();
  Answer<pgwire::Message> receive();
  [[nodiscard]] Failure failure(const Error& error) const;
  // An ErrorResponse; a timeout when it is this call's.
  [[nodiscard]] Failure failure(std::span<const std::byte> report) const;

 private:
  Call(std::shared_ptr<SessionState> state, std::shared_ptr<server::Engine> engine)
      : state_(std::move(state)), engine_(std::move(engine)) {}
  static Answer<Call> enter(const std::shared_ptr<SessionState>& state);

  std::shared_ptr<SessionState> state_;
  std::shared_ptr<server::Engine> engine_;
  bool underway_ = false;
  size_t own_closes_ = 0;
};

std::optional<client::Session::Clock::time_point> deadline_in(int64_t timeout_ms);

}  // namespace calf::capi

struct calf_session {
  std::shared_ptr<calf::capi::SessionState> state;
};

namespace calf::capi {

Answer<std::shared_ptr<SessionState>> check(const calf_session* session);

}  // namespace calf::capi
