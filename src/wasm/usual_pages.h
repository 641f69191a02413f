// Which of its private pages a process writes to whatever it does, as far as others that began with
// the same image show. They can be made writable in advance.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "wasm/linear_memory.h"

namespace calf::wasm {

// Any thread.
class UsualPages {
 public:
  // Is nothing more to be learned?
  [[nodiscard]] bool is_known() const;
  // From a process that has ended: usual is what the first two have in common.
  void learn(const LinearMemory& memory);
  // By number, ascending; none before they are known.
  [[nodiscard]] std::vector<uint32_t> pages() const;

 private:
  static constexpr int kTeachers = 2;

  mutable std::mutex mutex_;
  int learned_from_ = 0;
  std::vector<uint32_t> common_;
};

}  // namespace calf::wasm
