#include <gtest/gtest.h>

#include <thread>

#include "blob/s3_store.h"
#include "blob/testing/http_server.h"

namespace calf::blob {
namespace {

using testing::HttpServer;
using testing::Reply;
using testing::Request;

std::unique_ptr<S3Store> store_at(const std::string& url, int attempts = 10) {
  auto store =
      S3Store::open({.bucket = "bucket",
                     .region = "eu-west-1",
                     .endpoint = url,
                     .keys = AwsKeys{"AKID", "very-secret", "session-secret"},
                     .http = {.connect_timeout_ms = 2000},
                     .retry = {.first_delay_ms = 1, .longest_delay_ms = 5, .attempts = attempts},
                     .environment = [](const std::string&) { return std::nullopt; }});
  EXPECT_TRUE(store) << store.error().to_string();
  return std::move(*store);
}

constexpr int kNoAnswerMs = 15'000;  // so long does a server keep its client waiting

Limits limits() {
  return Limits::within(20'000);
}

TEST(Http, tries_again_while_the_service_is_busy) {
  int calls = 0;
  HttpServer server([&](const Request&) -> Reply {
    if (++calls < 4) return {.status = calls == 1 ? 500 : calls == 2 ? 503 : 429};
    return {.body = "done", .headers = {"ETag: \"e\""}};
  });
  const auto fetched = fetch(*store_at(server.url()), "k", 100, limits());
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(fetched->bytes, "done");
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST(Http, gives_up_after_its_attempts_and_says_why) {
  HttpServer server([](const Request&) -> Reply {
    return {.status = 503, .body = "<Error><Code>SlowDown</Code><Message>later</Message></Error>"};
  });
  const auto done = put_bytes(*store_at(server.url(), 3), "k", "v", Condition::none(), limits());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(done.error().message.find("SlowDown: later"), std::string::npos)
      << done.error().message;
  EXPECT_EQ(server.requests().size(), 3u);
}

TEST(Http, goes_on_reading_where_the_connection_broke) {
  const std::string object = "0123456789abcdefghij";
  HttpServer server([&](const Request& request) -> Reply {
    const auto range = request.headers.find("range");
    const std::size_t offset =
        range == request.headers.end() ? 0 : std::stoull(range->second.substr(6));
    Reply reply{.status = offset > 0 ? 206 : 200, .body = object.substr(offset)};
    reply.headers = {"ETag: \"v1\""};
    if (offset > 0) {
      reply.headers.push_back("Content-Range: bytes " + std::to_string(offset) + "-19/20");
      EXPECT_EQ(request.headers.at("if-match"), "\"v1\"");
    }
    if (offset < 15) reply.break_after_bytes = 6;
    return reply;
  });
  const auto fetched = fetch(*store_at(server.url()), "k", 100, limits());
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(fetched->bytes, object);
  EXPECT_EQ(fetched->info.size_bytes, 20u);
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST(Http, notices_an_object_that_changes_while_it_is_read) {
  HttpServer server([&](const Request& request) -> Reply {
    if (request.headers.count("if-match") != 0) return {.status = 412};
    return {.body = "0123456789", .headers = {"ETag: \"v1\""}, .break_after_bytes = 4};
  });
  const auto fetched = fetch(*store_at(server.url()), "k", 100, limits());
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::kDataCorrupted);
}

TEST(Http, knows_its_own_put_when_the_acknowledgement_was_lost) {
  std::string stored;
  HttpServer server([&](const Request& request) -> Reply {
    if (request.method == "GET") return {.body = stored, .headers = {"ETag: \"mine\""}};
    if (!stored.empty()) return {.status = 412};
    stored = request.body;
    return {.body = "lost on the way", .break_after_bytes = 0};
  });
  const auto store = store_at(server.url());
  const auto done = put_bytes(*store, "k", "value", Condition::absent(), limits());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(*done, "\"mine\"");
  const auto other = put_bytes(*store, "k", "another", Condition::absent(), limits());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kPreconditionFailed);
}

TEST(Http, ends_at_its_deadline) {
  HttpServer server([](const Request&) -> Reply { return {.delay_ms = kNoAnswerMs}; });
  const auto before_the_answer = Limits::within(kNoAnswerMs);
  const auto fetched = fetch(*store_at(server.url()), "k", 100, Limits::within(200));
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_GT(before_the_answer.remaining_ms(), 0);
}

TEST(Http, ends_when_it_is_cancelled) {
  HttpServer server([](const Request&) -> Reply { return {.delay_ms = kNoAnswerMs}; });
  std::stop_source stop;
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stop.request_stop();
  });
  const auto before_the_answer = Limits::within(kNoAnswerMs);
  const auto store = store_at(server.url());
  const auto fetched = fetch(*store, "k", 100, Limits::within(2 * kNoAnswerMs, stop.get_token()));
  canceller.join();
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::kCancelled);
  EXPECT_GT(before_the_answer.remaining_ms(), 0);
}

TEST(Http, shows_no_secret_in_errors) {
  HttpServer server([](const Request& request) -> Reply {
    return {.status = 403,
            .body = "<Error><Code>SignatureDoesNotMatch</Code><Message>" +
                    request.headers.at("authorization") +
                    request.headers.at("x-amz-security-token") + "</Message></Error>"};
  });
  const auto fetched = fetch(*store_at(server.url()), "k", 100, limits());
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::kPermissionDenied);
  const std::string text = fetched.error().to_string();
  EXPECT_EQ(text.find("secret"), std::string::npos) << text;
  EXPECT_EQ(text.find("Signature="), std::string::npos) << text;
  EXPECT_NE(text.find("SignatureDoesNotMatch"), std::string::npos) << text;
}

TEST(Http, says_that_nobody_listens) {
  const auto fetched = fetch(*store_at("http://127.0.0.1:1", 2), "k", 100, limits());
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(fetched.error().message.find("127.0.0.1:1"), std::string::npos);
}

TEST(Http, takes_a_failed_completion_for_what_it_is) {
  HttpServer server([](const Request& request) -> Reply {
    if (request.target.find("uploads") != std::string::npos) {
      return {.body =
                  "<InitiateMultipartUploadResult><UploadId>u1</UploadId>"
                  "</InitiateMultipartUploadResult>"};
    }
    if (request.method == "POST") {
      return {.body = "<Error><Code>InternalError</Code><Message>no</Message></Error>"};
    }
    return {.status = request.method == "DELETE" ? 204 : 200, .headers = {"ETag: \"p\""}};
  });
  const std::string large((8u << 20) + 1, 'x');
  const auto done = put_bytes(*store_at(server.url()), "k", large, Condition::none(), limits());
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("InternalError"), std::string::npos);
  EXPECT_EQ(server.requests().back().method, "DELETE");  // the parts are not left behind
}

TEST(Backoff, has_full_jitter_below_a_doubling_limit) {
  const RetryPolicy policy{.first_delay_ms = 10, .longest_delay_ms = 1000};
  std::int64_t most = 0;
  for (int i = 0; i < 500; ++i) {
    EXPECT_LE(backoff_ms(policy, 1), 10);
    EXPECT_LE(backoff_ms(policy, 100), 1000);
    most = std::max(most, backoff_ms(policy, 100));
  }
  EXPECT_GT(most, 500);
}

}  // namespace
}  // namespace calf::blob
