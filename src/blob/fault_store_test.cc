#include "blob/fault_store.h"

#include <gtest/gtest.h>

#include "blob/memory_store.h"

namespace calf::blob {
namespace {

Limits limits() {
  return Limits::within(5'000);
}

std::string outcomes(std::uint64_t seed) {
  MemoryStore memory;
  FaultStore store(memory, {.seed = seed, .refused = 0.2, .lost_acknowledgement = 0.2});
  std::string text;
  for (int i = 0; i < 100; ++i) {
    text +=
        put_bytes(store, "k" + std::to_string(i), "v", Condition::absent(), limits()) ? '+' : '-';
  }
  return text;
}

TEST(FaultStore, fails_alike_with_the_same_seed) {
  EXPECT_EQ(outcomes(1), outcomes(1));
  EXPECT_NE(outcomes(1), outcomes(2));
}

TEST(FaultStore, loses_acknowledgements_not_writes) {
  MemoryStore memory;
  FaultStore store(memory, {.lost_acknowledgement = 1});
  EXPECT_FALSE(put_bytes(store, "k", "v", Condition::none(), limits()));
  EXPECT_EQ(fetch(memory, "k", 10, limits())->bytes, "v");
}

TEST(FaultStore, gives_a_part_and_breaks_off) {
  MemoryStore memory;
  ASSERT_TRUE(put_bytes(memory, "k", "0123456789", Condition::none(), limits()));
  FaultStore store(memory, {.partial_read = 1});
  std::string seen;
  const auto info = store.get(
      "k", {},
      [&](std::string_view chunk) -> Result<void> {
        seen.append(chunk);
        return {};
      },
      limits());
  EXPECT_FALSE(info);
  EXPECT_EQ(seen, "01234");
}

TEST(FaultStore, is_cut_off_while_offline) {
  MemoryStore memory;
  FaultStore store(memory, {});
  store.set_offline(true);
  EXPECT_EQ(store.list({}, limits()).error().code, ErrorCode::kUnavailable);
  store.set_offline(false);
  EXPECT_TRUE(store.list({}, limits()));
}

}  // namespace
}  // namespace calf::blob
