#include "branches/branch_log.h"

#include <utility>

namespace calf::branches {

void BranchLog::set_name(const std::string& name) {
  const std::lock_guard lock(mutex_);
  prefix_ = name + ": ";
  for (const std::string& line : std::exchange(held_, {})) sink_(prefix_ + line);
}

void BranchLog::write(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (!sink_) return;
  if (prefix_.empty()) {
    held_.emplace_back(line);
  } else {
    sink_(prefix_ + std::string(line));
  }
}

}  // namespace calf::branches
