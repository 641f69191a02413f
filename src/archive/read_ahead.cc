#include "archive/read_ahead.h"

#include <algorithm>

namespace calf::archive {

void ReadAhead::begin(Position position) {
  // Deferred where there can be no more threads.
  pending_.push_back(
      {position, std::async(std::launch::async | std::launch::deferred,
                            [this, position] { return fetch_(position, limits_); })});
}

Result<std::optional<std::string>> ReadAhead::take(Position position) {
  if (position != next_) {
    pending_.clear();  // waits: a guess of what is not there is answered soon
    window_ = 1;
  }
  next_ = {position.epoch, position.sequence + 1};
  if (pending_.empty()) begin(position);
  while (pending_.size() < window_) {
    const Position last = pending_.back().position;
    begin({last.epoch, last.sequence + 1});
  }
  auto taken = pending_.front().bytes.get();
  pending_.pop_front();
  if (taken && *taken) {
    largest_ = std::max(largest_, (*taken)->size());
    window_ = std::clamp<std::size_t>(kMostBytesAhead / std::max<std::size_t>(largest_, 1), 1,
                                      std::min(2 * window_, kMostAhead));
  }
  return taken;
}

}  // namespace calf::archive
