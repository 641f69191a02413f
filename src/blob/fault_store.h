// An ObjectStore that fails as networks and services do, at the dice's will: for tests. The same
// seed and the same calls give the same faults.
#pragma once

#include <atomic>
#include <mutex>
#include <random>

#include "blob/object_store.h"

namespace calf::blob {

// Shares of all calls, 0 to 1.
struct FaultPlan {
  std::uint64_t seed = 0;
  double refused = 0;               // fails before anything happened: 5xx, throttling, a reset
  double timed_out = 0;             // the same, but nobody says what became of it
  double lost_acknowledgement = 0;  // happens, and then fails
  double partial_read = 0;          // some of the bytes, then an error
};

class FaultStore final : public ObjectStore {
 public:
  // `inner` must outlive it.
  FaultStore(ObjectStore& inner, const FaultPlan& plan)
      : inner_(inner), plan_(plan), dice_(plan.seed) {}

  // The network is gone: nothing gets through until it is back. Any thread.
  void set_offline(bool offline) { offline_ = offline; }
  [[nodiscard]] std::uint64_t faults() const { return faults_; }

  Result<ObjectInfo> get(const std::string& key, ByteRange range, const Sink& sink,
                         const Limits& limits) override;
  Result<std::string> put(const std::string& key, Body& body, const Condition& condition,
                          const Limits& limits) override;
  Result<ListPage> list(const ListQuery& query, const Limits& limits) override;
  Result<void> remove(const std::string& key, const Limits& limits) override;
  [[nodiscard]] std::string describe() const override { return inner_.describe(); }

 private:
  bool hits(double share);
  // What may happen before the call reaches the store.
  Result<void> on_the_way(std::string_view what, const Limits& limits);
  Result<void> on_the_way_back(std::string_view what);

  ObjectStore& inner_;
  const FaultPlan plan_;
  std::mutex mutex_;
  std::mt19937_64 dice_;
  std::atomic<bool> offline_ = false;
  std::atomic<std::uint64_t> faults_ = 0;
};

}  // namespace calf::blob
