// A disk that fails: what reaches the client, what ends, and that nothing acknowledged is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "node/testing/cluster_on_disk.h"

namespace calf::node {
namespace {

using namespace testing;
using os::Errno;
using os::testing::DiskCall;
using ::testing::AnyOf;
using ::testing::HasSubstr;

auto under(std::string prefix) {
  return [prefix = std::move(prefix)](std::string_view path) { return path.starts_with(prefix); };
}

constexpr const char* kRelations = "data/base/";
constexpr const char* kWal = "data/pg_wal/";
// States of a session whose cluster has gone down under it: the connection breaks, or the
// postmaster has said why before.
constexpr const char* kBroken = "08006";
constexpr const char* kCrashShutdown = "57P02";

// How many sessions there are decides who syncs: one waits itself, several let the sync thread.
class DiskErrors : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    start(fresh_disk());
    run("create table t (n int primary key, filler text)");
    run("insert into t select i, repeat('x', 500) from generate_series(1, 2000) i");
    run("create table other (n int)");
    run("insert into other values (1)");
    run("checkpoint");
  }

  void start(DiskPointer disk) {
    sessions_.clear();
    cluster_.reset();
    disk_ = std::move(disk);
    auto cluster = ClusterOnDisk::start(disk_);
    ASSERT_TRUE(cluster) << cluster.error().to_string();
    cluster_ = std::move(*cluster);
    connect();
  }
  void connect() {
    sessions_.clear();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (sessions_.size() < static_cast<size_t>(GetParam())) {
      auto session = cluster_->connect();
      if (session) {
        sessions_.push_back(std::move(*session));
      } else {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << session.error().to_string();
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
  }
  client::Session& one() { return *sessions_.front(); }
  void run(const std::string& sql) { ASSERT_EQ(state_of(one(), sql), "00000") << sql; }

  // Pages come from the disk again.
  void forget_pages() {
    sessions_.clear();
    ASSERT_TRUE(cluster_->stop());
    start(disk_->after_power_cut(0));
  }
  void expect_whole(client::Session& session, const std::string& rows) {
    EXPECT_EQ(ask(session, "select count(*) from t"), rows);
    EXPECT_EQ(ask(session, "select sum(n) from other"), "1");
    EXPECT_EQ(damage_in(session), "");
  }
  // Sound now, and also when the power goes now.
  void expect_whole_and_durable(const std::string& rows) {
    disk_->clear_faults();
    connect();
    expect_whole(one(), rows);
    start(disk_->after_power_cut(1));
    expect_whole(one(), rows);
  }

  DiskPointer disk_;
  std::unique_ptr<ClusterOnDisk> cluster_;
  std::vector<std::unique_ptr<client::Session>> sessions_;
};

INSTANTIATE_TEST_SUITE_P(Sessions, DiskErrors, ::testing::Values(1, 3),
                         [](const auto& info) { return "of_" + std::to_string(info.param); });

TEST_P(DiskErrors, a_page_that_cannot_be_read_ends_the_statement) {
  forget_pages();
  const std::string file = "data/" + ask(one(), "select pg_relation_filepath('t')");
  disk_->fail({.call = DiskCall::kRead, .where = under(file), .error = Errno::kIo});
  EXPECT_EQ(state_of(one(), "select sum(length(filler)) from t"), "58030");
  EXPECT_EQ(ask(one(), "select sum(n) from other"), "1");
  EXPECT_GT(disk_->faults_met(), 0u);
  disk_->clear_faults();
  expect_whole(one(), "2000");
}

TEST_P(DiskErrors, a_full_disk_ends_the_statement_and_nothing_else) {
  for (const DiskCall call : {DiskCall::kWrite, DiskCall::kAllocate}) {
    disk_->fail({.call = call, .where = under(kRelations), .error = Errno::kNoSpace});
  }
  EXPECT_EQ(state_of(one(),
                     "insert into t select i, repeat('y', 500) from "
                     "generate_series(10001, 30000) i"),
            "53100");
  EXPECT_EQ(ask(one(), "select count(*) from t"), "2000");
  EXPECT_EQ(state_of(*sessions_.back(), "select count(*) from other"), "00000");
  EXPECT_THAT(cluster_->log(), Not(HasSubstr("PANIC")));
  disk_->clear_faults();
  run("insert into t select i, repeat('y', 500) from generate_series(10001, 10100) i");
  expect_whole_and_durable("2100");
}

TEST_P(DiskErrors, a_read_only_disk_refuses_what_writes) {
  for (const DiskCall call : {DiskCall::kWrite, DiskCall::kAllocate, DiskCall::kOpen}) {
    disk_->fail({.call = call, .where = under(kRelations), .error = Errno::kReadOnly});
  }
  EXPECT_EQ(state_of(one(), "create table fresh (n int)"), "42501");
  disk_->clear_faults();
  expect_whole_and_durable("2000");
}

TEST_P(DiskErrors, writes_that_stop_early_do_no_harm) {
  for (const char* place : {kRelations, kWal})
    disk_->fail(
        {.call = DiskCall::kWrite, .where = under(place), .times = 40, .short_count = 3000});
  const std::string state = state_of(
      one(), "insert into t select i, repeat('z', 500) from generate_series(5001, 6000) i");
  EXPECT_THAT(state, AnyOf("00000", "53100"));
  EXPECT_GT(disk_->faults_met(), 0u);
  expect_whole_and_durable(state == "00000" ? "3000" : "2000");
}

// After a failed fsync the kernel has dropped the pages: only the WAL still has them. So the whole
// cluster goes back to its last checkpoint.
TEST_P(DiskErrors, a_failed_fsync_of_data_makes_the_cluster_recover) {
  run("insert into t select i, 'new' from generate_series(5001, 5100) i");
  disk_->fail({.call = DiskCall::kSync, .where = under(kRelations), .times = 1});
  EXPECT_THAT(state_of(one(), "checkpoint"), AnyOf(kBroken, kCrashShutdown));
  EXPECT_EQ(disk_->faults_met(), 1u);
  EXPECT_THAT(cluster_->log(), HasSubstr("PANIC:  could not fsync file"));
  connect();
  EXPECT_THAT(cluster_->log(), HasSubstr("automatic recovery in progress"));
  expect_whole_and_durable("2100");
}

TEST_P(DiskErrors, a_failed_fsync_of_wal_acknowledges_nothing) {
  disk_->fail({.call = DiskCall::kSync, .where = under(kWal), .times = 1});
  EXPECT_THAT(state_of(one(), "insert into other values (100)"), AnyOf(kBroken, kCrashShutdown));
  EXPECT_THAT(cluster_->log(), HasSubstr("PANIC:  could not fdatasync file"));
  connect();
  // It was not acknowledged; whether the WAL had reached the disk nobody knows.
  run("delete from other where n = 100");
  run("checkpoint");
  expect_whole_and_durable("2000");
}

TEST_P(DiskErrors, a_failed_write_of_wal_makes_the_cluster_recover) {
  for (const Errno error : {Errno::kIo, Errno::kNoSpace}) {
    disk_->fail({.call = DiskCall::kWrite, .where = under(kWal), .error = error, .times = 1});
    EXPECT_THAT(state_of(one(), "insert into other values (100)"), AnyOf(kBroken, kCrashShutdown));
    EXPECT_THAT(cluster_->log(), HasSubstr("PANIC:  could not write to log file"));
    disk_->clear_faults();
    connect();
    EXPECT_EQ(ask(one(), "select count(*) from other where n = 100"), "0");
  }
  expect_whole_and_durable("2000");
}

// A transaction that is under way when another session's failure brings the cluster down.
TEST_P(DiskErrors, other_sessions_learn_that_the_cluster_went_down) {
  if (GetParam() == 1) GTEST_SKIP() << "needs a second session";
  client::Session& witness = *sessions_.back();
  ASSERT_EQ(state_of(witness, "begin; insert into other values (7)"), "00000");
  disk_->fail({.call = DiskCall::kSync, .where = under(kWal), .times = 1});
  EXPECT_THAT(state_of(one(), "insert into t values (-1, '')"), AnyOf(kBroken, kCrashShutdown));
  EXPECT_THAT(state_of(witness, "commit"), AnyOf(kBroken, kCrashShutdown));
  connect();
  EXPECT_EQ(ask(one(), "select count(*) from other where n = 7"), "0");
}

// The checkpoint of a fast shutdown syncs file after file, with no place in between where
// PostgreSQL itself looks for signals.
TEST(SlowDisk, keeps_no_immediate_shutdown_waiting) {
  using Mode = postgres::Cluster::Shutdown;
  const DiskPointer disk = fresh_disk();
  auto cluster = ClusterOnDisk::start(disk);
  ASSERT_TRUE(cluster) << cluster.error().to_string();
  auto session = (*cluster)->connect();
  ASSERT_TRUE(session) << session.error().to_string();
  for (int n = 0; n < 30; ++n) {
    const std::string table = "t" + std::to_string(n);
    ASSERT_EQ(state_of(**session, "create table " + table + " as select 1 as n"), "00000");
  }
  ASSERT_EQ(state_of(**session, "begin; insert into t0 values (2)"), "00000");
  disk->slow_down_syncs(300);
  EXPECT_FALSE((*cluster)->stop(Mode::kFast, 1000)) << "the checkpoint is too quick for this test";
  const auto stopped = (*cluster)->stop(Mode::kImmediate, 3000);
  EXPECT_TRUE(stopped) << stopped.error().to_string();
}

TEST(DiskErrorsAtStart, are_named) {
  const DiskPointer disk = fresh_disk();
  disk->fail({.call = DiskCall::kRead, .where = under("data/global/pg_control")});
  const auto cluster = ClusterOnDisk::start(disk);
  ASSERT_FALSE(cluster);
  EXPECT_THAT(cluster.error().message, HasSubstr("global/pg_control\": I/O error"));
}

}  // namespace
}  // namespace calf::node
