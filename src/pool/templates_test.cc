#include "pool/templates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <nlohmann/json.hpp>
#include <thread>

namespace calf::pool {
namespace {

using namespace std::chrono_literals;
using Kind = Call::Kind;
using testing::Contains;
using testing::IsEmpty;
using testing::Not;

// Remembers what exists, and which of it has been reset.
class FakeDatabases final : public Databases {
 public:
  Result<void> create_template(const std::string& name) override { return add(name); }
  Result<void> create_test(const std::string&, const std::string& name) override {
    return add(name);
  }
  Result<void> reset_test(const std::string&, const std::string& name) override {
    const std::lock_guard lock(mutex_);
    resets_.push_back(name);
    return {};
  }
  Result<void> drop(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    names_.erase(name);
    return {};
  }
  Result<std::set<std::string>> in_use() override {
    const std::lock_guard lock(mutex_);
    return in_use_;
  }
  void close() override {}

  void set_in_use(std::set<std::string> names) {
    const std::lock_guard lock(mutex_);
    in_use_ = std::move(names);
  }
  void fail_with(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  std::set<std::string> names() {
    const std::lock_guard lock(mutex_);
    return names_;
  }
  std::vector<std::string> resets() {
    const std::lock_guard lock(mutex_);
    return resets_;
  }

 private:
  Result<void> add(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (error_) return fail(*error_);
    if (!names_.insert(name).second) return fail(ErrorCode::kAlreadyExists, name);
    return {};
  }

  std::mutex mutex_;
  std::set<std::string> names_, in_use_;
  std::vector<std::string> resets_;
  std::optional<Error> error_;
};

class TemplatesTest : public testing::Test {
 protected:
  std::future<Answer> begin(Kind kind, const std::string& hash = "h", int id = 0) {
    auto promise = std::make_shared<std::promise<Answer>>();
    templates_->handle({.kind = kind, .hash = hash, .id = id},
                       {.host = "host", .port = 5432, .user = "me", .database = "db"},
                       [promise](Answer answer) { promise->set_value(std::move(answer)); });
    return promise->get_future();
  }
  static Answer end(std::future<Answer> future) {
    if (future.wait_for(10s) != std::future_status::ready) {
      ADD_FAILURE() << "no answer";
      return {.status = 0};
    }
    return future.get();
  }
  int status(Kind kind, const std::string& hash = "h", int id = 0) {
    return end(begin(kind, hash, id)).status;
  }
  int take(const std::string& hash = "h") {
    const Answer answer = end(begin(Kind::kTake, hash));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return nlohmann::json::parse(answer.body).value("id", 0);
  }
  void start(Templates::Options options) {
    templates_ = std::make_unique<Templates>(databases_, options);
  }
  void start(std::size_t max_databases, std::chrono::milliseconds timeout = 60s) {
    start({.max_databases = max_databases, .finalize_timeout = timeout});
  }
  void finalized_template(std::size_t max_databases) {
    start(max_databases);
    EXPECT_EQ(status(Kind::kInitialize), 200);
    EXPECT_EQ(status(Kind::kFinalize), 204);
  }

  FakeDatabases databases_;
  std::unique_ptr<Templates> templates_;
};

TEST_F(TemplatesTest, a_database_is_described_as_clients_read_it) {
  finalized_template(2);
  const auto json = nlohmann::json::parse(end(begin(Kind::kTake)).body);
  EXPECT_EQ(json["id"], 1);
  EXPECT_EQ(json["database"]["templateHash"], "h");
  const auto config = json["database"]["config"];
  EXPECT_EQ(config["host"], "host");
  EXPECT_EQ(config["port"], 5432);
  EXPECT_EQ(config["username"], "me");
  EXPECT_EQ(config["password"], "me");  // never empty
  EXPECT_EQ(config["database"], "db@pool-1-1");
}

TEST_F(TemplatesTest, what_is_not_there_is_not_found) {
  finalized_template(2);
  for (Kind kind : {Kind::kFinalize, Kind::kDiscard, Kind::kTake, Kind::kUnlock, Kind::kRecreate}) {
    EXPECT_EQ(status(kind, "another"), 404);
  }
  EXPECT_EQ(status(Kind::kUnlock, "h", 9), 404);
  EXPECT_EQ(status(Kind::kRecreate, "h", 9), 404);
}

TEST_F(TemplatesTest, one_client_initializes) {
  start(2);
  auto first = begin(Kind::kInitialize);
  EXPECT_EQ(status(Kind::kInitialize), 423);
  EXPECT_EQ(end(std::move(first)).status, 200);
  EXPECT_EQ(status(Kind::kFinalize), 204);
  EXPECT_EQ(status(Kind::kFinalize), 204);
  EXPECT_EQ(status(Kind::kInitialize), 423);
}

TEST_F(TemplatesTest, tests_wait_for_their_template) {
  start(4);
  EXPECT_EQ(status(Kind::kInitialize), 200);
  auto one = begin(Kind::kTake);
  auto two = begin(Kind::kTake);
  EXPECT_EQ(one.wait_for(50ms), std::future_status::timeout);
  EXPECT_EQ(status(Kind::kFinalize), 204);
  EXPECT_NE(end(std::move(one)).body, end(std::move(two)).body);
}

TEST_F(TemplatesTest, waiting_has_an_end) {
  start(4, 50ms);
  EXPECT_EQ(status(Kind::kInitialize), 200);
  EXPECT_EQ(status(Kind::kTake), 503);
}

TEST_F(TemplatesTest, discarding_answers_those_who_wait_and_drops_everything) {
  start(4);
  EXPECT_EQ(status(Kind::kInitialize), 200);
  auto waiting = begin(Kind::kTake);
  EXPECT_EQ(status(Kind::kDiscard), 204);
  EXPECT_EQ(end(std::move(waiting)).status, 410);
  EXPECT_THAT(databases_.names(), IsEmpty());
  EXPECT_EQ(status(Kind::kTake), 404);
  EXPECT_EQ(status(Kind::kInitialize), 200);  // the hash is free
}

TEST_F(TemplatesTest, discarding_all_drops_everything) {
  finalized_template(20);
  EXPECT_EQ(status(Kind::kInitialize, "other"), 200);
  take();
  EXPECT_EQ(status(Kind::kDiscardAll), 204);
  EXPECT_THAT(databases_.names(), IsEmpty());
  EXPECT_EQ(status(Kind::kDiscardAll), 204);
}

TEST_F(TemplatesTest, an_unlocked_database_is_given_out_again_as_it_is) {
  finalized_template(1);
  EXPECT_EQ(take(), 1);
  EXPECT_EQ(status(Kind::kUnlock, "h", 1), 204);
  EXPECT_EQ(status(Kind::kUnlock, "h", 1), 204);
  EXPECT_EQ(take(), 1);
  EXPECT_THAT(databases_.resets(), IsEmpty());
}

TEST_F(TemplatesTest, a_recreated_database_is_reset) {
  finalized_template(1);
  EXPECT_EQ(take(), 1);
  EXPECT_EQ(status(Kind::kRecreate, "h", 1), 204);
  EXPECT_EQ(databases_.resets(), std::vector<std::string>{"pool-1-1"});
  EXPECT_EQ(take(), 1);
}

TEST_F(TemplatesTest, a_full_pool_resets_what_was_given_out_longest_ago) {
  finalized_template(3);
  const std::vector<int> first = {take(), take(), take()};
  EXPECT_EQ(take(), first[0]);
  EXPECT_EQ(take(), first[1]);
  EXPECT_EQ(databases_.resets().size(), 2);
}

TEST_F(TemplatesTest, what_has_sessions_is_not_taken_away) {
  finalized_template(2);
  const int first = take();
  const int second = take();
  databases_.set_in_use({"pool-1-" + std::to_string(first)});
  EXPECT_EQ(take(), second);
  databases_.set_in_use({"pool-1-1", "pool-1-2"});
  EXPECT_EQ(status(Kind::kTake), 507);
}

TEST_F(TemplatesTest, a_large_pool_makes_some_ahead_and_never_more_than_allowed) {
  finalized_template(40);
  for (int i = 0; i < 200; i++) take();
  EXPECT_THAT(databases_.names(), Contains("pool-1-40"));
  EXPECT_THAT(databases_.names(), Not(Contains("pool-1-41")));
}

TEST_F(TemplatesTest, as_many_are_made_ahead_as_asked_for) {
  for (const std::size_t ahead : {std::size_t{0}, std::size_t{3}}) {
    start({.max_databases = 100, .ahead = ahead});
    EXPECT_EQ(status(Kind::kInitialize), 200);
    EXPECT_EQ(status(Kind::kFinalize), 204);
    take();
    for (int i = 0; i < 1000 && databases_.names().size() < 1 + 1 + ahead; i++) {
      std::this_thread::sleep_for(10ms);
    }
    std::this_thread::sleep_for(20ms);  // for one too many
    EXPECT_EQ(databases_.names().size(), 1 + 1 + ahead);
    EXPECT_EQ(status(Kind::kDiscard), 204);
  }
}

TEST_F(TemplatesTest, a_large_pool_resets_old_ones_before_it_makes_more) {
  finalized_template(400);
  for (int i = 0; i < 1000; i++) take();
  EXPECT_THAT(databases_.names(), Contains("pool-1-200"));
  EXPECT_THAT(databases_.names(), Not(Contains("pool-1-250")));
}

TEST_F(TemplatesTest, many_clients_get_different_databases) {
  finalized_template(100);
  std::vector<std::future<Answer>> futures;
  for (int i = 0; i < 90; i++) futures.push_back(begin(Kind::kTake));
  std::set<int> ids;
  for (auto& future : futures) {
    ids.insert(nlohmann::json::parse(end(std::move(future)).body).value("id", 0));
  }
  EXPECT_EQ(ids.size(), 90);
}

TEST_F(TemplatesTest, a_failure_reaches_the_client_and_does_not_stay) {
  start(1);
  databases_.fail_with(Error{.code = ErrorCode::kInternal, .message = "no luck"});
  EXPECT_EQ(status(Kind::kInitialize), 500);
  databases_.fail_with(std::nullopt);
  EXPECT_EQ(status(Kind::kInitialize), 200);
  EXPECT_EQ(status(Kind::kFinalize), 204);
  databases_.fail_with(Error{.code = ErrorCode::kResourceExhausted, .message = "no room"});
  const Answer answer = end(begin(Kind::kTake));
  EXPECT_EQ(answer.status, 507);
  EXPECT_NE(answer.body.find("no room"), std::string::npos);
  databases_.fail_with(std::nullopt);
  take();
}

TEST_F(TemplatesTest, ending_answers_those_who_wait) {
  start(2);
  EXPECT_EQ(status(Kind::kInitialize), 200);
  auto waiting = begin(Kind::kTake);
  templates_.reset();
  EXPECT_EQ(end(std::move(waiting)).status, 503);
}

}  // namespace
}  // namespace calf::pool
