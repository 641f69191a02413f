// pg_advisory_lock and its relatives: locks of numbers, which migration tools use to be alone.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace calf::sqlite {

// What is locked: one bigint, or two integers.
struct AdvisoryKey {
  std::int64_t first = 0;
  std::int64_t second = 0;
  bool pair = false;
  auto operator<=>(const AdvisoryKey&) const = default;
};

enum class AdvisoryMode { kShared, kExclusive };
enum class AdvisoryScope { kSession, kTransaction };

// The locks of one database. Any thread.
class AdvisoryLocks {
 public:
  // False: another session holds it. An owner may take a lock several times.
  bool try_lock(std::uint32_t owner, const AdvisoryKey& key, AdvisoryMode mode,
                AdvisoryScope scope);
  // Takes back one lock of the session. False: there is none.
  bool unlock(std::uint32_t owner, const AdvisoryKey& key, AdvisoryMode mode);
  // All of a transaction, or of a session and its transaction.
  void unlock_all(std::uint32_t owner, AdvisoryScope scope);
  // Waits until some lock was released, at most `limit`.
  void wait(std::chrono::microseconds limit);

 private:
  struct Held {
    std::uint32_t owner;
    AdvisoryMode mode;
    AdvisoryScope scope;
  };
  std::mutex mutex_;
  std::condition_variable released_;
  std::map<AdvisoryKey, std::vector<Held>> held_;
};

}  // namespace calf::sqlite
