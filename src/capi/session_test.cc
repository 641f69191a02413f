// Clusters and sessions by calf.h: their lives, COPY, notifications, cancelling, raw messages.
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "capi/test_support.h"

namespace calf::capi {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class Session : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = new ClusterHandle(open_cluster()); }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  static ClusterHandle* cluster_;
  SessionHandle session_ = open_session(*cluster_);
  ErrorHandle error_;
};
ClusterHandle* Session::cluster_ = nullptr;

bool is_readable(int descriptor, int timeout_ms) {
  pollfd fd = {descriptor, POLLIN, 0};
  return ::poll(&fd, 1, timeout_ms) == 1;
}

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
  std::thread canceller([this] {
    std::this_thread::sleep_for(200ms);
    EXPECT_EQ(calf_session_cancel(session_.get(), nullptr), CALF_OK);
  });
  const auto began = Clock::now();
  EXPECT_EQ(ask(session_, "select pg_sleep(30)"), "57014");
  EXPECT_LT(Clock::now() - began, 10s);
  canceller.join();
  std::thread again([this] {
    std::this_thread::sleep_for(200ms);
    calf_session_cancel(session_.get(), nullptr);
  });
  EXPECT_EQ(ask(session_, "select sum(n) from generate_series(1, 10000000000) n"), "57014");
  again.join();
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

TEST_F(Session, cancels_what_takes_longer_than_its_timeout) {
  calf_session_set_timeout(session_.get(), 200, nullptr);
  for (const char* sql :
       {"select pg_sleep(30)", "select sum(n) from generate_series(1, 10000000000) n"}) {
    const auto began = Clock::now();
    EXPECT_EQ(calf_execute(session_.get(), sql, nullptr, error_.out()), CALF_ERROR_TIMEOUT);
    EXPECT_LT(Clock::now() - began, 5s);
    EXPECT_EQ(error_.sqlstate(), "57014");
    EXPECT_EQ(ask(session_, "select 1"), "1");
  }
}

TEST_F(Session, is_used_by_one_thread_at_a_time) {
  std::thread other([this] { ask(session_, "select pg_sleep(1)"); });
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(calf_query(session_.get(), "select 1", nullptr, 0, CALF_TEXT, nullptr, error_.out()),
            CALF_ERROR_BUSY);
  other.join();
}

TEST_F(Session, ends_a_waiting_call_when_it_is_closed) {
  calf_session* session = session_.release();
  std::thread waiting([session] {
    EXPECT_EQ(calf_execute(session, "select pg_sleep(30)", nullptr, nullptr), CALF_ERROR_CLOSED);
  });
  std::this_thread::sleep_for(300ms);
  const auto began = Clock::now();
  calf_session_close(session);
  EXPECT_LT(Clock::now() - began, 5s);
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

// --- Raw messages

std::string message(char type, const std::string& body) {
  const auto size = static_cast<uint32_t>(body.size() + 4);
  std::string out(1, type);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
  return out + body;
}
std::string zeros(size_t count) {
  return std::string(count, '\0');
}

int note_type(void* types, const void* data, size_t) {
  *static_cast<std::string*>(types) += *static_cast<const char*>(data);
  return 0;
}

class Exchange : public Session {
 protected:
  // The types of the answers.
  std::string exchange(const std::string& messages) {
    std::string types;
    status_ = calf_session_exchange(session_.get(), messages.data(), messages.size(), note_type,
                                    &types, error_.out());
    return types;
  }
  calf_status status_ = CALF_OK;
  const std::string parse_ = message('P', zeros(1) + "select 1" + zeros(3));
  const std::string bind_ = message('B', zeros(8));
  const std::string describe_ = message('D', "P" + zeros(1));
  const std::string execute_ = message('E', zeros(5));
  const std::string sync_ = message('S', "");
};

TEST_F(Exchange, answers_simple_queries) {
  EXPECT_EQ(exchange(message('Q', "select 1; select 2" + zeros(1))), "TDCTDCZ");
  EXPECT_EQ(exchange(message('Q', "select 1/0" + zeros(1))), "EZ");
  EXPECT_EQ(exchange(message('Q', zeros(1)) + message('Q', zeros(1))), "IZIZ");
}

TEST_F(Exchange, answers_messages_one_by_one_and_together) {
  EXPECT_EQ(exchange(parse_ + bind_ + describe_ + execute_ + sync_), "12TDCZ");
  EXPECT_EQ(exchange(parse_), "1");
  EXPECT_EQ(ask(session_, "select 1"), "55006");  // in the middle of raw messages
  EXPECT_EQ(exchange(bind_), "2");
  EXPECT_EQ(exchange(describe_), "T");
  EXPECT_EQ(exchange(execute_), "DC");
  EXPECT_EQ(exchange(sync_), "Z");
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

TEST_F(Exchange, skips_to_sync_after_an_error_as_postgresql_does) {
  const std::string bad = message('P', zeros(1) + "selekt" + zeros(3));
  EXPECT_EQ(exchange(bad + bind_ + sync_ + message('Q', "select 1" + zeros(1))), "EZTDCZ");
  EXPECT_EQ(exchange(bad), "E");
  EXPECT_EQ(exchange(bind_), "");
  EXPECT_EQ(exchange(parse_ + sync_), "Z");
}

TEST_F(Exchange, copies) {
  ask(session_, "create temp table t (n int)");
  EXPECT_EQ(exchange(message('Q', "copy t from stdin" + zeros(1))), "G");
  EXPECT_EQ(exchange(message('d', "1\n")), "");
  EXPECT_EQ(exchange(message('d', "2\n") + message('c', "")), "CZ");
  EXPECT_EQ(exchange(message('Q', "copy t to stdout" + zeros(1))), "HddcCZ");
  EXPECT_EQ(exchange(message('Q', "copy t from stdin" + zeros(1)) + message('d', "3\n") +
                     message('f', "no" + zeros(1))),
            "GEZ");
  EXPECT_EQ(ask(session_, "select count(*) from t"), "2");
}

TEST_F(Exchange, does_not_show_answers_to_messages_of_its_own) {
  calf_statement* statement = nullptr;
  ASSERT_EQ(calf_prepare(session_.get(), "select 1", nullptr, 0, &statement, nullptr), CALF_OK);
  calf_statement_close(statement);
  EXPECT_EQ(exchange(message('C', "Sx" + zeros(1)) + sync_), "3Z");
}

TEST_F(Exchange, refuses_what_is_not_whole_messages) {
  for (const std::string& bad :
       {std::string("Q"), std::string("Q\0\0\0\3", 5), std::string("Q\xff\xff\xff\xff", 5),
        std::string("Q\0\0\0\x20", 5), message('X', ""), message('p', "secret"), zeros(8)}) {
    EXPECT_EQ(exchange(bad), "");
    EXPECT_EQ(status_, CALF_ERROR_INVALID);
  }
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

TEST_F(Exchange, can_be_ended_by_the_receiver) {
  const std::string query = message('Q', "select generate_series(1, 100000)" + zeros(1));
  const auto stop = [](void*, const void*, size_t) { return 1; };
  EXPECT_EQ(
      calf_session_exchange(session_.get(), query.data(), query.size(), stop, nullptr, nullptr),
      CALF_DONE);
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

// --- The wire

class Wire : public Session {
 protected:
  void SetUp() override {
    calf_wire* wire = nullptr;
    ASSERT_EQ(calf_wire_open(cluster_->get(), &wire, nullptr), CALF_OK);
    wire_.reset(wire);
  }
  void send(std::string bytes) {
    size_t sent = 0;
    while (!bytes.empty() && calf_wire_send(wire_.get(), bytes.data(), bytes.size(), 10'000, &sent,
                                            nullptr) == CALF_OK) {
      bytes.erase(0, sent);
    }
  }
  std::string receive(int64_t timeout_ms = 10'000) {
    std::string buffer(100'000, '\0');
    size_t received = 0;
    status_ = calf_wire_receive(wire_.get(), buffer.data(), buffer.size(), timeout_ms, &received,
                                error_.out());
    buffer.resize(received);
    return buffer;
  }
  // Until the session is idle.
  std::string answer() {
    std::string all;
    do {
      all += receive();
    } while (status_ == CALF_OK && !all.ends_with(message('Z', "I")));
    return all;
  }
  static std::string startup() {
    const std::string body = std::string("\0\3\0\0", 4) + "user" + zeros(1) + "postgres" + zeros(2);
    return message('x', body).substr(1);
  }
  WireHandle wire_;
  calf_status status_ = CALF_OK;
};

TEST_F(Wire, exchanges_a_question_for_an_answer_in_one_call) {
  send(startup());
  answer();
  const std::string question = message('Q', "select 'asked at once'" + zeros(1));
  std::string buffer(10'000, '\0');
  for (int i = 0; i < 100; ++i) {
    size_t sent = 0, received = 0;
    std::string all;
    do {
      const size_t left = all.empty() ? question.size() : 0;
      ASSERT_EQ(calf_wire_exchange(wire_.get(), question.data(), left, &sent, buffer.data(),
                                   buffer.size(), 10'000, &received, nullptr),
                CALF_OK);
      ASSERT_EQ(sent, left);
      all.append(buffer, 0, received);
    } while (!all.ends_with(message('Z', "I")));
    EXPECT_NE(all.find("asked at once"), std::string::npos);
  }
  size_t received = 0;
  EXPECT_EQ(calf_wire_exchange(wire_.get(), nullptr, 0, nullptr, buffer.data(), buffer.size(), 1,
                               &received, nullptr),
            CALF_ERROR_TIMEOUT);
  // Without waiting, the engine is at work all the same.
  ASSERT_EQ(calf_wire_exchange(wire_.get(), question.data(), question.size(), nullptr,
                               buffer.data(), buffer.size(), 0, &received, nullptr),
            CALF_ERROR_TIMEOUT);
  EXPECT_NE(answer().find("asked at once"), std::string::npos);
}

TEST_F(Wire, speaks_the_protocol_from_the_startup_packet_on) {
  send(std::string("\0\0\0\x8\x4\xd2\x16\x2f", 8));  // SSLRequest
  EXPECT_EQ(receive(), "N");
  send(startup() + message('Q', "select 'over the wire'" + zeros(1)));
  EXPECT_NE((answer() + answer()).find("over the wire"), std::string::npos);
  EXPECT_EQ(receive(0), "");
  EXPECT_EQ(status_, CALF_ERROR_TIMEOUT);
  send(message('X', ""));
  receive();
  EXPECT_EQ(status_, CALF_DONE);
}

TEST_F(Wire, shows_answers_to_event_loops) {
  const int descriptor = calf_wire_descriptor(wire_.get());
  send(startup());
  answer();
  receive(0);
  EXPECT_FALSE(is_readable(descriptor, 0));
  send(message('Q', "select 1" + zeros(1)));
  EXPECT_TRUE(is_readable(descriptor, 10'000));
  answer();
  receive(0);
  EXPECT_FALSE(is_readable(descriptor, 0));
}

TEST_F(Wire, is_cancelled_by_another_thread) {
  send(startup());
  answer();
  send(message('Q', "select pg_sleep(30)" + zeros(1)));
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(calf_wire_cancel(wire_.get(), nullptr), CALF_OK);
  EXPECT_NE(answer().find("57014"), std::string::npos);
}

TEST_F(Wire, refuses_what_is_no_startup_packet) {
  send("GET / HTTP/1.1\r\n\r\n");
  receive();
  size_t sent = 0;
  EXPECT_EQ(calf_wire_send(wire_.get(), "x", 1, 1000, &sent, error_.out()), CALF_ERROR_CLOSED);
}

TEST_F(Wire, moves_more_than_its_buffers_hold) {
  send(startup());
  answer();
  std::thread sender(
      [this] { send(message('Q', "select '" + std::string(3'000'000, 'x') + "'" + zeros(1))); });
  EXPECT_GT(answer().size(), 3'000'000u);
  sender.join();
}

// --- Clusters

TEST(Cluster, ends_with_sessions_open) {
  auto cluster = open_cluster();
  const auto idle = open_session(cluster);
  const auto busy = open_session(cluster);
  calf_statement* statement = nullptr;
  ASSERT_EQ(calf_prepare(idle.get(), "select 1", nullptr, 0, &statement, nullptr), CALF_OK);
  calf_stream* stream = nullptr;
  const auto streaming = open_session(cluster);
  ASSERT_EQ(calf_stream_query(streaming.get(), "select generate_series(1, 100000)", nullptr, 0,
                              CALF_TEXT, 10, &stream, nullptr),
            CALF_OK);
  std::thread waiting([&busy] {
    EXPECT_EQ(calf_execute(busy.get(), "select pg_sleep(30)", nullptr, nullptr), CALF_ERROR_CLOSED);
  });
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(calf_close(cluster.release(), nullptr), CALF_OK);
  waiting.join();
  ErrorHandle error;
  EXPECT_EQ(calf_execute(idle.get(), "select 1", nullptr, error.out()), CALF_ERROR_CLOSED);
  EXPECT_EQ(calf_statement_query(statement, nullptr, 0, CALF_TEXT, nullptr, nullptr),
            CALF_ERROR_CLOSED);
  const calf_value* row = nullptr;
  EXPECT_EQ(calf_stream_next(stream, &row, nullptr), CALF_ERROR_CLOSED);
  EXPECT_EQ(calf_session_cancel(idle.get(), nullptr), CALF_ERROR_CLOSED);
  calf_stream_close(stream);
  calf_statement_close(statement);
}

TEST(Cluster, keeps_a_directory_to_itself_and_its_data) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("calf-capi-test-" + std::to_string(::getpid()));
  calf_options options = {};
  options.struct_size = sizeof options;
  options.data_dir = path.c_str();
  {
    const auto cluster = open_cluster(&options);
    calf_cluster* second = nullptr;
    ErrorHandle error;
    EXPECT_EQ(calf_open(&options, &second, error.out()), CALF_ERROR_UNAVAILABLE) << error.message();
    ask(open_session(cluster), "create table kept as select 42 as n");
  }
  {
    const auto cluster = open_cluster(&options);
    EXPECT_EQ(ask(open_session(cluster), "select n from kept"), "42");
  }
  std::filesystem::remove_all(path);
}

TEST(Cluster, makes_user_database_and_extensions_and_listens) {
  const char* extensions[] = {"vector"};
  const char* settings[] = {"work_mem=5MB"};
  calf_options options = {};
  options.struct_size = sizeof options;
  options.user = "app";
  options.database = "app db";
  options.extensions = extensions;
  options.extensions_count = 1;
  options.settings = settings;
  options.settings_count = 1;
  const auto cluster = open_cluster(&options);
  const auto session = open_session(cluster);
  EXPECT_EQ(ask(session, "select '[1,2]'::vector"), "[1,2]");
  EXPECT_EQ(ask(session, "select current_user || ' in ' || current_database()"), "app in app db");
  EXPECT_EQ(ask(session, "show work_mem"), "5MB");
  char* url = nullptr;
  ErrorHandle error;
  ASSERT_EQ(calf_listen(cluster.get(), nullptr, &url, error.out()), CALF_OK) << error.message();
  EXPECT_EQ(std::string(url).find("postgresql://app@127.0.0.1:"), 0u);
  EXPECT_TRUE(std::string(url).ends_with("/app%20db"));
  calf_free(url);
  calf_listen_options open_to_all = {};
  open_to_all.struct_size = sizeof open_to_all;
  open_to_all.host = "0.0.0.0";
  EXPECT_EQ(calf_listen(cluster.get(), &open_to_all, nullptr, error.out()), CALF_ERROR_PERMISSION);
  EXPECT_EQ(calf_stop_listening(cluster.get(), nullptr), CALF_OK);
}

TEST(Cluster, tells_its_log) {
  std::string log;
  calf_options options = {};
  options.struct_size = sizeof options;
  options.log_context = &log;
  options.log = [](void* context, const char* line, size_t size) {
    static_cast<std::string*>(context)->append(line, size).append("\n");
  };
  {
    const auto cluster = open_cluster(&options);
    ask(open_session(cluster), "select no_such_thing");
  }
  EXPECT_NE(log.find("no_such_thing"), std::string::npos);
}

// The fault happens on this thread, which runs the backend while it waits for the answer.
TEST(Cluster, survives_a_backend_that_crashes) {
  const auto cluster = open_cluster();
  const auto other = open_cluster();
  const auto bystander = open_session(other);
  for (int round = 0; round < 3; ++round) {
    SessionHandle session;
    const auto deadline = Clock::now() + 20s;
    while (session == nullptr && Clock::now() < deadline) {
      calf_session* opened = nullptr;
      calf_session_open(cluster.get(), nullptr, &opened, nullptr);
      session.reset(opened);
    }
    ask(session,
        "create or replace function crash(int) returns cstring strict language internal "
        "as 'textout'");
    ErrorHandle error;
    EXPECT_EQ(calf_execute(session.get(), "select crash(-65536)", nullptr, error.out()),
              CALF_ERROR_CLOSED);
    EXPECT_EQ(ask(bystander, "select 1"), "1");
  }
}

TEST(Misuse, is_an_error_and_no_crash) {
  ErrorHandle error;
  calf_cluster* cluster = nullptr;
  calf_options options = {};
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_INVALID);
  options.struct_size = sizeof options + 8;
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_INVALID);
  options.struct_size = sizeof options;
  EXPECT_EQ(calf_open(&options, nullptr, error.out()), CALF_ERROR_INVALID);
  options.data_dir = "http://x";
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_INVALID);
  options.data_dir = nullptr;
  options.extensions_count = 3;
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_INVALID);
  options.extensions_count = 0;
  options.auth = "none";
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_INVALID);
  const char* setting = "max_connections=lots";
  options.auth = nullptr;
  options.settings = &setting;
  options.settings_count = 1;
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_UNAVAILABLE);
  EXPECT_NE(error.message().find("max_connections"), std::string::npos) << error.message();

  EXPECT_EQ(calf_close(nullptr, nullptr), CALF_OK);
  EXPECT_EQ(calf_listen(nullptr, nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_stop_listening(nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_branch_create(nullptr, "x", nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_branch_create(nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_branch_list(nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  calf_session* session = nullptr;
  EXPECT_EQ(calf_session_open(nullptr, nullptr, &session, nullptr), CALF_ERROR_INVALID);
  calf_session_close(nullptr);
  EXPECT_EQ(calf_session_cancel(nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_session_set_timeout(nullptr, 1, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_session_transaction(nullptr), 0);
  EXPECT_EQ(calf_session_pid(nullptr), 0);
  EXPECT_EQ(calf_session_parameter(nullptr, nullptr), nullptr);
  EXPECT_EQ(calf_session_descriptor(nullptr), -1);
  EXPECT_EQ(calf_query(nullptr, "select 1", nullptr, 0, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_execute(nullptr, nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_prepare(nullptr, nullptr, nullptr, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_statement_query(nullptr, nullptr, 0, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_stream_query(nullptr, nullptr, nullptr, 0, 0, 0, nullptr, nullptr),
            CALF_ERROR_INVALID);
  EXPECT_EQ(calf_stream_statement(nullptr, nullptr, 0, 0, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_stream_next(nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_copy_begin(nullptr, nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_copy_write(nullptr, nullptr, 0, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_copy_read(nullptr, nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_copy_end(nullptr, nullptr, nullptr, nullptr), CALF_OK);
  EXPECT_EQ(calf_session_next_notification(nullptr, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_session_exchange(nullptr, nullptr, 0, nullptr, nullptr, nullptr),
            CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_open(nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_send(nullptr, nullptr, 0, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_receive(nullptr, nullptr, 0, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_exchange(nullptr, nullptr, 0, nullptr, nullptr, 0, 0, nullptr, nullptr),
            CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_cancel(nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_descriptor(nullptr), -1);
  calf_wire_close(nullptr);
  calf_statement_close(nullptr);
  calf_stream_close(nullptr);
  calf_result_free(nullptr);
  calf_error_free(nullptr);
  calf_free(nullptr);
  EXPECT_STREQ(calf_error_message(nullptr), "");
  EXPECT_EQ(calf_result_row(nullptr, 0), nullptr);
  EXPECT_EQ(calf_result_value(nullptr, 0, 0, nullptr), nullptr);
  EXPECT_EQ(calf_result_affected_rows(nullptr), -1);
}

TEST(Version, is_told) {
  EXPECT_STREQ(calf_version(), CALF_PROJECT_VERSION);
  EXPECT_EQ(calf_abi_version(), CALF_ABI_VERSION);
  const auto cluster = open_cluster();
  EXPECT_EQ(ask(open_session(cluster), "show server_version"), calf_postgres_version());
}

TEST(Fork, makes_handles_useless_in_the_child_and_leaves_the_parents_alone) {
  const auto cluster = open_cluster();
  const auto session = open_session(cluster);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool refused =
        calf_execute(session.get(), "select 1", nullptr, nullptr) == CALF_ERROR_INVALID;
    calf_session_close(session.get());
    const bool close_refused = calf_close(cluster.get(), nullptr) == CALF_ERROR_INVALID;
    calf_cluster* own = nullptr;
    const bool opened = calf_open(nullptr, &own, nullptr) == CALF_OK;
    ::_exit(refused && close_refused && opened ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ask(session, "select 1"), "1");
}

}  // namespace
}  // namespace calf::capi
