// Power cuts on a simulated disk, at moments that a seed chooses: what was acknowledged is there
// afterwards, nothing is half, nothing is damaged.
//
// CALF_SEED repeats one seed, CALF_ROUNDS asks for more (docs/durability.md).
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "base/log.h"
#include "node/data_directory.h"
#include "node/testing/ledger.h"

namespace calf::node {
namespace {

using namespace testing;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Opens what a power cut has left and says what is wrong with it.
std::string problems_on(const DiskPointer& disk, const Ledger& ledger) {
  auto cluster = ClusterOnDisk::start(disk);
  if (!cluster) return "the cluster does not start: " + cluster.error().to_string();
  auto session = (*cluster)->connect();
  if (!session) return "nobody can log in: " + session.error().to_string();
  const std::string problems = ledger.problems(**session);
  return problems.empty() ? "" : problems + (*cluster)->log();
}

enum class Sessions { kInTurns, kAtOnce };

// One life of a cluster that ends in the dark, perhaps more than once.
struct Round {
  uint64_t seed;
  Sessions sessions;
  size_t acknowledged = 0;

  std::string problems() {
    std::mt19937_64 dice(seed);
    Ledger ledger(seed);
    const DiskPointer disk = disk_with_ledger();
    constexpr uint64_t kMostOperations = 700;
    disk->cut_power_at(dice() % kMostOperations);
    if (auto cluster = ClusterOnDisk::start(disk)) {
      constexpr int kMostTransactions = 120;
      const int count = 1 + static_cast<int>(dice() % 6);
      if (sessions == Sessions::kInTurns) {
        ledger.run_in_turns(**cluster, count, kMostTransactions);
      } else {
        ledger.run_at_once(**cluster, count + 2, kMostTransactions);
      }
    }
    acknowledged = ledger.acknowledged();
    DiskPointer left = disk->after_power_cut(dice());
    // Recovery may be cut short as well.
    while (dice() % 3 == 0) {
      left->cut_power_at(dice() % 150);
      (void)ClusterOnDisk::start(left);
      left = left->after_power_cut(dice());
    }
    return problems_on(left, ledger);
  }
};

class PowerCut : public ::testing::TestWithParam<Sessions> {};

TEST_P(PowerCut, loses_nothing_that_was_acknowledged) {
  const uint64_t rounds = number_from("CALF_ROUNDS", 8);
  const char* chosen = std::getenv("CALF_SEED");
  uint64_t seed = number_from("CALF_SEED", std::random_device{}());
  size_t acknowledged = 0;
  for (uint64_t i = 0; i < (chosen != nullptr ? 1 : rounds); ++i, ++seed) {
    Round round{.seed = seed, .sessions = GetParam()};
    const std::string problems = round.problems();
    acknowledged += round.acknowledged;
    ASSERT_EQ(problems, "") << "repeat it with CALF_SEED=" << seed;
  }
  std::cout << "seeds up to " << seed - 1 << ", " << acknowledged << " acknowledged commits\n";
}

INSTANTIATE_TEST_SUITE_P(Sessions, PowerCut,
                         ::testing::Values(Sessions::kInTurns, Sessions::kAtOnce),
                         [](const auto& info) {
                           return info.param == Sessions::kInTurns ? "in_turns" : "at_once";
                         });

TEST(PowerCutHarness, asks_the_disk_for_the_same_when_it_runs_again) {
  uint64_t digests[2] = {};
  uint64_t operations[2] = {};
  for (int i = 0; i < 2; ++i) {
    const DiskPointer disk = disk_with_ledger();
    auto cluster = ClusterOnDisk::start(disk);
    ASSERT_TRUE(cluster) << cluster.error().to_string();
    Ledger(7).run_in_turns(**cluster, 4, 40);
    digests[i] = disk->operations_digest();
    operations[i] = disk->operations();
  }
  EXPECT_EQ(operations[0], operations[1]);
  EXPECT_EQ(digests[0], digests[1]);
}

}  // namespace
}  // namespace calf::node
