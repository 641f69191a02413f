// How many memory mappings this program still may make. Linux allows a process only so many
// (vm.max_map_count, 65,530 by default), and each process of a cluster needs some dozens: whoever
// is about to make many takes them here first, so that the last ones fail with an error, not with
// mmap() somewhere where nobody can help it.
#pragma once

#include <atomic>
#include <cstddef>

#include "base/result.h"

namespace calf::os {

// Any thread.
class MappingBudget {
 public:
  // The program's own: nine tenths of the system's limit; the rest is for libraries, threads'
  // stacks and large allocations, which are not counted.
  static MappingBudget& of_program();
  explicit MappingBudget(size_t limit) : limit_(limit) {}
  MappingBudget(const MappingBudget&) = delete;
  MappingBudget& operator=(const MappingBudget&) = delete;

  // kResourceExhausted.
  Result<void> take(size_t count);
  void give_back(size_t count) { used_.fetch_sub(count, std::memory_order_relaxed); }

  // From here on what can wait should wait.
  [[nodiscard]] bool is_filling() const { return used() >= limit_ / 4; }
  // From here on everybody should do with few.
  [[nodiscard]] bool is_crowded() const { return used() >= limit_ / 2; }
  // From here on what is not needed should be given back.
  [[nodiscard]] bool is_nearly_full() const { return used() >= limit_ / 4 * 3; }
  [[nodiscard]] size_t limit() const { return limit_; }
  [[nodiscard]] size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  const size_t limit_;
  std::atomic<size_t> used_{0};
};

// Mappings that somebody has, counted until this is gone.
class MappingShare {
 public:
  explicit MappingShare(MappingBudget& budget) : budget_(&budget) {}
  MappingShare(const MappingShare&) = delete;
  MappingShare& operator=(const MappingShare&) = delete;
  ~MappingShare() { budget_->give_back(count_); }

  Result<void> take(size_t count) {
    CALF_CHECK_OK(budget_->take(count));
    count_ += count;
    return {};
  }
  void give_back(size_t count) {
    budget_->give_back(count);
    count_ -= count;
  }

 private:
  MappingBudget* budget_;
  size_t count_ = 0;
};

}  // namespace calf::os
