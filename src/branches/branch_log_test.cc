#include "branches/branch_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace calf::branches {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(BranchLog, lines_wait_until_the_branch_has_a_name) {
  std::vector<std::string> lines;
  BranchLog log([&](std::string_view line) { lines.emplace_back(line); });
  log.write("ready");
  log.write("steady");
  EXPECT_THAT(lines, IsEmpty());
  log.set_name("b1");
  EXPECT_THAT(lines, ElementsAre("b1: ready", "b1: steady"));
  log.write("go");
  EXPECT_EQ(lines.back(), "b1: go");
}

TEST(BranchLog, without_a_sink_it_says_nothing) {
  BranchLog log({});
  log.write("ready");
  log.set_name("b1");
  log.write("go");
}

}  // namespace
}  // namespace calf::branches
