// The wire protocol by calf.h: messages on a session, and connections in raw bytes.
#include <thread>

#include "capi/test_support.h"

namespace calf::capi {
namespace {

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
  // Until the session is idle; `all` is what has come already.
  std::string answer(std::string all = {}) {
    status_ = CALF_OK;
    while (status_ == CALF_OK && !all.ends_with(message('Z', "I"))) all += receive();
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
  calf_wire_exchange(wire_.get(), question.data(), question.size(), nullptr, buffer.data(),
                     buffer.size(), 0, &received, nullptr);
  EXPECT_NE(answer(buffer.substr(0, received)).find("asked at once"), std::string::npos);
}

TEST_F(Wire, speaks_the_protocol_from_the_startup_packet_on) {
  send(std::string("\0\0\0\x8\x4\xd2\x16\x2f", 8));  // SSLRequest
  EXPECT_EQ(receive(), "N");
  send(startup() + message('Q', "select 'over the wire'" + zeros(1)));
  std::string all = answer();
  if (all.find("over the wire") == std::string::npos) all = answer();
  EXPECT_NE(all.find("over the wire"), std::string::npos);
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
  const std::string greeting = answer();
  int pid = 0;
  const size_t key_data = greeting.find(std::string("K\0\0\0\f", 5));
  for (size_t i = key_data + 5; i < key_data + 9; ++i) {
    pid = pid << 8 | static_cast<uint8_t>(greeting.at(i));
  }
  send(message('Q', "select pg_sleep(100)" + zeros(1)));
  wait_until_active(*cluster_, pid);
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

}  // namespace
}  // namespace calf::capi
