#include "archive/lease.h"

#include <gtest/gtest.h>

#include <thread>

#include "blob/fault_store.h"
#include "blob/memory_store.h"

namespace calf::archive {
namespace {

blob::Limits limits() {
  return blob::Limits::within(20'000);
}
LeaseOptions owner(const std::string& name) {
  return {.owner = name, .description = "host of " + name, .ttl_ms = 300, .wait_ms = 100};
}

TEST(Lease, gives_each_writer_the_next_epoch) {
  blob::MemoryStore store;
  auto first = Lease::acquire(store, owner("a"), limits());
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(first->epoch(), 1u);
  ASSERT_TRUE(first->release(store, limits()));
  auto second = Lease::acquire(store, owner("b"), limits());
  ASSERT_TRUE(second);
  EXPECT_EQ(second->epoch(), 2u);
  EXPECT_EQ(second->archive_id(), first->archive_id());
}

// Hands on to another store.
class Passing : public blob::ObjectStore {
 public:
  explicit Passing(blob::ObjectStore& inner) : inner_(inner) {}
  Result<blob::ObjectInfo> get(const std::string& key, blob::ByteRange range,
                               const blob::Sink& sink, const blob::Limits& l) override {
    return inner_.get(key, range, sink, l);
  }
  Result<std::string> put(const std::string& key, blob::Body& body,
                          const blob::Condition& condition, const blob::Limits& l) override {
    return inner_.put(key, body, condition, l);
  }
  Result<blob::ListPage> list(const blob::ListQuery& query, const blob::Limits& l) override {
    return inner_.list(query, l);
  }
  Result<void> remove(const std::string& key, const blob::Limits& l) override {
    return inner_.remove(key, l);
  }
  [[nodiscard]] std::string describe() const override { return inner_.describe(); }

 protected:
  blob::ObjectStore& inner_;
};

// Its lease has just been renewed whenever somebody looks, however slow the machine is.
class Renewing final : public Passing {
 public:
  Renewing(blob::ObjectStore& inner, Lease& lease) : Passing(inner), lease_(lease) {}
  Result<blob::ObjectInfo> get(const std::string& key, blob::ByteRange range,
                               const blob::Sink& sink, const blob::Limits& l) override {
    EXPECT_TRUE(lease_.renew(inner_, l));
    return inner_.get(key, range, sink, l);
  }

 private:
  Lease& lease_;
};

TEST(Lease, keeps_a_second_one_waiting_as_long_as_it_is_renewed) {
  blob::MemoryStore store;
  auto first = Lease::acquire(store, owner("a"), limits());
  ASSERT_TRUE(first);
  Renewing renewing(store, *first);
  LeaseOptions patient = owner("b");
  patient.wait_ms = 700;
  const auto second = Lease::acquire(renewing, patient, limits());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(second.error().message.find("host of a"), std::string::npos);
}

TEST(Lease, passes_on_when_its_holder_is_silent_and_tells_that_one_who_won) {
  blob::MemoryStore store;
  auto dead = Lease::acquire(store, owner("a"), limits());
  const auto heir = Lease::acquire(store, owner("b"), limits());
  ASSERT_TRUE(heir) << heir.error().to_string();
  EXPECT_EQ(heir->epoch(), 2u);
  const auto renewed = dead->renew(store, limits());
  ASSERT_FALSE(renewed);
  EXPECT_EQ(renewed.error().code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(dead->winner(), "host of b");
}

TEST(Lease, names_the_trouble_with_a_store_that_cannot_be_reached) {
  blob::MemoryStore memory;
  blob::FaultStore store(memory, {});
  store.set_offline(true);
  const auto lease = Lease::acquire(store, {.owner = "a", .ttl_ms = 1, .wait_ms = 1}, limits());
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(lease.error().message.find("no route to host"), std::string::npos);
}

TEST(Lease, is_taken_at_once_by_the_same_place) {
  blob::MemoryStore store;
  ASSERT_TRUE(Lease::acquire(store, {.owner = "a", .ttl_ms = 60'000}, limits()));
  const auto at_once = blob::Limits::within(10'000);
  const auto again = Lease::acquire(store, {.owner = "a", .ttl_ms = 60'000}, limits());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->epoch(), 2u);
  EXPECT_GT(at_once.remaining_ms(), 0);
}

TEST(Lease, never_has_the_same_epoch_twice_whatever_the_network_does) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    blob::MemoryStore memory;
    std::mutex mutex;
    std::vector<std::uint64_t> epochs;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        blob::FaultStore store(memory, {.seed = seed * 10 + static_cast<std::uint64_t>(i),
                                        .refused = 0.1,
                                        .lost_acknowledgement = 0.2});
        for (int round = 0; round < 5; ++round) {
          const auto lease = Lease::acquire(
              store, {.owner = std::to_string(i), .ttl_ms = 1, .wait_ms = 5'000}, limits());
          if (!lease) continue;
          const std::lock_guard lock(mutex);
          epochs.push_back(lease->epoch());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::sort(epochs.begin(), epochs.end());
    EXPECT_GE(epochs.size(), 5u);
    EXPECT_EQ(std::adjacent_find(epochs.begin(), epochs.end()), epochs.end());
  }
}

TEST(Lease, refuses_one_that_is_damaged) {
  blob::MemoryStore store;
  const auto with_id = [](const std::string& id) {
    return R"({"format":1,"epoch":1,"archive":")" + id +
           R"(","owner":"a","description":"","released":true,"nonce":""})";
  };
  const std::string good(32, 'a');
  for (const std::string& bytes : {std::string("x"), std::string("{}"), with_id("short"),
                                   with_id(std::string(32, 'z')), with_id(good).substr(5)}) {
    ASSERT_TRUE(blob::put_bytes(store, "lease", bytes, blob::Condition::none(), limits()));
    const auto lease = Lease::acquire(store, owner("b"), limits());
    ASSERT_FALSE(lease) << bytes;
    EXPECT_EQ(lease.error().code, ErrorCode::kDataCorrupted) << bytes;
  }
  ASSERT_TRUE(blob::put_bytes(store, "lease", with_id(good), blob::Condition::none(), limits()));
  EXPECT_TRUE(Lease::acquire(store, owner("b"), limits()));
}

// A store as s3rver is: takes every put.
class Careless final : public Passing {
 public:
  using Passing::Passing;
  Result<std::string> put(const std::string& key, blob::Body& body, const blob::Condition&,
                          const blob::Limits& l) override {
    return inner_.put(key, body, blob::Condition::none(), l);
  }
};

TEST(Lease, refuses_a_store_that_ignores_conditions) {
  blob::MemoryStore memory;
  Careless store(memory);
  const auto lease = Lease::acquire(store, owner("a"), limits());
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace calf::archive
