// How far long work is, on standard error: nothing for what is quick, then a line now and then. And
// the way to end it with a signal.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "cli/engine_factory.h"
#include "cli/signals.h"

namespace calf::cli {

// One thread. Give out observer() only as long as the object lives.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kBetweenLines{2};

  // `what` stands before the figures: "reading the snapshot". `signals` may be null.
  Progress(std::string what, Signals* signals, bool quiet, std::FILE* stream = stderr)
      : what_(std::move(what)), signals_(signals), quiet_(quiet), stream_(stream) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  [[nodiscard]] WorkObserver observer() {
    return [this](std::uint64_t done, std::uint64_t total) {
      return report(done, total, Clock::now());
    };
  }

  // kCancelled after a signal. A total of 0 is not known yet.
  Result<void> report(std::uint64_t done, std::uint64_t total, Clock::time_point now);

 private:
  std::string what_;
  Signals* signals_;
  bool quiet_;
  std::FILE* stream_;
  Clock::time_point last_line_ = Clock::now();
};

// "12.3 MB", as people count: powers of ten.
std::string bytes_text(std::uint64_t bytes);

}  // namespace calf::cli
