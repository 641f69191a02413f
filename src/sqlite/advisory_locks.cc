#include "sqlite/advisory_locks.h"

#include <algorithm>

namespace calf::sqlite {

bool AdvisoryLocks::try_lock(std::uint32_t owner, const AdvisoryKey& key, AdvisoryMode mode,
                             AdvisoryScope scope) {
  const std::lock_guard lock(mutex_);
  auto& holders = held_[key];
  const bool free = std::all_of(holders.begin(), holders.end(), [&](const Held& held) {
    return held.owner == owner ||
           (mode == AdvisoryMode::kShared && held.mode == AdvisoryMode::kShared);
  });
  if (free) holders.push_back({owner, mode, scope});
  return free;
}

bool AdvisoryLocks::unlock(std::uint32_t owner, const AdvisoryKey& key, AdvisoryMode mode) {
  const std::lock_guard lock(mutex_);
  const auto entry = held_.find(key);
  if (entry == held_.end()) return false;
  const auto found =
      std::find_if(entry->second.begin(), entry->second.end(), [&](const Held& held) {
        return held.owner == owner && held.mode == mode && held.scope == AdvisoryScope::kSession;
      });
  if (found == entry->second.end()) return false;
  entry->second.erase(found);
  if (entry->second.empty()) held_.erase(entry);
  released_.notify_all();
  return true;
}

void AdvisoryLocks::unlock_all(std::uint32_t owner, AdvisoryScope scope) {
  const std::lock_guard lock(mutex_);
  for (auto entry = held_.begin(); entry != held_.end();) {
    std::erase_if(entry->second, [&](const Held& held) {
      return held.owner == owner &&
             (scope == AdvisoryScope::kSession || held.scope == AdvisoryScope::kTransaction);
    });
    entry = entry->second.empty() ? held_.erase(entry) : std::next(entry);
  }
  released_.notify_all();
}

void AdvisoryLocks::wait(std::chrono::microseconds limit) {
  std::unique_lock lock(mutex_);
  released_.wait_for(lock, limit);
}

}  // namespace calf::sqlite
