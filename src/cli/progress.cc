#include "cli/progress.h"

#include <spdlog/fmt/fmt.h>

namespace calf::cli {

Result<void> Progress::report(std::uint64_t done, std::uint64_t total, Clock::time_point now) {
  if (signals_ != nullptr && signals_->take() != 0) {
    return fail(ErrorCode::kCancelled, what_ + ": interrupted");
  }
  if (quiet_ || total == 0 || now - last_line_ < kBetweenLines) return {};
  last_line_ = now;
  const double percent = 100.0 * static_cast<double>(done) / static_cast<double>(total);
  const std::string line = fmt::format("calf: {}: {} of {} ({:.0f} %)\n", what_, bytes_text(done),
                                       bytes_text(total), percent);
  std::fwrite(line.data(), 1, line.size(), stream_);
  std::fflush(stream_);
  return {};
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "kB", "MB", "GB", "TB"};
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace calf::cli
