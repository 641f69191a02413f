#include "os/mapping_budget.h"

#include <fstream>

namespace calf::os {
namespace {

size_t system_limit() {
  constexpr size_t kDefault = 65'530;
  size_t limit = 0;
  std::ifstream file("/proc/sys/vm/max_map_count");
  return file >> limit && limit > 0 ? limit : kDefault;
}

}  // namespace

MappingBudget& MappingBudget::of_program() {
  static MappingBudget budget(system_limit() / 10 * 9);
  return budget;
}

Result<void> MappingBudget::take(size_t count) {
  if (used_.fetch_add(count, std::memory_order_relaxed) + count <= limit_) return {};
  give_back(count);
  return fail(
      ErrorCode::kResourceExhausted,
      "too many databases and sessions are in use at the same time for this system",
      "Close some, or raise the limit of memory mappings: sysctl -w vm.max_map_count=1048576");
}

}  // namespace calf::os
