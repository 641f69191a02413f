// How far long work is, on standard error: nothing for what is quick, then a line now and then, on
// a terminal one that is written over. And the way to end it with a signal.
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
  static constexpr std::chrono::milliseconds kBetweenLines{2000};
  static constexpr std::chrono::milliseconds kBetweenRewrites{200};

  // `what` stands before the figures: "reading the snapshot". `signals` may be null.
  Progress(std::string what, Signals* signals, bool quiet, std::FILE* stream = stderr);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  [[nodiscard]] WorkObserver observer() {
    return [this](std::uint64_t done, std::uint64_t total) {
      return report(done, total, Clock::now());
    };
  }

  // Says how many of `total` bytes are done; 0: not known yet. kCancelled after a signal.
  Result<void> report(std::uint64_t done, std::uint64_t total, Clock::time_point now);

  // Says `text`, unless it was something else a moment ago.
  void say(const std::string& text, Clock::time_point now = Clock::now());

  // Takes away the line on a terminal, before other output.
  void clear();

 private:
  std::string what_;
  Signals* signals_;
  bool quiet_;
  std::FILE* stream_;
  bool terminal_;
  bool shown_ = false;  // a line without its end, on a terminal
  Clock::time_point last_line_ = Clock::now();
};

// "12.3 MB", as people count: powers of ten.
std::string bytes_text(std::uint64_t bytes);

}  // namespace calf::cli
