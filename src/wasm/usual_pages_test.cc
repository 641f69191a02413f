#include "wasm/usual_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace calf::wasm {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;

constexpr uint32_t kGlobals[CALF_GLOBAL_SLOTS] = {};
constexpr uint32_t kPageBytes = 4096;

// A memory of 1 MiB whose process has written to these pages.
std::unique_ptr<LinearMemory> memory_with(std::initializer_list<uint32_t> pages) {
  auto memory = LinearMemory::create(16, kGlobals);
  EXPECT_TRUE(memory);
  for (const uint32_t page : pages) (*memory)->base()[page * kPageBytes] = 1;
  return std::move(*memory);
}

TEST(UsualPages, are_what_the_first_two_have_in_common) {
  UsualPages usual;
  usual.learn(*memory_with({3, 4, 9}));
  EXPECT_THAT(usual.pages(), IsEmpty());
  usual.learn(*memory_with({4, 9, 12}));
  const std::vector<uint32_t> both = usual.pages();
  EXPECT_THAT(both, Contains(4u));
  EXPECT_THAT(both, Contains(9u));
  EXPECT_THAT(both, Not(Contains(3u)));
  EXPECT_THAT(both, Not(Contains(12u)));
  usual.learn(*memory_with({4}));
  EXPECT_EQ(usual.pages(), both);
}

TEST(UsualPages, may_be_known_from_before) {
  UsualPages usual({4, 9});
  usual.learn(*memory_with({4}));
  EXPECT_EQ(usual.pages(), (std::vector<uint32_t>{4, 9}));
}

TEST(UsualPages, that_are_made_ready_are_as_they_were) {
  auto memory = memory_with({5});
  memory->populate(std::vector<uint32_t>{4, 5, 6});
  EXPECT_EQ(memory->base()[5 * kPageBytes], 1);
  EXPECT_EQ(memory->base()[6 * kPageBytes], 0);
  EXPECT_THAT(memory->written_pages(), Contains(6u));
}

}  // namespace
}  // namespace calf::wasm
