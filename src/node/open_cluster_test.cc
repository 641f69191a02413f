// Fresh clusters in memory, with the real image: they go on from the embedded snapshot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "cli/engine_factory.h"
#include "client/session.h"
#include "node/embedded.h"

namespace calf::node {
namespace {

using cli::ClusterOptions;
using cli::OpenedCluster;
using client::Session;
using ::testing::HasSubstr;

OpenedCluster fresh(const ClusterOptions& options = {}) {
  auto opened = cli::open_cluster(options);
  EXPECT_TRUE(opened) << opened.error().to_string();
  return std::move(*opened);
}

std::unique_ptr<Session> log_in(OpenedCluster& cluster) {
  auto session = client::Session::connect(*cluster.engine, {.timeout = std::chrono::seconds(20)});
  EXPECT_TRUE(session) << session.error().to_string();
  return std::move(*session);
}

std::string ask(Session& session, const std::string& sql) {
  const auto value = client::query_value(session, sql);
  return value ? value->value_or("NULL") : value.error().to_string();
}

TEST(FreshCluster, has_a_snapshot_that_allows_what_can_be_changed_at_run_time) {
  const auto snapshot = fresh_cluster();
  ASSERT_TRUE(snapshot) << snapshot.error().to_string();
  EXPECT_TRUE((*snapshot)->allows(
      {{"port", "5433"}, {"work_mem", "64MB"}, {"fsync", "off"}, {"log_statement", "all"}}));
  EXPECT_FALSE((*snapshot)->allows({{"max_connections", "7"}}));
  EXPECT_FALSE((*snapshot)->allows({{"Shared_Buffers", "1MB"}}));
  EXPECT_FALSE((*snapshot)->allows({{"wal_level", "logical"}}));
  EXPECT_FALSE((*snapshot)->allows({{"autovacuum", "off"}}));
}

TEST(FreshCluster, answers_and_keeps_what_it_is_given) {
  auto cluster = fresh();
  auto session = log_in(cluster);
  EXPECT_EQ(ask(*session, "select 6 * 7"), "42");
  ASSERT_TRUE(client::execute(
      *session, "create table t as select generate_series(1, 10000) as n; checkpoint"));
  EXPECT_EQ(ask(*log_in(cluster), "select sum(n) from t"), "50005000");
}

TEST(FreshCluster, says_that_it_is_ready_and_when_it_started) {
  std::string log;
  auto cluster =
      fresh({.log_sink = [&log](std::string_view line) { log.append(line).append("\n"); }});
  auto session = log_in(cluster);
  EXPECT_THAT(log, HasSubstr("database system is ready to accept connections"));
  EXPECT_EQ(ask(*session, "select now() - pg_postmaster_start_time() < '1 minute'"), "t");
  EXPECT_EQ(ask(*session, "select now() - pg_conf_load_time() < '1 minute'"), "t");
}

TEST(FreshCluster, takes_settings_and_boots_for_those_that_a_snapshot_cannot_have) {
  auto resumed = fresh({.settings = {{"port", "6543"}, {"work_mem", "7MB"}}});
  auto session = log_in(resumed);
  EXPECT_EQ(ask(*session, "show port"), "6543");
  EXPECT_EQ(ask(*session, "show work_mem"), "7MB");
  EXPECT_EQ(ask(*session, "select source from pg_settings where name = 'work_mem'"),
            "command line");
  auto booted = fresh({.settings = {{"max_connections", "7"}}});
  EXPECT_EQ(ask(*log_in(booted), "show max_connections"), "7");
}

TEST(FreshCluster, refuses_a_bad_value_with_the_words_of_postgresql) {
  const auto opened = cli::open_cluster({.settings = {{"work_mem", "plenty"}}});
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message,
              HasSubstr("invalid value for parameter \"work_mem\": \"plenty\""));
}

TEST(FreshCluster, is_apart_from_another_one_of_the_same_process) {
  auto one = fresh();
  auto two = fresh();
  auto first = log_in(one);
  auto second = log_in(two);
  ASSERT_TRUE(client::execute(*first, "create table t(a text); insert into t values ('one')"));
  ASSERT_TRUE(client::execute(*second, "create table t(a text); insert into t values ('two')"));
  EXPECT_EQ(ask(*first, "select string_agg(a, ',') from t"), "one");
  EXPECT_EQ(ask(*second, "select string_agg(a, ',') from t"), "two");
  EXPECT_NE(ask(*first, "select gen_random_uuid()"), ask(*second, "select gen_random_uuid()"));
  EXPECT_NE(ask(*first, "select random()"), ask(*second, "select random()"));
}

TEST(FreshCluster, has_its_helpers_soon) {
  auto cluster = fresh();
  const std::string all =
      "autovacuum launcher,background writer,checkpointer,logical replication launcher,walwriter";
  std::string seen;
  for (int i = 0; i < 1000 && seen != all; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    seen = ask(*log_in(cluster),
               "select string_agg(backend_type, ',' order by backend_type) from pg_stat_activity "
               "where backend_type <> 'client backend'");
  }
  EXPECT_EQ(seen, all);
}

TEST(FreshCluster, has_its_helpers_although_a_session_is_busy) {
  auto cluster = fresh();
  auto session = log_in(cluster);
  // Leaves the processor of its own accord at no time.
  ASSERT_TRUE(client::execute(*session,
                              "do $$ begin while clock_timestamp() < now() + '20 s' and not exists "
                              "(select from pg_stat_activity where backend_type = 'checkpointer') "
                              "loop perform pg_stat_clear_snapshot(); end loop; end $$"));
  EXPECT_EQ(
      ask(*session, "select count(*) from pg_stat_activity where backend_type = 'checkpointer'"),
      "1");
}

// At once: the helpers are still to be made. And later: they are there.
TEST(FreshCluster, recovers_from_a_crash) {
  for (const auto pause : {std::chrono::milliseconds(0), std::chrono::milliseconds(500)}) {
    auto cluster = fresh();
    auto session = log_in(cluster);
    ASSERT_TRUE(client::execute(*session, "create table t as select 1 as a"));
    ASSERT_TRUE(client::execute(
        *session,
        "create function crash(int) returns cstring strict language internal as 'textout'"));
    std::this_thread::sleep_for(pause);
    EXPECT_FALSE(client::execute(*session, "select crash(-65536)"));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    std::string answer;
    while (answer != "1" && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      auto again = client::Session::connect(*cluster.engine, {.timeout = std::chrono::seconds(5)});
      if (again) answer = ask(**again, "select a from t");
    }
    EXPECT_EQ(answer, "1") << "after " << pause.count() << " ms";
  }
}

TEST(FreshCluster, stops_in_order_at_once_and_later) {
  for (const auto pause : {std::chrono::milliseconds(0), std::chrono::milliseconds(300)}) {
    std::string log;
    auto cluster =
        fresh({.log_sink = [&log](std::string_view line) { log.append(line).append("\n"); }});
    std::this_thread::sleep_for(pause);
    const auto stopped = cluster.engine->shutdown(server::ShutdownMode::kFast);
    EXPECT_TRUE(stopped) << stopped.error().to_string();
    EXPECT_THAT(log, HasSubstr("database system is shut down"));
  }
}

// It may have been on its way when somebody else ended the cluster.
TEST(FreshCluster, closes_clients_that_come_after_its_end) {
  auto cluster = fresh();
  EXPECT_TRUE(cluster.engine->shutdown(server::ShutdownMode::kHalt));
  const auto session = Session::connect(*cluster.engine, {.timeout = std::chrono::seconds(10)});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kUnavailable) << session.error().to_string();
}

}  // namespace
}  // namespace calf::node
