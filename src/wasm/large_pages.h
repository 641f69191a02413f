// Large pages for the shared memory of a busy cluster: one entry of the processor's address cache
// then covers 2 MB instead of 4 KB, and a process that is new needs no fault for each of them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "wasm/linear_memory.h"

namespace calf::wasm {

// Makes a large page of every piece of a region that is in memory as a whole already: memory does
// not grow by it. Systems that have no large pages for files in memory, or none left, refuse; then
// all stays as it was.
class LargePages {
 public:
  LargePages() = default;
  ~LargePages();
  LargePages(const LargePages&) = delete;
  LargePages& operator=(const LargePages&) = delete;

  // One thread; to be called often while there is work, costs nothing mostly. `memory`: of a
  // process that lives as long as its cluster and maps all its regions.
  void look(int64_t now_ns, const LinearMemory& memory);

  // How many there are. Any thread.
  [[nodiscard]] size_t made() const;

 private:
  static constexpr int64_t kLookEveryNs = 100'000'000;

  void watch(const LinearMemory& memory);
  void look_at_pieces();
  void work();

  // --- Of the caller's thread
  int64_t due_ns_ = 0;
  std::weak_ptr<const void> region_;  // its owner
  uint8_t* first_piece_ = nullptr;
  std::vector<bool> asked_;  // for each piece: has it been whole, and handed to the thread?

  // --- Shared
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<uint8_t*> whole_;
  size_t made_ = 0;
  bool stopping_ = false;
  std::thread thread_;  // started for the first piece: the system takes its time
};

}  // namespace calf::wasm
