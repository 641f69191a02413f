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
#include "pgfiles/relation_files.h"
#include "vfs/directory_file_system.h"

namespace calf::node {
namespace {

using namespace testing;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// The files of the session's database that belong to a relation: ",1259,1249,". Others are of
// tables whose creation was never committed. PostgreSQL does not look at them any more, nor flush
// their WAL before their pages, so anything may be in them.
std::string files_in_use(Session& session) {
  return ask(session,
             "select ',' || string_agg(pg_relation_filenode(oid)::text, ',') || ',' "
             "from pg_class");
}

// The pages of a stopped cluster that are not as they should be.
std::string damaged_pages(const DiskPointer& disk, const std::string& in_use) {
  auto data = vfs::DirectoryFileSystem::open({.path = kDataDirectory, .files = disk});
  if (!data) return data.error().to_string();
  const auto control = pgfiles::read_control_file(**data);
  if (!control) return control.error().to_string();
  const auto files = pgfiles::list_relation_files(**data);
  if (!files) return files.error().to_string();
  const auto checked =
      pgfiles::check_pages(**data, *control, *files, [](uint64_t) { return true; });
  if (!checked) return checked.error().to_string();
  std::string problems;
  for (const auto& each : checked->problems) {
    const bool leftover =
        each.file.directory == "base/5" &&
        in_use.find(fmt::format(",{},", each.file.file_number)) == std::string::npos;
    if (!leftover) problems += each.file.path + ": " + each.message + "\n";
  }
  return problems;
}

// Opens what a power cut has left and says what is wrong with it.
std::string problems_on(const DiskPointer& disk, const Ledger& ledger) {
  auto cluster = ClusterOnDisk::start(disk);
  if (!cluster) return "the cluster does not start: " + cluster.error().to_string();
  auto session = (*cluster)->connect();
  if (!session) return "nobody can log in: " + session.error().to_string();
  std::string problems = ledger.problems(**session);
  const std::string in_use = files_in_use(**session);
  session->reset();
  if (auto stopped = (*cluster)->stop(); !stopped) problems += stopped.error().to_string() + "\n";
  problems += damaged_pages(disk, in_use);
  return problems.empty() ? "" : problems + (*cluster)->log();
}

enum class Sessions { kInTurns, kAtOnce };

// One life of a cluster that ends in the dark, perhaps more than once.
struct Round {
  uint64_t seed;
  Sessions sessions;
  ClusterOnDisk::Settings settings = quiet_settings();
  size_t acknowledged = 0;

  std::string problems() {
    std::mt19937_64 dice(seed);
    Ledger ledger(seed);
    const DiskPointer disk = disk_with_ledger();
    const bool while_starting = dice() % 10 == 0;
    if (while_starting) disk->cut_power_at(dice() % 100);
    auto cluster = ClusterOnDisk::start(disk, settings);
    if (cluster && (*cluster)->connect()) {
      constexpr uint64_t kMostOperations = 800;
      if (!while_starting) disk->cut_power_at(disk->operations() + dice() % kMostOperations);
      constexpr int kMostTransactions = 120;
      const int count = 1 + static_cast<int>(dice() % 6);
      if (sessions == Sessions::kInTurns) {
        ledger.run_in_turns(**cluster, count, kMostTransactions);
      } else {
        ledger.run_at_once(**cluster, count + 2, kMostTransactions);
      }
    }
    cluster = nullptr;
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

class PowerCutUnderLoad : public ::testing::TestWithParam<Sessions> {};

TEST_P(PowerCutUnderLoad, loses_nothing_that_was_acknowledged) {
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

INSTANTIATE_TEST_SUITE_P(Sessions, PowerCutUnderLoad,
                         ::testing::Values(Sessions::kInTurns, Sessions::kAtOnce),
                         [](const auto& info) {
                           return info.param == Sessions::kInTurns ? "in_turns" : "at_once";
                         });

// The same few transactions, cut off at one operation after the other.
TEST(PowerCut, may_come_at_any_operation) {
  constexpr uint64_t kSeed = 11;
  constexpr int kTransactions = 14;
  uint64_t last = 0;
  {
    const DiskPointer disk = disk_with_ledger();
    auto cluster = ClusterOnDisk::start(disk);
    ASSERT_TRUE(cluster) << cluster.error().to_string();
    Ledger(kSeed).run_in_turns(**cluster, 3, kTransactions);
    last = disk->operations();
  }
  const uint64_t points = number_from("CALF_ROUNDS", 25);
  for (uint64_t i = 0; i < points; ++i) {
    const uint64_t at = i * last / points;
    const DiskPointer disk = disk_with_ledger();
    disk->cut_power_at(at);
    Ledger ledger(kSeed);
    if (auto cluster = ClusterOnDisk::start(disk)) ledger.run_in_turns(**cluster, 3, kTransactions);
    EXPECT_TRUE(disk->is_cut());
    ASSERT_EQ(problems_on(disk->after_power_cut(at), ledger), "") << "cut at operation " << at;
  }
}

TEST(PowerCut, leaves_a_whole_data_directory_or_none_when_it_is_being_made) {
  auto whole = std::make_shared<SimulatedDisk>();
  ASSERT_TRUE(create_data_directory(whole, kDataDirectory));
  const uint64_t last = whole->operations();
  std::vector<uint64_t> moments = {last - 3, last - 2, last - 1, last};
  const uint64_t points = number_from("CALF_ROUNDS", 8);
  for (uint64_t i = 0; i < points; ++i) moments.push_back(i * last / points);
  size_t made = 0;
  for (const uint64_t at : moments) {
    auto disk = std::make_shared<SimulatedDisk>();
    disk->cut_power_at(at);
    EXPECT_EQ(create_data_directory(disk, kDataDirectory).has_value(), at == last);
    const DiskPointer left = disk->after_power_cut(at);
    const bool there = left->fstatat(AT_FDCWD, kDataDirectory, 0).has_value();
    made += there ? 1 : 0;
    if (!there) {
      const auto again = create_data_directory(left, kDataDirectory);
      ASSERT_TRUE(again) << again.error().to_string() << " after a cut at " << at;
    }
    auto cluster = ClusterOnDisk::start(left);
    ASSERT_TRUE(cluster) << cluster.error().to_string() << " after a cut at " << at;
    auto session = (*cluster)->connect();
    ASSERT_TRUE(session);
    EXPECT_EQ(damage_in(**session), "") << "after a cut at " << at;
  }
  EXPECT_GE(made, 1u);
}

TEST(DataDirectory, takes_away_what_killed_programs_left_when_it_is_made) {
  auto disk = std::make_shared<SimulatedDisk>();
  for (const char* leftover : {"/.data.new-1", "/.data.new-2", "/.other.new-1"})
    ASSERT_TRUE(disk->mkdirat(AT_FDCWD, leftover, 0700));
  ASSERT_TRUE(disk->mkdirat(AT_FDCWD, "/.data.new-1/base", 0700));
  const timespec long_ago[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_TRUE(disk->utimensat(AT_FDCWD, "/.data.new-1", long_ago, 0));
  ASSERT_TRUE(create_data_directory(disk, kDataDirectory));
  EXPECT_FALSE(disk->fstatat(AT_FDCWD, "/.data.new-1", 0));
  EXPECT_TRUE(disk->fstatat(AT_FDCWD, "/.data.new-2", 0)) << "perhaps being made just now";
  EXPECT_TRUE(disk->fstatat(AT_FDCWD, "/.other.new-1", 0)) << "another directory's";
}

TEST(PowerCutHarness, notices_a_cluster_that_does_not_sync) {
  auto settings = quiet_settings();
  settings.emplace_back("fsync", "off");
  constexpr uint64_t kMostRounds = 20;
  std::string problems;
  for (uint64_t seed = 1; seed <= kMostRounds && problems.empty(); ++seed)
    problems = Round{.seed = seed, .sessions = Sessions::kInTurns, .settings = settings}.problems();
  EXPECT_NE(problems, "");
}

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
