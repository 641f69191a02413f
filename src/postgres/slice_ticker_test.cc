#include "postgres/slice_ticker.h"

#include <gtest/gtest.h>

#include <chrono>

namespace calf::postgres {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

bool becomes_set(const volatile uint32_t& flag, std::chrono::milliseconds within) {
  const auto deadline = Clock::now() + within;
  while (flag == 0 && Clock::now() < deadline) std::this_thread::sleep_for(100us);
  return flag != 0;
}

// Slow enough for what comes before the first tick, also on a busy machine.
std::shared_ptr<TickThread> slow_ticks() {
  return std::make_shared<TickThread>(std::chrono::nanoseconds(300ms).count());
}

TEST(SliceTicker, tells_who_runs_for_long_and_only_them) {
  const auto ticks = slow_ticks();
  SliceTicker busy(ticks);
  SliceTicker idle(ticks);
  volatile uint32_t busy_flag = 0;
  volatile uint32_t idle_flag = 0;
  idle.begin(&idle_flag);
  idle.end();
  busy.begin(&busy_flag);
  EXPECT_TRUE(becomes_set(busy_flag, 20s));
  EXPECT_EQ(idle_flag, 0U);
  EXPECT_FALSE(idle.expired());
}

TEST(SliceTicker, gives_each_run_a_slice_of_its_own) {
  SliceTicker ticker(slow_ticks());
  for (int i = 0; i < 2; ++i) {
    volatile uint32_t flag = 0;
    ticker.begin(&flag);
    EXPECT_FALSE(ticker.expired());
    EXPECT_TRUE(becomes_set(flag, 20s));
    ticker.end();
    EXPECT_TRUE(ticker.expired());
  }
}

TEST(SliceTicker, ticks_again_after_a_long_pause) {
  SliceTicker ticker(nullptr);
  for (int i = 0; i < 3; ++i) {
    volatile uint32_t flag = 0;
    ticker.begin(&flag);
    EXPECT_TRUE(becomes_set(flag, 20s));
    ticker.end();
    std::this_thread::sleep_for(120ms);  // long enough to be parked
  }
}

TEST(SliceTicker, may_end_while_others_go_on) {
  const auto ticks = SliceTicker::make_thread();
  SliceTicker stays(ticks);
  volatile uint32_t flag = 0;
  stays.begin(&flag);
  for (int i = 0; i < 50; ++i) {
    SliceTicker passing(ticks);
    volatile uint32_t other = 0;
    passing.begin(&other);
    passing.end();
  }
  EXPECT_TRUE(becomes_set(flag, 20s));
  stays.end();
}

}  // namespace
}  // namespace calf::postgres
