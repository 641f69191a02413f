// One branch, as Branches keeps it. Private to this module.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "branches/branches.h"

namespace calf::branches {

// Guarded by Branches::mutex_, but for what the worker that has the branch in hand (kWaking,
// kGoingToSleep) does with its cluster.
struct Branches::Branch {
  using Clock = std::chrono::steady_clock;
  enum class State { kAsleep, kWaking, kAwake, kGoingToSleep };

  Branch(std::string its_name, std::string its_parent)
      : name(std::move(its_name)),
        parent(std::move(its_parent)),
        created_at_us(std::chrono::duration_cast<std::chrono::microseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count()) {}

  // A worker has its cluster.
  [[nodiscard]] bool is_in_hand() const {
    return state == State::kWaking || state == State::kGoingToSleep;
  }
  // Or may it have some?
  [[nodiscard]] bool has_clients() const {
    return is_in_hand() || !waiting.empty() || (cluster != nullptr && cluster->sessions() > 0);
  }
  [[nodiscard]] const char* state_name() const {
    return cluster != nullptr || state == State::kWaking ? "awake" : "asleep";
  }

  const std::string name, parent;  // parent "": the server's own cluster
  int64_t created_at_us;
  std::shared_ptr<BranchPoint> point;      // where it begins; null for one that was kept
  std::shared_ptr<BranchPoint> own_point;  // the newest that was made of it; or null

  State state = State::kAsleep;
  bool dropped = false;
  bool used = false;                       // by a client, since it was made
  std::shared_ptr<vfs::FileSystem> files;  // null until it wakes for the first time
  std::unique_ptr<postgres::Cluster> cluster;
  std::deque<postgres::ClientConnection> waiting;
  Clock::time_point last_used = Clock::now();
  uint64_t ending = 0;  // of a dropped one: the number of its end, see Branches::running_
};

// What one cluster's SQL may ask for.
class Branches::Commands final : public postgres::HostCommands {
 public:
  enum class Of { kRoot, kBranch };
  Commands(Branches& branches, Of whom) : branches_(branches), is_root_(whom == Of::kRoot) {}
  // The branch whose cluster it is. With the lock.
  void belong_to(const std::shared_ptr<Branch>& branch) { branch_ = branch; }
  Preparation preparation(const postgres::HostCommand& command) override;
  postgres::CommandAnswer run(const postgres::HostCommand& command) override;

 private:
  template <typename Function>
  auto locked(Function function) -> decltype(function(nullptr));

  Branches& branches_;
  const bool is_root_;
  std::weak_ptr<Branch> branch_;
};

// A cluster that may be any branch's that begins where it has begun, until belong_to().
struct Branches::Started {
  std::shared_ptr<vfs::FileSystem> files;
  std::shared_ptr<BranchLog> log;
  std::shared_ptr<Commands> commands;
  std::unique_ptr<postgres::Cluster> cluster;
};

// For the next branch of a point.
struct Branches::Spare {
  std::weak_ptr<BranchPoint> point;
  Branch::Clock::time_point since = Branch::Clock::now();
  std::optional<Started> started;                // nothing while a worker starts it
  std::shared_ptr<Branch> claimed_by = nullptr;  // who waits for that
};

}  // namespace calf::branches
