// Fetches what comes next while what came is being used: for walking the chain forward over a
// network where each object costs a round trip.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <optional>
#include <string>

#include "archive/page_set.h"
#include "blob/limits.h"

namespace calf::archive {

// One thread. It guesses that sequence follows sequence, and the more often it was right, the
// further ahead it looks: one object, two, four, … kMostAhead, or as many as are about
// kMostBytesAhead. A guess that was wrong, or too early, costs a request and nothing else.
class ReadAhead {
 public:
  static constexpr std::size_t kMostAhead = 8;
  static constexpr std::size_t kMostBytesAhead = 64u << 20;

  // The bytes at a position; nothing when there are none. Called on several threads at once.
  using Fetch =
      std::function<Result<std::optional<std::string>>(Position position, const blob::Limits&)>;

  ReadAhead(Fetch fetch, const blob::Limits& limits)
      : fetch_(std::move(fetch)),
        limits_{.deadline_ns = limits.deadline_ns, .stop = stop_.get_token()},
        outer_stop_(limits.stop, [this] { stop_.request_stop(); }) {}
  // Ends what is under way.
  ~ReadAhead() { stop_.request_stop(); }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // What `fetch` says of `position`, now or a moment ago. Blocks.
  Result<std::optional<std::string>> take(Position position);

 private:
  struct Pending {
    Position position{};
    std::future<Result<std::optional<std::string>>> bytes{};
  };
  void begin(Position position);

  const Fetch fetch_;
  std::stop_source stop_;
  const blob::Limits limits_;
  const std::stop_callback<std::function<void()>> outer_stop_;
  std::deque<Pending> pending_;
  Position next_{};  // what is probably taken next
  std::size_t window_ = 1;
  std::size_t largest_ = 0;
};

}  // namespace calf::archive
