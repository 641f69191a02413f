// Which pages a process writes to whatever it does, as far as others that began with the same image
// show. They can be made ready in advance.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "wasm/linear_memory.h"

namespace calf::wasm {

// Any thread.
class UsualPages {
 public:
  UsualPages() = default;
  // What pages() has told before of the same image. Nothing more is learned then, if there is any.
  explicit UsualPages(std::vector<uint32_t> known)
      : teachers_(known.empty() ? 0 : kTeachers), common_(std::move(known)) {}

  static constexpr int kTeachers = 2;
  // From a process that has done its work. Usual is what the first two have in common; later ones
  // are not looked at.
  void learn(const LinearMemory& memory);
  // None before they are known.
  [[nodiscard]] std::vector<uint32_t> pages() const;

 private:
  mutable std::mutex mutex_;
  int teachers_ = 0;
  std::vector<uint32_t> common_;
};

}  // namespace calf::wasm
