// Which pages a process uses whatever it does, as far as others that began with the same image
// show. They can be made ready in advance.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "wasm/linear_memory.h"

namespace calf::wasm {

// Any thread.
class UsualPages {
 public:
  // From a process that has done its work. Usual is what the first two have in common; later ones
  // are not looked at.
  void learn(const LinearMemory& memory);
  // None before they are known.
  [[nodiscard]] LinearMemory::UsedPages pages() const;

 private:
  static constexpr int kTeachers = 2;

  mutable std::mutex mutex_;
  int teachers_ = 0;
  LinearMemory::UsedPages common_;
};

}  // namespace calf::wasm
