// Many threads, clusters and sessions by calf.h; nothing is left behind.
#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "capi/test_support.h"

namespace calf::capi {
namespace {

size_t entries_of(const char* path) {
  size_t count = 0;
  DIR* directory = ::opendir(path);
  while (::readdir(directory) != nullptr) count += 1;
  ::closedir(directory);
  return count - 2;  // . and ..
}

// The system lists a thread for a moment after it was joined.
size_t settled_threads(size_t expected) {
  size_t least = entries_of("/proc/self/task");
  for (int i = 0; i < 1000 && least > expected; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    least = std::min(least, entries_of("/proc/self/task"));
  }
  return least;
}

// Sanitizers keep freed memory and ended threads; AddressSanitizer finds what leaks itself, when
// the program ends.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CALF_KEEPS_FREED_MEMORY 1
#endif
#endif
#ifndef CALF_KEEPS_FREED_MEMORY
#define CALF_KEEPS_FREED_MEMORY 0
#endif

size_t resident_kb() {
  malloc_trim(0);
  std::ifstream statm("/proc/self/statm");
  size_t all = 0;
  size_t resident = 0;
  statm >> all >> resident;
  return resident * 4;
}

TEST(Threads, use_eight_sessions_of_one_cluster) {
  const auto cluster = open_cluster();
  ask(open_session(cluster), "create table t (n int primary key, count int default 0)");
  ask(open_session(cluster), "insert into t select generate_series(0, 7)");
  std::vector<std::thread> threads;
  for (int n = 0; n < 8; ++n) {
    threads.emplace_back([&cluster, n] {
      const auto session = open_session(cluster);
      for (int i = 0; i < 300; ++i) {
        // Its own row, then one that all want.
        const std::string own = "update t set count = count + 1 where n = " + std::to_string(n);
        EXPECT_EQ(ask(session, own.c_str()), "NULL");
        EXPECT_EQ(ask(session, "update t set count = count + 1 where n = 0"), "NULL");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ask(open_session(cluster), "select count from t where n = 0"), "2700");
  EXPECT_EQ(ask(open_session(cluster), "select sum(count) from t"), "4800");
}

TEST(Threads, have_eight_clusters) {
  std::vector<std::thread> threads;
  for (int n = 0; n < 8; ++n) {
    threads.emplace_back([n] {
      const auto cluster = open_cluster();
      const auto session = open_session(cluster);
      ask(session, "create table t (n int)");
      const std::string insert = "insert into t values (" + std::to_string(n) + ")";
      for (int i = 0; i < 200; ++i) EXPECT_EQ(ask(session, insert.c_str()), "NULL");
      EXPECT_EQ(ask(session, "select sum(n) from t"), std::to_string(200 * n));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Threads, hand_a_session_on) {
  const auto cluster = open_cluster();
  const auto session = open_session(cluster);
  ask(session, "create temp table t (n int)");
  for (int i = 0; i < 50; ++i) {
    std::thread([&session] { EXPECT_EQ(ask(session, "insert into t values (1)"), "NULL"); }).join();
  }
  EXPECT_EQ(ask(session, "select count(*) from t"), "50");
}

// Opens clusters with sessions that do a little of everything, and closes all in varying orders.
void one_round(int cluster_count, int session_count) {
  std::vector<ClusterHandle> clusters;
  std::vector<SessionHandle> sessions;
  for (int n = 0; n < cluster_count; ++n) {
    clusters.push_back(open_cluster());
    for (int s = 0; s < session_count; ++s) {
      sessions.push_back(open_session(clusters.back()));
      calf_session_descriptor(sessions.back().get());
      EXPECT_EQ(ask(sessions.back(), "select 1"), "1");
    }
    ask(sessions.back(), "select no_such_thing");
    calf_statement* statement = nullptr;
    calf_prepare(sessions.back().get(), "select 1", nullptr, 0, &statement, nullptr);
    calf_statement_close(statement);
  }
  if (cluster_count % 2 == 0) clusters.clear();
  sessions.clear();
}

// CALF_TEST_LEAK_ROUNDS=100: 50 clusters of 4 sessions, 100 times. Otherwise a small form of it.
TEST(Leaks, are_none) {
  const char* long_rounds = std::getenv("CALF_TEST_LEAK_ROUNDS");
  const int clusters = long_rounds != nullptr ? 50 : 6;
  const int rounds = long_rounds != nullptr ? std::atoi(long_rounds) : 12;
  const int warm = rounds / 4;
  for (int i = 0; i < warm; ++i) one_round(clusters + i % 2, 4);
  const size_t threads = settled_threads(1);
  const size_t descriptors = entries_of("/proc/self/fd");
  const size_t before_kb = resident_kb();
  for (int i = warm; i < rounds; ++i) one_round(clusters + i % 2, 4);
  EXPECT_EQ(settled_threads(threads), threads);
  EXPECT_EQ(entries_of("/proc/self/fd"), descriptors);
  const size_t after_kb = resident_kb();
  if (!CALF_KEEPS_FREED_MEMORY) EXPECT_LT(after_kb, before_kb + 4096);
  RecordProperty("resident_kb_before", static_cast<int>(before_kb));
  RecordProperty("resident_kb_after", static_cast<int>(after_kb));
}

}  // namespace
}  // namespace calf::capi
