#include "os/mapping_budget.h"

#include <gtest/gtest.h>

namespace calf::os {
namespace {

TEST(MappingBudget, gives_no_more_than_it_has) {
  MappingBudget budget(10);
  MappingShare share(budget);
  ASSERT_TRUE(share.take(10));
  const auto refused = share.take(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_NE(refused.error().hint.find("vm.max_map_count"), std::string::npos);
  EXPECT_EQ(budget.used(), 10U);
}

TEST(MappingBudget, has_them_back_when_their_owner_is_gone) {
  MappingBudget budget(10);
  {
    MappingShare share(budget);
    ASSERT_TRUE(share.take(8));
    share.give_back(3);
    EXPECT_EQ(budget.used(), 5U);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(MappingBudget, of_the_program_is_below_the_systems_limit) {
  EXPECT_GT(MappingBudget::of_program().limit(), 1000U);
}

}  // namespace
}  // namespace calf::os
