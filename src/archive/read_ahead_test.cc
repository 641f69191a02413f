#include "archive/read_ahead.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "archive/archiver.h"
#include "archive/restore.h"
#include "archive/testing/database.h"
#include "blob/fault_store.h"
#include "blob/memory_store.h"

namespace calf::archive {
namespace {

using testing::Database;
using testing::Folder;

blob::Limits limits(std::stop_token stop = {}) {
  return blob::Limits::within(20'000, std::move(stop));
}

// Objects 1 to `count` of epoch 1, each a little away; remembers what was asked for.
class Far {
 public:
  explicit Far(std::uint64_t count, std::size_t bytes = 10) : count_(count), bytes_(bytes) {}
  ReadAhead::Fetch fetch() {
    return [this](Position position, const blob::Limits& l) -> Result<std::optional<std::string>> {
      const int now = ++under_way_;
      int most = most_;
      while (now > most && !most_.compare_exchange_weak(most, now)) {
      }
      ++asked_;
      l.sleep_ms(2);
      --under_way_;
      CALF_CHECK_OK(l.check("fetching"));
      if (position.sequence > count_) return std::nullopt;
      return std::string(bytes_, static_cast<char>('a' + position.sequence % 26));
    };
  }
  [[nodiscard]] int most() const { return most_; }
  [[nodiscard]] int asked() const { return asked_; }

 private:
  const std::uint64_t count_;
  const std::size_t bytes_;
  std::atomic<int> under_way_ = 0;
  std::atomic<int> most_ = 0;
  std::atomic<int> asked_ = 0;
};

TEST(ReadAheadTest, gives_objects_in_order_and_fetches_several_at_once) {
  Far far(50);
  ReadAhead ahead(far.fetch(), limits());
  for (std::uint64_t i = 1; i <= 50; ++i) {
    const auto taken = ahead.take({1, i});
    ASSERT_TRUE(taken && *taken);
    EXPECT_EQ((**taken)[0], static_cast<char>('a' + i % 26));
  }
  const auto end = ahead.take({1, 51});
  EXPECT_TRUE(end && !*end);
  EXPECT_GT(far.most(), 3);
  EXPECT_LE(far.most(), static_cast<int>(ReadAhead::kMostAhead));
}

TEST(ReadAheadTest, asks_once_where_nothing_is_new) {
  Far far(0);
  ReadAhead ahead(far.fetch(), limits());
  const auto taken = ahead.take({1, 1});
  EXPECT_TRUE(taken && !*taken);
  EXPECT_EQ(far.asked(), 1);
}

TEST(ReadAheadTest, holds_few_large_objects) {
  Far far(12, ReadAhead::kMostBytesAhead / 2);
  ReadAhead ahead(far.fetch(), limits());
  for (std::uint64_t i = 1; i <= 12; ++i) ASSERT_TRUE(*ahead.take({1, i}));
  EXPECT_LE(far.most(), 2);
}

TEST(ReadAheadTest, goes_on_elsewhere) {
  Far far(20);
  ReadAhead ahead(far.fetch(), limits());
  for (std::uint64_t i = 1; i <= 7; ++i) ASSERT_TRUE(*ahead.take({1, i}));
  for (std::uint64_t i = 3; i <= 9; ++i) {
    const auto taken = ahead.take({2, i});
    ASSERT_TRUE(taken && *taken);
    EXPECT_EQ((**taken)[0], static_cast<char>('a' + i % 26));
  }
}

TEST(ReadAheadTest, ends_when_it_is_told) {
  std::stop_source stop;
  Far far(1'000'000);
  ReadAhead ahead(far.fetch(), limits(stop.get_token()));
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    stop.request_stop();
  });
  for (std::uint64_t i = 1;; ++i) {
    const auto taken = ahead.take({1, i});
    if (taken) continue;
    EXPECT_EQ(taken.error().code, ErrorCode::kCancelled);
    break;
  }
}

TEST(ReadAheadTest, a_restore_of_many_segments_survives_faults) {
  const Folder folder;
  blob::MemoryStore memory;
  constexpr int kCommits = 80;
  {
    auto archiver = Archiver::open(memory, {.database = folder / "a.db", .interval_ms = 60'000});
    ASSERT_TRUE(archiver) << archiver.error().to_string();
    Database db(folder / "a.db");
    db.run("create table t(x, filler); insert into t values (0, randomblob(6000000))");
    ASSERT_TRUE((*archiver)->commit_barrier(limits()));
    for (int i = 1; i <= kCommits; ++i) {
      db.run("insert into t values (" + std::to_string(i) + ", null)");
      ASSERT_TRUE((*archiver)->commit_barrier(limits()));
    }
    ASSERT_TRUE((*archiver)->stop(limits()));
  }
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    blob::FaultStore store(memory, {.seed = seed, .refused = 0.15, .partial_read = 0.1});
    const auto file = folder / ("copy" + std::to_string(seed));
    std::uint64_t segments = 0;
    const RestoreOptions options{
        .progress = [&](const RestoreProgress& so_far) { segments = so_far.segments; }};
    // Only the base is not repeated here, but by who restores.
    auto restored = restore(store, file, options, limits());
    for (int i = 0; i < 20 && !restored; ++i) restored = restore(store, file, options, limits());
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_GE(segments, std::uint64_t{kCommits} / 2);
    EXPECT_GT(store.faults(), 5U);
    Database copy(file);
    EXPECT_EQ(copy.query("PRAGMA integrity_check"), "ok|");
    EXPECT_EQ(copy.query("select count(*), max(x) from t"),
              std::to_string(kCommits + 1) + "|" + std::to_string(kCommits) + "|");
  }
}

}  // namespace
}  // namespace calf::archive
