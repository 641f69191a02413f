// LISTEN, UNLISTEN and NOTIFY: kept until the transaction ends, then done, or forgotten.
#include <algorithm>

#include "sqlite/session.h"

namespace calf::sqlite {
namespace {

constexpr std::size_t kMaxChannelBytes = 63;
constexpr std::size_t kMaxPayloadBytes = 7999;

}  // namespace

void Session::notify(const std::string& channel, const std::string& payload) {
  if (channel.empty()) raise("22023", "channel name cannot be empty");
  if (channel.size() > kMaxChannelBytes) raise("22023", "channel name too long");
  if (payload.size() > kMaxPayloadBytes) raise("22023", "payload string too long");
  // The same again in one transaction is one notification.
  const bool known = std::any_of(
      notifications_.begin(), notifications_.end(),
      [&](const Notification& n) { return n.channel == channel && n.payload == payload; });
  if (!known) notifications_.push_back({.channel = channel, .payload = payload, .pid = pid_});
}

std::vector<std::string> Session::listening_channels() {
  return database_->notifications().channels(pid_);
}

void Session::listen(ListenAction action) {
  listen_actions_.push_back(std::move(action));
}

// After the commit, in the order of commits: `order` was taken before it.
void Session::publish_notifications() {
  if (!listen_actions_.empty())
    database_->notifications().apply(pid_, std::exchange(listen_actions_, {}),
                                     [this] { io_.nudge(); });
  if (!notifications_.empty())
    database_->notifications().publish(std::exchange(notifications_, {}));
}

void Session::forget_notifications(NotificationMark keep) {
  listen_actions_.resize(std::min(listen_actions_.size(), keep.actions));
  notifications_.resize(std::min(notifications_.size(), keep.notifications));
}

// Between transactions only.
void Session::deliver_notifications() {
  for (const Notification& n : database_->notifications().take(pid_))
    encoder_.notification(n.pid, n.channel, n.payload);
}

}  // namespace calf::sqlite
