// The engine through a client's eyes, with somebody who is told of its commits.
#include "sqlite/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>

#include "client/session.h"

namespace calf::sqlite {
namespace {

class Observer final : public CommitObserver {
 public:
  Result<void> committed(std::uint32_t wal_frames) override {
    std::unique_lock lock(mutex_);
    is_asked_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !held_; });
    frames_.push_back(wal_frames);
    changed_.notify_all();
    if (refuse_) return fail(ErrorCode::kUnavailable, "the store is away", "bring it back");
    return {};
  }
  bool may_checkpoint(std::uint32_t) override { return checkpoints_; }

  std::vector<std::uint32_t> frames() {
    const std::lock_guard lock(mutex_);
    return frames_;
  }
  bool is_asked_soon() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return is_asked_; });
  }
  void hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    is_asked_ = false;
    changed_.notify_all();
  }
  std::atomic<bool> refuse_ = false;
  std::atomic<bool> checkpoints_ = true;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint32_t> frames_;
  bool held_ = false;
  bool is_asked_ = false;  // since hold()
};

struct Collected final : client::QueryEvents {
  void row(std::span<const std::optional<std::string_view>> values) override {
    rows.emplace_back(values[0].value_or("NULL"));
  }
  void complete(std::string_view tag) override { tags.emplace_back(tag); }
  std::vector<std::string> rows;
  std::vector<std::string> tags;
};

class CommitObserverTest : public testing::Test {
 protected:
  CommitObserverTest() {
    auto opened = open_engine({.observer = &observer_});
    EXPECT_TRUE(opened.has_value());
    engine_ = std::move(opened->engine);
    session_ = connect();
    run("create table t (id int primary key, v text)");
    before_ = observer_.frames().size();
  }
  ~CommitObserverTest() override {
    session_.reset();
    EXPECT_TRUE(engine_->shutdown(server::ShutdownMode::kFast).has_value());
  }

  std::unique_ptr<client::Session> connect() {
    auto session =
        client::Session::connect(*engine_, {.timeout = std::chrono::milliseconds(20'000)});
    EXPECT_TRUE(session.has_value());
    return session ? std::move(*session) : nullptr;
  }
  // The SQLSTATE; "gone" when the session ended instead of answering.
  std::string run(std::string_view sql, Collected* events = nullptr) {
    Collected own;
    const auto outcome = session_->query(sql, events != nullptr ? *events : own);
    return outcome ? outcome->sqlstate : "gone";
  }
  std::size_t told() { return observer_.frames().size() - before_; }

  Observer observer_;
  std::unique_ptr<server::Engine> engine_;
  std::unique_ptr<client::Session> session_;
  std::size_t before_ = 0;
};

TEST_F(CommitObserverTest, is_told_once_of_each_transaction_that_wrote) {
  run("insert into t values (1, 'a')");
  EXPECT_EQ(told(), 1U);
  run("begin; insert into t values (2, 'b'); update t set v = 'c'; commit");
  EXPECT_EQ(told(), 2U);
  run("insert into t values (3, 'c'); insert into t values (4, 'd')");  // one implicit transaction
  EXPECT_EQ(told(), 3U);
  for (const std::uint32_t frames : observer_.frames()) EXPECT_GT(frames, 0U);
}

TEST_F(CommitObserverTest, hears_nothing_of_reads_and_of_what_was_rolled_back) {
  run("select * from t");
  run("begin; insert into t values (1, 'a'); rollback");
  EXPECT_EQ(run("insert into t values (1, 'a'), (1, 'b')"), "23505");
  run("update t set v = 'x' where id = 99");
  run("create temp table mine (a int); insert into mine values (1)");
  EXPECT_EQ(told(), 0U);
}

TEST_F(CommitObserverTest, delays_the_acknowledgement_but_not_other_sessions_reads) {
  observer_.hold(true);
  Collected events;
  auto answer =
      std::async(std::launch::async, [&] { return run("insert into t values (1, 'a')", &events); });
  EXPECT_TRUE(observer_.is_asked_soon());
  EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout);
  const auto reader = connect();
  Collected seen;
  EXPECT_TRUE(reader->query("select id from t", seen).has_value());
  EXPECT_EQ(seen.rows, std::vector<std::string>{"1"});
  observer_.hold(false);
  EXPECT_EQ(answer.get(), "");
  EXPECT_EQ(events.tags, std::vector<std::string>{"INSERT 0 1"});
}

TEST_F(CommitObserverTest, an_error_ends_the_session_without_an_acknowledgement) {
  observer_.refuse_ = true;
  Collected events;
  EXPECT_NE(run("begin; insert into t values (1, 'a'); commit", &events), "");
  EXPECT_EQ(std::count(events.tags.begin(), events.tags.end(), "COMMIT"), 0);
  EXPECT_EQ(run("select 1"), "gone");
  observer_.refuse_ = false;
  session_ = connect();
  Collected seen;
  run("select id from t", &seen);
  EXPECT_EQ(seen.rows, std::vector<std::string>{"1"});  // committed here all the same
}

TEST_F(CommitObserverTest, keeps_the_wal_from_beginning_anew) {
  const auto fill = [&](const std::string& letter) {
    return run("insert into t select g, repeat('" + letter +
               "', 2000) from generate_series(1, 3000) g on conflict (id) do update set v = "
               "excluded.v");
  };
  observer_.checkpoints_ = false;
  EXPECT_EQ(fill("x"), "");
  EXPECT_EQ(run("checkpoint"), "");
  EXPECT_EQ(fill("y"), "");
  const std::uint32_t kept = observer_.frames().back();
  EXPECT_GT(kept, 2000U);
  observer_.checkpoints_ = true;
  run("insert into t values (5000, 'y')");  // written back now, so the next one starts over
  run("insert into t values (5001, 'z')");
  EXPECT_LT(observer_.frames().back(), 100U);
}

}  // namespace
}  // namespace calf::sqlite
