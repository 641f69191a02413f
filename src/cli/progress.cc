#include "cli/progress.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

namespace calf::cli {

Progress::Progress(std::string what, Signals* signals, bool quiet, std::FILE* stream)
    : what_(std::move(what)),
      signals_(signals),
      quiet_(quiet),
      stream_(stream),
      terminal_(::isatty(::fileno(stream)) != 0) {}

Result<void> Progress::report(std::uint64_t done, std::uint64_t total, Clock::time_point now) {
  if (signals_ != nullptr && signals_->take() != 0) {
    return fail(ErrorCode::kCancelled, what_ + ": interrupted");
  }
  if (total == 0) return {};
  const double percent = 100.0 * static_cast<double>(done) / static_cast<double>(total);
  say(fmt::format("{}: {} of {} ({:.0f} %)", what_, bytes_text(done), bytes_text(total), percent),
      now);
  return {};
}

void Progress::say(const std::string& text, Clock::time_point now) {
  if (quiet_ || now - last_line_ < (terminal_ ? kBetweenRewrites : kBetweenLines)) return;
  last_line_ = now;
  shown_ = terminal_;
  std::fprintf(stream_, terminal_ ? "\r\033[Kcalf: %s" : "calf: %s\n", text.c_str());
  std::fflush(stream_);
}

void Progress::clear() {
  if (shown_) std::fprintf(stream_, "\r\033[K");
  shown_ = false;
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
