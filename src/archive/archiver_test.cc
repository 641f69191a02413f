#include "archive/archiver.h"

#include <gtest/gtest.h>

#include <thread>

#include "archive/base.h"
#include "archive/follower.h"
#include "archive/testing/database.h"
#include "blob/fault_store.h"
#include "blob/memory_store.h"
#include "os/clock.h"

namespace calf::archive {
namespace {

using testing::Database;
using testing::Folder;

blob::Limits limits(std::int64_t timeout_ms = 20'000) {
  return blob::Limits::within(timeout_ms);
}

class Archive : public ::testing::Test {
 protected:
  ArchiverOptions options(const std::string& name) {
    return {
        .database = folder_ / name, .interval_ms = 20, .lease_ttl_ms = 600, .lease_wait_ms = 3'000};
  }
  std::unique_ptr<Archiver> open(const std::string& name) {
    auto archiver = Archiver::open(store_, options(name));
    EXPECT_TRUE(archiver) << archiver.error().to_string();
    return archiver ? std::move(*archiver) : nullptr;
  }
  // The rows of `sql` in a copy restored from the store.
  std::string restored(const std::string& sql, std::optional<std::int64_t> at_ms = {}) {
    const auto file = folder_ / blob::random_name("restored-");
    const auto header = restore(store_, file, {.at_ms = at_ms}, limits());
    if (!header) return "error: " + header.error().message;
    Database copy(file);
    EXPECT_EQ(copy.query("PRAGMA integrity_check"), "ok|");
    return copy.query(sql);
  }
  std::vector<std::string> keys(const std::string& prefix) {
    std::vector<std::string> found;
    EXPECT_TRUE(blob::list_all(
        store_, {.prefix = prefix},
        [&](const blob::ObjectInfo& object) -> Result<void> {
          found.push_back(object.key);
          return {};
        },
        limits()));
    return found;
  }
  static std::int64_t now_ms() { return os::SystemClock().realtime_ns() / 1'000'000; }

  Folder folder_;
  blob::MemoryStore memory_;
  blob::FaultStore store_{memory_, {}};
};

TEST_F(Archive, has_what_was_committed_before_the_barrier) {
  auto archiver = open("a.db");
  Database db(folder_ / "a.db");
  db.run("create table t(x); insert into t values (1), (2)");
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  EXPECT_EQ(restored("select sum(x) from t"), "3|");
  db.run("insert into t values (4)");
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  EXPECT_EQ(restored("select sum(x) from t"), "7|");
}

TEST_F(Archive, ships_by_itself_within_the_interval) {
  auto archiver = open("a.db");
  Database db(folder_ / "a.db");
  db.run("create table t(x); insert into t values (5)");
  for (int i = 0; i < 1000 && restored("select x from t") != "5|"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(restored("select x from t"), "5|");
}

TEST_F(Archive, takes_a_database_that_exists_already) {
  {
    Database db(folder_ / "old.db");
    db.run("create table t(x); insert into t values (1)");
  }
  auto archiver = open("old.db");
  EXPECT_EQ(restored("select x from t"), "1|");
}

TEST_F(Archive, starts_on_an_empty_machine_by_restoring) {
  {
    auto archiver = open("a.db");
    Database db(folder_ / "a.db");
    db.run("create table t(x); insert into t values ('kept')");
    ASSERT_TRUE(archiver->stop(limits()));
  }
  auto archiver = open("elsewhere.db");
  Database db(folder_ / "elsewhere.db");
  EXPECT_EQ(db.query("select x from t"), "kept|");
  db.run("insert into t values ('more')");
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  EXPECT_EQ(restored("select x from t"), "kept|more|");
}

TEST_F(Archive, goes_on_incrementally_after_a_restart_of_the_same_place) {
  std::string big(200'000, 'x');
  {
    auto archiver = open("a.db");
    Database db(folder_ / "a.db");
    db.run("create table t(x); insert into t values (randomblob(2000000))");
    ASSERT_TRUE(archiver->commit_barrier(limits()));
    db.run("insert into t values (1)");
  }  // as after a crash: the last commit may not be shipped
  const auto size_before = measure_chain(store_, limits())->segment_bytes;
  auto archiver = open("a.db");
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  EXPECT_EQ(restored("select count(*) from t"), "2|");
  EXPECT_LT(measure_chain(store_, limits())->segment_bytes, size_before + 100'000);
}

TEST_F(Archive, survives_checkpoints_of_other_connections) {
  auto archiver = open("a.db");
  Database db(folder_ / "a.db");
  db.run("create table t(x)");
  for (int i = 0; i < 60; ++i) {
    db.run("insert into t values (" + std::to_string(i) + ")");
    if (i % 7 == 0) db.query("pragma wal_checkpoint(truncate)");
    if (i % 5 == 0) db.query("pragma wal_checkpoint(restart)");
    if (i % 11 == 0) ASSERT_TRUE(archiver->commit_barrier(limits()));
  }
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  EXPECT_EQ(restored("select count(*), sum(x) from t"), "60|1770|");
}

TEST_F(Archive, empties_the_log_under_constant_writing) {
  ArchiverOptions small = options("a.db");
  small.checkpoint_bytes = 200'000;
  small.min_base_interval_bytes = 1u << 30;  // the log grows while a base is made
  auto archiver = Archiver::open(store_, small);
  ASSERT_TRUE(archiver);
  Database db(folder_ / "a.db");
  db.run("pragma wal_autocheckpoint=0; create table t(x)");
  for (int i = 0; i < 1500; ++i) {
    db.run("insert into t values (randomblob(20000))");
    // A writer that is faster than the store would be is not what this is about.
    if (i % 50 == 49) ASSERT_TRUE((*archiver)->commit_barrier(limits()));
  }
  ASSERT_TRUE((*archiver)->commit_barrier(limits()));
  EXPECT_LT(std::filesystem::file_size(folder_ / "a.db-wal"), 15'000'000u);
  EXPECT_EQ(restored("select count(*), sum(length(x)) from t"), "1500|30000000|");
}

TEST_F(Archive, cuts_one_large_commit_into_parts) {
  auto archiver = open("a.db");
  Database db(folder_ / "a.db");
  db.run(
      "create table t(x); insert into t select randomblob(1000000) from "
      "(with recursive n(i) as (select 1 union all select i + 1 from n where i < 30) select i from "
      "n)");
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  EXPECT_EQ(restored("select count(*), sum(length(x)) from t"), "30|30000000|");
  db.run("delete from t; vacuum");
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  EXPECT_EQ(restored("select count(*) from t"), "0|");
}

TEST_F(Archive, gives_every_recorded_moment_back) {
  auto archiver = open("a.db");
  Database db(folder_ / "a.db");
  db.run("create table t(x)");
  std::vector<std::pair<std::int64_t, int>> moments;
  for (int i = 1; i <= 30; ++i) {
    db.run("insert into t values (1)");
    if (i % 3 != 0) continue;
    ASSERT_TRUE(archiver->commit_barrier(limits()));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    moments.emplace_back(now_ms(), i);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  for (const auto& [at_ms, count] : moments) {
    EXPECT_EQ(restored("select count(*) from t", at_ms), std::to_string(count) + "|");
  }
  EXPECT_EQ(restored("select 1", 1000).substr(0, 5), "error");
}

TEST_F(Archive, makes_new_bases_and_deletes_what_no_moment_needs) {
  ArchiverOptions busy = options("a.db");
  busy.min_base_interval_bytes = 50'000;
  busy.retention_ms = 0;
  auto archiver = Archiver::open(store_, busy);
  ASSERT_TRUE(archiver);
  Database db(folder_ / "a.db");
  db.run("create table t(x)");
  for (int i = 0; i < 100; ++i) {
    db.run("update t set x = randomblob(10000)");
    if (i < 3) db.run("insert into t values (randomblob(10000))");
    ASSERT_TRUE((*archiver)->commit_barrier(limits()));
  }
  ASSERT_TRUE((*archiver)->stop(limits()));
  EXPECT_GE(keys("base/").size(), 1u);
  EXPECT_LE(keys("base/").size(), 3u);
  EXPECT_LT(keys("seg/").size(), 80u);
  EXPECT_EQ(restored("select count(*) from t"), "3|");
}

TEST_F(Archive, keeps_the_moments_of_the_retention) {
  ArchiverOptions busy = options("a.db");
  busy.min_base_interval_bytes = 20'000;
  auto archiver = Archiver::open(store_, busy);
  ASSERT_TRUE(archiver);
  Database db(folder_ / "a.db");
  db.run("create table t(x); insert into t values ('old')");
  ASSERT_TRUE((*archiver)->commit_barrier(limits()));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const std::int64_t then = now_ms();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  // Bases are made beside the commits.
  constexpr int kEnough = 40;
  constexpr int kTooMany = 20'000;
  for (int i = 0; i < kEnough || (keys("base/").size() < 2 && i < kTooMany); ++i) {
    db.run("update t set x = hex(randomblob(5000))");
    ASSERT_TRUE((*archiver)->commit_barrier(limits()));
  }
  EXPECT_GE(keys("base/").size(), 2u);
  EXPECT_EQ(restored("select x from t", then), "old|");
}

TEST_F(Archive, keeps_the_bound_while_the_store_does_not_answer) {
  ArchiverOptions bounded = options("a.db");
  bounded.max_unshipped_bytes = 100'000;
  bounded.interval_ms = 60'000;
  auto archiver = Archiver::open(store_, bounded);
  ASSERT_TRUE(archiver);
  Database db(folder_ / "a.db");
  db.run("create table t(x)");
  ASSERT_TRUE((*archiver)->commit_barrier(limits()));
  (*archiver)->note_commit(5);
  EXPECT_TRUE((*archiver)->check_writable());
  (*archiver)->note_commit(40);
  EXPECT_EQ((*archiver)->check_writable().error().code, ErrorCode::kResourceExhausted);
}

TEST_F(Archive, stops_a_writer_that_was_replaced) {
  auto first = open("a.db");
  Database db(folder_ / "a.db");
  db.run("create table t(x); insert into t values ('first')");
  ASSERT_TRUE(first->commit_barrier(limits()));
  // The first one cannot be reached for a while: the second one takes over.
  store_.set_offline(true);
  blob::FaultStore other_way(memory_, {});
  auto second = Archiver::open(other_way, options("b.db"));
  ASSERT_TRUE(second) << second.error().to_string();
  db.run("insert into t values ('lost')");
  store_.set_offline(false);
  const auto done = first->commit_barrier(limits());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(first->check_writable().error().code, ErrorCode::kPreconditionFailed);
  Database winner(folder_ / "b.db");
  winner.run("insert into t values ('second')");
  ASSERT_TRUE((*second)->commit_barrier(limits()));
  EXPECT_EQ(restored("select x from t"), "first|second|");
  // Back on the first machine: its file gives way to the archive's, and is kept aside.
  first.reset();
  ASSERT_TRUE((*second)->stop(limits()));
  auto third = open("a.db");
  Database back(folder_ / "a.db");
  EXPECT_EQ(back.query("select x from t"), "first|second|");
}

TEST_F(Archive, refuses_a_file_that_is_not_the_archives) {
  {
    auto archiver = open("a.db");
    ASSERT_TRUE(archiver->stop(limits()));
  }
  {
    Database db(folder_ / "foreign.db");
    db.run("create table precious(x)");
  }
  const auto archiver = Archiver::open(store_, options("foreign.db"));
  ASSERT_FALSE(archiver);
  EXPECT_EQ(archiver.error().code, ErrorCode::kAlreadyExists);
  Database db(folder_ / "foreign.db");
  EXPECT_EQ(db.query("select count(*) from precious"), "0|");
}

TEST_F(Archive, refuses_a_second_archiver_on_the_same_file) {
  auto archiver = open("a.db");
  const auto second = Archiver::open(store_, options("a.db"));
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("another process"), std::string::npos);
}

TEST_F(Archive, bridges_a_lost_network_up_to_a_bound) {
  ArchiverOptions bounded = options("a.db");
  bounded.max_unshipped_bytes = 500'000;
  auto archiver = Archiver::open(store_, bounded);
  ASSERT_TRUE(archiver);
  Database db(folder_ / "a.db");
  db.run("create table t(x)");
  ASSERT_TRUE((*archiver)->commit_barrier(limits()));
  store_.set_offline(true);
  int written = 0;
  for (; written < 500 && (*archiver)->check_writable(); ++written) {
    db.run("insert into t values (randomblob(10000))");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  constexpr int kMostPagesOfAnInsert = 6;  // header, root, two leaves, two overflow pages
  constexpr int kFrameBytes = 4096 + 24;
  EXPECT_GE(written, 500'000 / (kMostPagesOfAnInsert * kFrameBytes));
  EXPECT_LT(written, 500);
  EXPECT_EQ((*archiver)->check_writable().error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(db.query("select count(*) from t"), std::to_string(written) + "|");  // reads go on
  EXPECT_EQ((*archiver)->commit_barrier(limits(50)).error().code, ErrorCode::kDeadlineExceeded);
  store_.set_offline(false);
  ASSERT_TRUE((*archiver)->commit_barrier(limits()));
  for (int i = 0; i < 1000 && !(*archiver)->check_writable(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE((*archiver)->check_writable());
  EXPECT_EQ(restored("select count(*) from t"), std::to_string(written) + "|");
}

TEST_F(Archive, names_a_damaged_object) {
  auto archiver = open("a.db");
  Database db(folder_ / "a.db");
  db.run("create table t(x); insert into t values (1)");
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  const std::string key = keys("seg/").back();
  const std::string good = blob::fetch(memory_, key, 1 << 20, limits())->bytes;
  std::string bad = good;
  bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
  ASSERT_TRUE(blob::put_bytes(memory_, key, bad, blob::Condition::none(), limits()));
  EXPECT_NE(restored("select 1").find(key + " is damaged"), std::string::npos)
      << restored("select 1");
  ASSERT_TRUE(blob::put_bytes(memory_, key, good.substr(0, good.size() - 40),
                              blob::Condition::none(), limits()));
  EXPECT_NE(restored("select 1").find(key), std::string::npos);
  ASSERT_TRUE(blob::put_bytes(memory_, key, good, blob::Condition::none(), limits()));
  // A hole in the chain is no end of it.
  db.run("insert into t values (2)");
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  ASSERT_TRUE(memory_.remove(key, limits()));
  EXPECT_NE(restored("select 1").find(key + " is missing"), std::string::npos);
}

TEST_F(Archive, feeds_read_replicas_while_they_are_read) {
  auto archiver = open("a.db");
  Database db(folder_ / "a.db");
  db.run("create table t(x); insert into t values (1)");
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  auto follower =
      Follower::open(store_, {.database = folder_ / "replica.db", .max_staleness_ms = 200});
  ASSERT_TRUE(follower) << follower.error().to_string();
  Database reader(folder_ / "replica.db");
  EXPECT_EQ(reader.query("select sum(x) from t"), "1|");
  reader.run("begin");
  EXPECT_EQ(reader.query("select sum(x) from t"), "1|");
  db.run("insert into t values (10); create table u(y); insert into u values ('new')");
  ASSERT_TRUE(archiver->commit_barrier(limits()));
  for (int i = 0; i < 1000; ++i) {
    Database other(folder_ / "replica.db");
    if (other.query("select y from u") == "new|") break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(reader.query("select sum(x) from t"), "1|");  // its snapshot
  reader.run("commit");
  EXPECT_EQ(reader.query("select sum(x) from t"), "11|");
  EXPECT_EQ(reader.query("select y from u"), "new|");
  for (int i = 0; i < 1000 && !(*follower)->check_fresh(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE((*follower)->check_fresh());
  store_.set_offline(true);
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_EQ((*follower)->check_fresh().error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(reader.query("select y from u"), "new|");  // reads go on; the server decides
}

TEST_F(Archive, makes_no_replica_of_a_file_that_is_somebody_elses) {
  auto archiver = open("a.db");
  {
    Database db(folder_ / "precious.db");
    db.run("create table t(x)");
  }
  const auto follower = Follower::open(store_, {.database = folder_ / "precious.db"});
  ASSERT_FALSE(follower);
  EXPECT_EQ(follower.error().code, ErrorCode::kAlreadyExists);
}

TEST_F(Archive, restores_only_to_a_name_that_is_free) {
  {
    auto archiver = open("a.db");
    ASSERT_TRUE(archiver->stop(limits()));
  }
  const auto again = restore(store_, folder_ / "a.db", {}, limits());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  blob::MemoryStore empty;
  const auto nothing = restore(empty, folder_ / "n.db", {}, limits());
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "n.db"));
}

}  // namespace
}  // namespace calf::archive
