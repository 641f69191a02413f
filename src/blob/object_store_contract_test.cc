// What every ObjectStore keeps to. Runs on memory, a folder, and whatever CALF_TEST_STORES names
// (URLs, separated by spaces: tests/system/test_blob.py starts emulators and sets it). What an
// emulator is known to do otherwise than the real service stands after the URL's "#":
//   unconditional     ignores conditions
//   unconditional-parts  ignores those of an upload in parts
//   unordered         lists in no order, cannot page, and mistakes a range's edges
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <thread>

#include "blob/host_file.h"
#include "blob/store_url.h"

namespace calf::blob {
namespace {

constexpr std::int64_t kTimeoutMs = 30'000;

class ObjectStoreContract : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::string url = GetParam();
    const auto flawless = [&](const char* flaw) {
      return (url.substr(std::min(url.find('#'), url.size())) + ",")
                 .find(std::string(flaw) + ",") == std::string::npos;
    };
    conditional_ = flawless("unconditional");
    conditional_parts_ = conditional_ && flawless("unconditional-parts");
    ordered_ = flawless("unordered");
    url = url.substr(0, url.find('#'));
    if (url == "folder") {
      folder_ = std::filesystem::temp_directory_path() / random_name("calf-store-");
      url = folder_.string();
    }
    auto options = parse_store_url(url);
    ASSERT_TRUE(options) << options.error().to_string();
    // Every test has a place of its own, and large objects need not be large.
    const std::string place = random_name("t-") + "/";
    if (auto* s3 = std::get_if<S3Options>(&*options)) {
      s3->prefix += place;
      s3->part_bytes = 5u << 20;
    }
    if (auto* azure = std::get_if<AzureOptions>(&*options)) {
      azure->prefix += place;
      azure->block_bytes = 1u << 20;
    }
    auto opened = open_store(*options);
    ASSERT_TRUE(opened) << opened.error().to_string();
    store_ = std::move(*opened);
  }
  void TearDown() override {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] static Limits limits() { return Limits::within(kTimeoutMs); }
  Result<std::string> put(const std::string& key, std::string_view bytes,
                          const Condition& condition = Condition::none()) {
    return put_bytes(*store_, key, bytes, condition, limits());
  }
  std::string content(const std::string& key) {
    auto fetched = fetch(*store_, key, 64u << 20, limits());
    return fetched ? fetched->bytes : "error: " + fetched.error().message;
  }
  std::string part(const std::string& key, ByteRange range) {
    std::string bytes;
    const auto info = store_->get(
        key, range,
        [&](std::string_view chunk) -> Result<void> {
          bytes.append(chunk);
          return {};
        },
        limits());
    return info ? bytes : "error: " + std::string(to_string(info.error().code));
  }
  std::vector<std::string> keys(const ListQuery& query) {
    std::vector<std::string> found;
    const auto listed = list_all(
        *store_, query,
        [&](const ObjectInfo& object) -> Result<void> {
          found.push_back(object.key);
          return {};
        },
        limits());
    if (!listed) found.push_back("error: " + listed.error().message);
    return found;
  }

  std::filesystem::path folder_;
  bool conditional_ = true;
  bool conditional_parts_ = true;
  bool ordered_ = true;
  std::unique_ptr<ObjectStore> store_;
};

TEST_P(ObjectStoreContract, gives_back_what_was_put) {
  const std::string binary("\0\r\n\xff<&>", 7);
  const auto etag = put("a/b.c-d_e", binary);
  ASSERT_TRUE(etag) << etag.error().to_string();
  const auto fetched = fetch(*store_, "a/b.c-d_e", 100, limits());
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(fetched->bytes, binary);
  EXPECT_EQ(fetched->info.size_bytes, 7u);
  EXPECT_EQ(fetched->info.etag, *etag);
  EXPECT_FALSE(etag->empty());
}

TEST_P(ObjectStoreContract, replaces_an_object_and_its_etag) {
  const auto first = put("k", "one");
  const auto second = put("k", "two");
  ASSERT_TRUE(first && second);
  EXPECT_NE(*first, *second);
  EXPECT_EQ(content("k"), "two");
}

TEST_P(ObjectStoreContract, keeps_an_empty_object) {
  const auto etag = put("empty", "");
  ASSERT_TRUE(etag) << etag.error().to_string();
  EXPECT_EQ(content("empty"), "");
  if (!ordered_) return;
  EXPECT_EQ(part("empty", {.offset = 0, .length = 0}), "");
  EXPECT_EQ(part("empty", {.offset = 1}), "error: invalid argument");
}

TEST_P(ObjectStoreContract, says_that_there_is_no_object) {
  const auto fetched = fetch(*store_, "nothing", 10, limits());
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::kNotFound);
}

TEST_P(ObjectStoreContract, gives_ranges) {
  ASSERT_TRUE(put("r", "0123456789"));
  EXPECT_EQ(part("r", {.offset = 3, .length = 4}), "3456");
  EXPECT_EQ(part("r", {.offset = 8}), "89");
  EXPECT_EQ(part("r", {.offset = 8, .length = 100}), "89");
  if (!ordered_) return;
  EXPECT_EQ(part("r", {.offset = 0, .length = 1}), "0");
  EXPECT_EQ(part("r", {.offset = 2, .length = 0}), "");
  EXPECT_EQ(part("r", {.offset = 10}), "");
  EXPECT_EQ(part("r", {.offset = 11}), "error: invalid argument");
}

TEST_P(ObjectStoreContract, takes_large_objects_in_parts) {
  std::string large;
  for (std::uint32_t i = 0; large.size() < (11u << 20) + 12345; ++i)
    large += std::to_string(i * 2654435761u);
  const auto etag = put("large", large);
  ASSERT_TRUE(etag) << etag.error().to_string();
  EXPECT_TRUE(content("large") == large);
  EXPECT_EQ(part("large", {.offset = (10u << 20) - 3, .length = 7}),
            large.substr((10u << 20) - 3, 7));
  if (!conditional_parts_) return;
  const auto again = put("large", large + "x", Condition::absent());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kPreconditionFailed);
  EXPECT_TRUE(content("large") == large);
  EXPECT_TRUE(put("large2", large, Condition::absent()));
}

TEST_P(ObjectStoreContract, refuses_more_than_the_caller_can_take) {
  ASSERT_TRUE(put("big", std::string(1000, 'x')));
  const auto fetched = fetch(*store_, "big", 999, limits());
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::kResourceExhausted);
}

TEST_P(ObjectStoreContract, puts_only_if_absent) {
  if (!conditional_) GTEST_SKIP();
  ASSERT_TRUE(put("once", "first", Condition::absent()));
  const auto second = put("once", "second", Condition::absent());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(content("once"), "first");
  ASSERT_TRUE(store_->remove("once", limits()));
  EXPECT_TRUE(put("once", "third", Condition::absent()));
}

TEST_P(ObjectStoreContract, puts_only_if_the_etag_matches) {
  if (!conditional_) GTEST_SKIP();
  const auto first = put("m", "1");
  const auto second = put("m", "2", Condition::matches(*first));
  ASSERT_TRUE(second) << second.error().to_string();
  const auto stale = put("m", "3", Condition::matches(*first));
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(content("m"), "2");
  const auto missing = put("not-there", "x", Condition::matches(*second));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kPreconditionFailed);
}

TEST_P(ObjectStoreContract, lets_one_of_many_win) {
  if (!conditional_) GTEST_SKIP();
  for (int round = 0; round < 5; ++round) {
    const std::string key = "race-" + std::to_string(round);
    std::atomic<int> winners = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        const auto done = put(key, std::to_string(i), Condition::absent());
        if (done) ++winners;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(winners, 1);
  }
}

TEST_P(ObjectStoreContract, lists_in_order_by_prefix_and_page) {
  for (const char* key : {"p/b", "p/a/2", "p/a.1", "q", "p/c", "p-x"}) ASSERT_TRUE(put(key, "v"));
  using testing::ElementsAre;
  if (!ordered_) {
    EXPECT_THAT(keys({.prefix = "p/"}),
                testing::UnorderedElementsAre("p/a.1", "p/a/2", "p/b", "p/c"));
    return;
  }
  EXPECT_THAT(keys({}), ElementsAre("p-x", "p/a.1", "p/a/2", "p/b", "p/c", "q"));
  EXPECT_THAT(keys({.prefix = "p/"}), ElementsAre("p/a.1", "p/a/2", "p/b", "p/c"));
  EXPECT_THAT(keys({.prefix = "p/a"}), ElementsAre("p/a.1", "p/a/2"));
  EXPECT_THAT(keys({.prefix = "p/", .start_after = "p/a/2"}), ElementsAre("p/b", "p/c"));
  EXPECT_THAT(keys({.prefix = "p/", .limit = 1}), ElementsAre("p/a.1", "p/a/2", "p/b", "p/c"));
  EXPECT_THAT(keys({.prefix = "none/"}), ElementsAre());
  const auto page = store_->list({.prefix = "p/", .limit = 3}, limits());
  ASSERT_TRUE(page);
  EXPECT_EQ(page->objects.size(), 3u);
  EXPECT_TRUE(page->more);
  EXPECT_EQ(page->objects[0].size_bytes, 1u);
}

TEST_P(ObjectStoreContract, removes_and_removes_again) {
  ASSERT_TRUE(put("gone", "x"));
  EXPECT_TRUE(store_->remove("gone", limits()));
  EXPECT_TRUE(store_->remove("gone", limits()));
  EXPECT_EQ(keys({}).size(), 0u);
}

TEST_P(ObjectStoreContract, refuses_keys_that_are_none) {
  for (const std::string& key :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"),
        std::string("../a"), std::string("a/./b"), std::string("a b"), std::string("a\0b", 3),
        std::string(".calf-lock"), std::string(600, 'x')}) {
    const auto done = put(key, "x");
    ASSERT_FALSE(done) << key;
    EXPECT_EQ(done.error().code, ErrorCode::kInvalidArgument);
    EXPECT_FALSE(store_->remove(key, limits())) << key;
    EXPECT_FALSE(fetch(*store_, key, 10, limits())) << key;
  }
}

TEST_P(ObjectStoreContract, keeps_to_deadline_and_cancellation) {
  ASSERT_TRUE(put("k", "v"));
  EXPECT_EQ(fetch(*store_, "k", 10, Limits::within(0)).error().code, ErrorCode::kDeadlineExceeded);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(fetch(*store_, "k", 10, Limits::within(kTimeoutMs, stop.get_token())).error().code,
            ErrorCode::kCancelled);
}

TEST_P(ObjectStoreContract, passes_the_sinks_error_on) {
  ASSERT_TRUE(put("k", "value"));
  const auto info = store_->get(
      "k", {}, [](std::string_view) -> Result<void> { return fail(ErrorCode::kIo, "disk full"); },
      limits());
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, ErrorCode::kIo);
}

std::vector<std::string> stores() {
  std::vector<std::string> urls{"memory:", "folder"};
  if (const auto more = process_environment()("CALF_TEST_STORES")) {
    std::istringstream words(*more);
    for (std::string url; words >> url;) urls.push_back(url);
  }
  return urls;
}

std::string name_of(const testing::TestParamInfo<std::string>& info) {
  return std::to_string(info.index) + "_" + info.param.substr(0, info.param.find_first_of(":#"));
}

INSTANTIATE_TEST_SUITE_P(All, ObjectStoreContract, testing::ValuesIn(stores()), name_of);

}  // namespace
}  // namespace calf::blob
