#include "sqlite/notifications.h"

#include <utility>

namespace calf::sqlite {

void Notifications::apply(std::uint32_t listener, const std::vector<ListenAction>& actions,
                          const std::function<void()>& wake) {
  const std::lock_guard lock(mutex_);
  Listener& mine = listeners_[listener];
  mine.wake = wake;
  for (const ListenAction& action : actions) {
    switch (action.kind) {
      case ListenAction::Kind::kListen:
        mine.channels.insert(action.channel);
        break;
      case ListenAction::Kind::kUnlisten:
        mine.channels.erase(action.channel);
        break;
      case ListenAction::Kind::kUnlistenAll:
        mine.channels.clear();
        break;
    }
  }
  if (mine.channels.empty() && mine.inbox.empty()) listeners_.erase(listener);
}

void Notifications::forget(std::uint32_t listener) {
  const std::lock_guard lock(mutex_);
  listeners_.erase(listener);
}

void Notifications::publish(const std::vector<Notification>& notifications) {
  const std::lock_guard lock(mutex_);
  for (auto& [pid, listener] : listeners_) {
    const std::size_t before = listener.inbox.size();
    for (const Notification& notification : notifications) {
      if (listener.channels.contains(notification.channel)) listener.inbox.push_back(notification);
    }
    if (listener.inbox.size() > before) listener.wake();
  }
}

std::deque<Notification> Notifications::take(std::uint32_t listener) {
  const std::lock_guard lock(mutex_);
  const auto found = listeners_.find(listener);
  if (found == listeners_.end()) return {};
  auto inbox = std::exchange(found->second.inbox, {});
  if (found->second.channels.empty()) listeners_.erase(found);
  return inbox;
}

std::vector<std::string> Notifications::channels(std::uint32_t listener) {
  const std::lock_guard lock(mutex_);
  const auto found = listeners_.find(listener);
  if (found == listeners_.end()) return {};
  return {found->second.channels.begin(), found->second.channels.end()};
}

}  // namespace calf::sqlite
