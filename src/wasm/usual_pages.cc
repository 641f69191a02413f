#include "wasm/usual_pages.h"

#include <algorithm>
#include <iterator>

namespace calf::wasm {
namespace {

std::vector<uint32_t> in_both(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  std::vector<uint32_t> both;
  std::ranges::set_intersection(a, b, std::back_inserter(both));
  return both;
}

}  // namespace

void UsualPages::learn(const LinearMemory& memory) {
  const std::lock_guard lock(mutex_);
  if (teachers_ >= kTeachers) return;
  std::vector<uint32_t> written = memory.written_pages();
  common_ = teachers_++ == 0 ? std::move(written) : in_both(common_, written);
}

std::vector<uint32_t> UsualPages::pages() const {
  const std::lock_guard lock(mutex_);
  return teachers_ >= kTeachers ? common_ : std::vector<uint32_t>{};
}

}  // namespace calf::wasm
