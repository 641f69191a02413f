// Sessions by calf.h: login, COPY, notifications, cancelling.
#include <atomic>
#include <chrono>
#include <thread>

#include "capi/test_support.h"

namespace calf::capi {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr const char* kEndless = "select sum(n) from generate_series(1, 10000000000) n";

calf_session_options session_options(const char* user = nullptr, const char* database = nullptr) {
  calf_session_options options = {};
  options.struct_size = sizeof options;
  options.user = user;
  options.database = database;
  return options;
}

// --- Login

TEST_F(Session, logs_in_as_the_given_user_with_its_rights_only) {
  ask(session_, "create role alice login");
  const auto options = session_options("alice");
  const auto alice = open_session(*cluster_, &options);
  EXPECT_EQ(ask(alice, "select current_user"), "alice");
  EXPECT_EQ(ask(alice, "create role bob"), "42501");
}

TEST_F(Session, tells_why_a_login_was_refused) {
  calf_session* session = nullptr;
  const auto nobody = session_options("nobody");
  EXPECT_EQ(calf_session_open(cluster_->get(), &nobody, &session, error_.out()),
            CALF_ERROR_PERMISSION);
  EXPECT_EQ(error_.sqlstate(), "28000");
  const auto nowhere = session_options(nullptr, "nowhere");
  EXPECT_EQ(calf_session_open(cluster_->get(), &nowhere, &session, error_.out()),
            CALF_ERROR_NOT_FOUND);
  EXPECT_EQ(error_.sqlstate(), "3D000");
  EXPECT_EQ(session, nullptr);
}

TEST_F(Session, takes_startup_parameters_and_refuses_bad_ones) {
  const char* good[] = {"application_name=tests", "work_mem=3MB"};
  auto options = session_options();
  options.parameters = good;
  options.parameters_count = 2;
  const auto session = open_session(*cluster_, &options);
  EXPECT_EQ(ask(session, "show work_mem"), "3MB");
  EXPECT_STREQ(calf_session_parameter(session.get(), "application_name"), "tests");
  EXPECT_EQ(calf_session_parameter(session.get(), "nothing"), nullptr);
  EXPECT_EQ(ask(session, "select pg_backend_pid()"),
            std::to_string(calf_session_pid(session.get())));
  const std::string long_value = "application_name=" + std::string(20000, 'x');
  const char* bad[] = {"nothing", nullptr, long_value.c_str()};
  for (const char* parameter : bad) {
    options.parameters = &parameter;
    options.parameters_count = 1;
    calf_session* refused = nullptr;
    EXPECT_EQ(calf_session_open(cluster_->get(), &options, &refused, nullptr), CALF_ERROR_INVALID);
  }
}

// --- COPY

TEST_F(Session, copies_in_and_out) {
  ask(session_, "create temp table t (n int, words text)");
  calf_copy* copy = nullptr;
  ASSERT_EQ(calf_copy_begin(session_.get(), "copy t from stdin", &copy, error_.out()), CALF_OK);
  EXPECT_TRUE(calf_copy_is_in(copy));
  EXPECT_EQ(calf_copy_column_count(copy), 2u);
  EXPECT_EQ(ask(session_, "select 1"), "55006");
  std::string lines;
  for (int n = 0; n < 100'000; ++n) lines += std::to_string(n) + "\tsome words\n";
  ASSERT_EQ(calf_copy_write(copy, lines.data(), lines.size(), error_.out()), CALF_OK);
  calf_result* result = nullptr;
  ASSERT_EQ(calf_copy_end(copy, nullptr, &result, error_.out()), CALF_OK) << error_.message();
  EXPECT_EQ(calf_result_affected_rows(result), 100'000);
  calf_result_free(result);

  ASSERT_EQ(calf_copy_begin(session_.get(), "copy t to stdout", &copy, error_.out()), CALF_OK);
  EXPECT_FALSE(calf_copy_is_in(copy));
  std::string got;
  const void* data = nullptr;
  size_t size = 0;
  while (calf_copy_read(copy, &data, &size, error_.out()) == CALF_OK) {
    got.append(static_cast<const char*>(data), size);
  }
  EXPECT_EQ(got, lines);
  EXPECT_EQ(calf_copy_end(copy, nullptr, &result, error_.out()), CALF_OK);
  EXPECT_STREQ(calf_result_command_tag(result), "COPY 100000");
  calf_result_free(result);
}

TEST_F(Session, fails_a_copy_for_bad_data_and_on_request) {
  ask(session_, "create temp table t (n int)");
  calf_copy* copy = nullptr;
  ASSERT_EQ(calf_copy_begin(session_.get(), "copy t from stdin", &copy, nullptr), CALF_OK);
  calf_status status = CALF_OK;
  for (int i = 0; i < 1000 && status == CALF_OK; ++i) {
    const std::string lines(10'000, 'x');
    status = calf_copy_write(copy, (lines + "\n").data(), lines.size() + 1, error_.out());
  }
  EXPECT_EQ(status, CALF_ERROR_SQL);
  EXPECT_EQ(error_.sqlstate(), "22P02");
  EXPECT_EQ(calf_copy_end(copy, nullptr, nullptr, error_.out()), CALF_ERROR_SQL);

  ASSERT_EQ(calf_copy_begin(session_.get(), "copy t from stdin", &copy, nullptr), CALF_OK);
  ASSERT_EQ(calf_copy_write(copy, "1\n", 2, nullptr), CALF_OK);
  EXPECT_EQ(calf_copy_end(copy, "changed my mind", nullptr, error_.out()), CALF_ERROR_SQL);
  EXPECT_EQ(error_.sqlstate(), "57014");
  EXPECT_EQ(ask(session_, "select count(*) from t"), "0");
}

TEST_F(Session, leaves_a_copy_out_in_the_middle) {
  calf_copy* copy = nullptr;
  ASSERT_EQ(
      calf_copy_begin(session_.get(), "copy (select generate_series(1, 1000000000)) to stdout",
                      &copy, nullptr),
      CALF_OK);
  const void* data = nullptr;
  size_t size = 0;
  ASSERT_EQ(calf_copy_read(copy, &data, &size, nullptr), CALF_OK);
  EXPECT_EQ(calf_copy_write(copy, "x", 1, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_copy_end(copy, nullptr, nullptr, error_.out()), CALF_OK) << error_.message();
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

TEST_F(Session, says_when_a_statement_was_no_copy) {
  calf_copy* copy = nullptr;
  EXPECT_EQ(calf_copy_begin(session_.get(), "select 1", &copy, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_copy_begin(session_.get(), "copy nothing to stdout", &copy, error_.out()),
            CALF_ERROR_SQL);
  EXPECT_EQ(error_.sqlstate(), "42P01");
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

// --- Notifications

TEST_F(Session, waits_for_notifications) {
  ask(session_, "listen news");
  calf_notification notification;
  EXPECT_EQ(calf_session_next_notification(session_.get(), 0, &notification, nullptr), CALF_DONE);
  std::thread teller(
      [] { ask(open_session(*cluster_), "select pg_sleep(0.1); notify news, 'hello'"); });
  ASSERT_EQ(calf_session_next_notification(session_.get(), 10'000, &notification, error_.out()),
            CALF_OK);
  EXPECT_STREQ(notification.channel, "news");
  EXPECT_STREQ(notification.payload, "hello");
  EXPECT_GT(notification.pid, 0);
  teller.join();
  const auto began = Clock::now();
  EXPECT_EQ(calf_session_next_notification(session_.get(), 50, &notification, nullptr), CALF_DONE);
  EXPECT_GE(Clock::now() - began, 50ms);
}

TEST_F(Session, shows_notifications_to_event_loops) {
  const int descriptor = calf_session_descriptor(session_.get());
  ASSERT_GE(descriptor, 0);
  calf_notification notification;
  ask(session_, "listen news");
  EXPECT_EQ(calf_session_next_notification(session_.get(), 0, &notification, nullptr), CALF_DONE);
  const auto teller = open_session(*cluster_);
  for (int round = 0; round < 3; ++round) {
    EXPECT_FALSE(is_readable(descriptor, 0));
    ask(teller, "notify news, 'one'; notify news, 'two'");
    EXPECT_TRUE(is_readable(descriptor, 10'000));
    // A call between does not hide it.
    ask(session_, "select 1");
    EXPECT_TRUE(is_readable(descriptor, 0));
    EXPECT_EQ(calf_session_next_notification(session_.get(), 0, &notification, nullptr), CALF_OK);
    EXPECT_STREQ(notification.payload, "one");
    EXPECT_EQ(calf_session_next_notification(session_.get(), 0, &notification, nullptr), CALF_OK);
    EXPECT_STREQ(notification.payload, "two");
    EXPECT_EQ(calf_session_next_notification(session_.get(), 0, &notification, nullptr), CALF_DONE);
  }
}

TEST_F(Session, keeps_what_it_notifies_itself) {
  ask(session_, "listen news; notify news, 'me'");
  calf_notification notification;
  EXPECT_EQ(calf_session_next_notification(session_.get(), 0, &notification, nullptr), CALF_OK);
  EXPECT_STREQ(notification.payload, "me");
}

// --- Cancelling and time

TEST_F(Session, is_cancelled_by_another_thread) {
  for (const char* sql : {"select pg_sleep(100)", kEndless}) {
    std::thread canceller([this] {
      wait_until_active(*cluster_, calf_session_pid(session_.get()));
      EXPECT_EQ(calf_session_cancel(session_.get(), nullptr), CALF_OK);
    });
    EXPECT_EQ(ask(session_, sql), "57014");
    canceller.join();
  }
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

TEST_F(Session, cancels_what_takes_longer_than_its_timeout) {
  for (const char* sql : {"select pg_sleep(100)", kEndless}) {
    calf_session_set_timeout(session_.get(), 200, nullptr);
    EXPECT_EQ(calf_execute(session_.get(), sql, nullptr, error_.out()), CALF_ERROR_TIMEOUT);
    EXPECT_EQ(error_.sqlstate(), "57014");
    calf_session_set_timeout(session_.get(), 20'000, nullptr);
    EXPECT_EQ(ask(session_, "select 1"), "1");
  }
}

TEST_F(Session, is_used_by_one_thread_at_a_time) {
  std::thread other([this] { EXPECT_EQ(ask(session_, "select pg_sleep(100)"), "57014"); });
  wait_until_active(*cluster_, calf_session_pid(session_.get()));
  EXPECT_EQ(calf_query(session_.get(), "select 1", nullptr, 0, CALF_TEXT, nullptr, error_.out()),
            CALF_ERROR_BUSY);
  EXPECT_EQ(calf_session_cancel(session_.get(), nullptr), CALF_OK);
  other.join();
}

TEST_F(Session, ends_a_waiting_call_when_it_is_closed) {
  calf_session* session = session_.release();
  std::thread waiting([session] {
    EXPECT_EQ(calf_execute(session, "select pg_sleep(100)", nullptr, nullptr), CALF_ERROR_CLOSED);
  });
  wait_until_active(*cluster_, calf_session_pid(session));
  calf_session_close(session);
  waiting.join();
}

TEST_F(Session, says_why_postgresql_has_ended_it) {
  const auto other = open_session(*cluster_);
  const std::string sql =
      "select pg_terminate_backend(" + std::to_string(calf_session_pid(session_.get())) + ")";
  EXPECT_EQ(ask(other, sql.c_str()), "t");
  EXPECT_EQ(calf_execute(session_.get(), "select 1", nullptr, error_.out()), CALF_ERROR_CLOSED);
  EXPECT_EQ(error_.sqlstate(), "57P01");
  EXPECT_EQ(calf_execute(session_.get(), "select 1", nullptr, error_.out()), CALF_ERROR_CLOSED);
  EXPECT_EQ(calf_session_transaction(session_.get()), 0);
}

}  // namespace
}  // namespace calf::capi
