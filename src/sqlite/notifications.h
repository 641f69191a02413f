// NOTIFY and LISTEN among the sessions of one database.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace calf::sqlite {

struct Notification {
  std::string channel;
  std::string payload;
  std::uint32_t pid = 0;  // who notified
};

// What a session has asked for; it happens when its transaction is committed.
struct ListenAction {
  enum class Kind { kListen, kUnlisten, kUnlistenAll };
  Kind kind = Kind::kListen;
  std::string channel{};
};

// Any thread.
class Notifications {
 public:
  // Transactions that notify hold it while they commit: notifications come in the order of commits.
  [[nodiscard]] std::unique_lock<std::mutex> commit_order() { return std::unique_lock(order_); }

  // `wake` tells the listener, on the notifier's thread, that something has come; it must not block
  // or call this. Called until forget().
  void apply(std::uint32_t listener, const std::vector<ListenAction>& actions,
             const std::function<void()>& wake);
  void forget(std::uint32_t listener);
  void publish(const std::vector<Notification>& notifications);

  // What has come for a listener since.
  std::deque<Notification> take(std::uint32_t listener);
  [[nodiscard]] std::vector<std::string> channels(std::uint32_t listener);

 private:
  struct Listener {
    std::set<std::string> channels{};
    std::deque<Notification> inbox{};
    std::function<void()> wake{};
  };
  std::mutex order_;
  std::mutex mutex_;
  std::map<std::uint32_t, Listener> listeners_;  // those with channels or something in the inbox
};

}  // namespace calf::sqlite
