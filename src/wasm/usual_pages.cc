#include "wasm/usual_pages.h"

#include <algorithm>
#include <iterator>

namespace calf::wasm {

bool UsualPages::is_known() const {
  const std::lock_guard lock(mutex_);
  return learned_from_ >= kTeachers;
}

void UsualPages::learn(const LinearMemory& memory) {
  const std::vector<uint32_t> written = memory.written_pages();
  const std::lock_guard lock(mutex_);
  if (learned_from_++ == 0) {
    common_ = written;
    return;
  }
  std::vector<uint32_t> both;
  std::ranges::set_intersection(common_, written, std::back_inserter(both));
  common_ = std::move(both);
}

std::vector<uint32_t> UsualPages::pages() const {
  const std::lock_guard lock(mutex_);
  return learned_from_ >= kTeachers ? common_ : std::vector<uint32_t>{};
}

}  // namespace calf::wasm
