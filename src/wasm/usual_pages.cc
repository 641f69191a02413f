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
  LinearMemory::UsedPages used = memory.used_pages();
  if (teachers_++ == 0) {
    common_ = std::move(used);
  } else {
    common_ = {.written = in_both(common_.written, used.written),
               .others = in_both(common_.others, used.others)};
  }
}

LinearMemory::UsedPages UsualPages::pages() const {
  const std::lock_guard lock(mutex_);
  return teachers_ >= kTeachers ? common_ : LinearMemory::UsedPages{};
}

}  // namespace calf::wasm
