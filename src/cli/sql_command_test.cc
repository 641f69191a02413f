#include "cli/sql_command.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include "pgwire/frontend.h"
#include "pgwire/scram.h"
#include "pgwire/wire.h"

namespace calf::cli {
namespace {

using pgwire::Bytes;

Bytes message(char type, std::string_view body) {
  Bytes out;
  {
    pgwire::MessageBuilder builder(out, type);
    pgwire::put_text(out, body);
  }
  return out;
}

Bytes operator+(Bytes a, const Bytes& b) {
  pgwire::put_bytes(a, b);
  return a;
}

using namespace std::string_view_literals;

Bytes ready() {
  return message('Z', "I");
}
Bytes complete(const std::string& tag) {
  return message('C', tag + '\0');
}
Bytes failure(std::string_view text) {
  return pgwire::encode_error_response(
      {.severity = "ERROR", .sqlstate = "22012", .message = std::string(text)});
}
Bytes one_row() {
  return message('T', "\0\1a\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"sv) +
         message('D',
                 "\0\1\0\0\0\1"
                 "7"sv) +
         complete("SELECT 1");
}

// Answers a login, and then each query with what was prepared for it. Remembers what COPY sent.
class ScriptedEngine final : public server::Engine {
 public:
  ~ScriptedEngine() override { join(); }

  void connect(server::ClientConnection connection) override {
    transport_ = std::move(connection.transport);
    transport_->set_wakeup([this] {
      const std::lock_guard lock(mutex_);
      woken_ = true;
      changed_.notify_one();
    });
    thread_ = std::thread([this] { run(); });
  }
  void cancel(server::CancelRequest) override {}
  Result<void> shutdown(server::ShutdownMode) override { return {}; }
  void set_exit_handler(std::function<void(Error)>) override {}

  // Waits until the session has gone.
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  Bytes greeting = message('R', "\0\0\0\0"sv) + message('K', "\0\0\0\1\0\0\0\2"sv) + ready();
  std::map<std::string, Bytes> answers;
  std::vector<std::string> queries;
  std::string copied;

 private:
  void run() {
    send(greeting);
    pgwire::MessageDecoder decoder;
    std::array<std::byte, 4096> buffer;
    while (true) {
      const net::IoResult got = transport_->read_some(buffer);
      if (got.closed()) return;
      if (got.would_block()) {
        wait();
        continue;
      }
      decoder.feed(std::span(buffer).first(got.bytes));
      while (auto next = decoder.next().value()) answer(*next);
    }
  }

  void answer(const pgwire::Message& next) {
    const std::string body(pgwire::as_text(next.body));
    if (next.type == 'Q') {
      queries.push_back(body.c_str());
      send(answers[queries.back()]);
    } else if (next.type == 'd') {
      copied += body;
    } else if (next.type == 'c') {
      send(complete("COPY 2") + ready());
    } else if (next.type == 'X') {
      transport_->shutdown();
    }
  }

  void send(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const net::IoResult sent = transport_->write_some(bytes);
      if (sent.closed()) return;
      if (sent.would_block()) wait();
      bytes = bytes.subspan(sent.bytes);
    }
  }

  void wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [this] { return woken_; }));
    woken_ = false;
  }

  std::unique_ptr<net::Transport> transport_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  std::thread thread_;
};

class SqlCommand : public testing::Test {
 protected:
  int run(const std::string& input = {}) {
    std::FILE* in = input.empty() ? std::fopen("/dev/null", "r")
                                  : ::fmemopen(const_cast<char*>(input.data()), input.size(), "r");
    char* out_text = nullptr;
    char* err_text = nullptr;
    std::size_t out_size = 0;
    std::size_t err_size = 0;
    std::FILE* out = ::open_memstream(&out_text, &out_size);
    std::FILE* err = ::open_memstream(&err_text, &err_size);
    auto session = client::Session::connect(engine_, {.timeout = std::chrono::seconds(20)});
    EXPECT_TRUE(session.has_value());
    const int code = run_inputs(**session, options_, {.in = in, .out = out, .err = err});
    session->reset();
    engine_.join();
    for (std::FILE* file : {in, out, err}) std::fclose(file);
    out_ = out_text;
    err_ = err_text;
    std::free(out_text);
    std::free(err_text);
    return code;
  }

  ScriptedEngine engine_;
  SqlOptions options_;
  std::string out_;
  std::string err_;
};

TEST_F(SqlCommand, runs_the_statements_of_standard_input_one_by_one) {
  engine_.answers = {{"select 7;", one_row() + ready()},
                     {"create table t()", complete("CREATE TABLE") + ready()}};
  EXPECT_EQ(run("select 7;\n create table t()\n"), kExitOk);
  EXPECT_EQ(out_, " a \n---\n 7\n(1 row)\n\nCREATE TABLE\n");
  EXPECT_EQ(err_, "");
}

TEST_F(SqlCommand, a_command_is_one_query) {
  options_.inputs = {{.text = "select 7; select 7"}};
  engine_.answers = {{"select 7; select 7", one_row() + one_row() + ready()}};
  EXPECT_EQ(run(), kExitOk);
  EXPECT_EQ(engine_.queries.size(), 1u);
}

TEST_F(SqlCommand, a_failed_command_is_1) {
  options_.inputs = {{.text = "select 1/0"}};
  engine_.answers = {{"select 1/0", failure("division by zero") + ready()}};
  EXPECT_EQ(run(), kExitFailure);
  EXPECT_EQ(err_, "ERROR:  division by zero\n");
}

TEST_F(SqlCommand, a_failed_script_goes_on_unless_it_must_stop) {
  engine_.answers = {{"bad;", failure("no") + ready()}, {"select 7;", one_row() + ready()}};
  EXPECT_EQ(run("bad;\nselect 7;\n"), kExitOk);
  EXPECT_EQ(engine_.queries.size(), 2u);
  engine_.queries.clear();
  options_.stop_on_error = true;
  EXPECT_EQ(run("bad;\nselect 7;\n"), kExitUser);
  EXPECT_EQ(engine_.queries.size(), 1u);
}

TEST_F(SqlCommand, copy_takes_its_lines_from_the_script) {
  engine_.answers = {{"copy t from stdin;", message('G', "\0\0\1\0\0"sv)},
                     {"select 7;", one_row() + ready()}};
  EXPECT_EQ(run("copy t from stdin;\na;b\nc\n\\.\nselect 7;\n"), kExitOk);
  EXPECT_EQ(engine_.copied, "a;b\nc\n");
  EXPECT_EQ(engine_.queries.size(), 2u);
  EXPECT_TRUE(out_.starts_with("COPY 2\n"));
}

TEST_F(SqlCommand, much_copy_data_passes_through_a_small_pipe) {
  std::string script = "copy t from stdin;\n";
  for (int i = 0; i < 100000; ++i) script += "0123456789\n";
  engine_.answers = {{"copy t from stdin;", message('G', "\0\0\1\0\0"sv)}};
  EXPECT_EQ(run(script), kExitOk);
  EXPECT_EQ(engine_.copied.size(), 1100000u);
}

TEST_F(SqlCommand, copy_to_stdout_is_written_without_a_tag) {
  engine_.answers = {{"copy t to stdout;", message('H', "\0\0\1\0\0"sv) + message('d', "x\ty\n") +
                                               message('c', "") + complete("COPY 1") + ready()}};
  EXPECT_EQ(run("copy t to stdout;\n"), kExitOk);
  EXPECT_EQ(out_, "x\ty\n");
}

TEST_F(SqlCommand, meta_commands_are_answered_with_an_error_but_for_a_few) {
  EXPECT_EQ(run("\\echo a  b\n\\d t\n\\q\nselect 7;\n"), kExitOk);
  EXPECT_EQ(out_, "a  b\n");
  EXPECT_NE(err_.find("backslash command \\d is not supported"), std::string::npos);
  EXPECT_TRUE(engine_.queries.empty());
}

TEST_F(SqlCommand, an_engine_that_goes_away_is_2) {
  engine_.answers = {{"select 7;", message('X', "unknown")}};
  EXPECT_EQ(run("select 7;\n"), kExitBadConnection);
}

TEST(SessionLogin, gives_the_servers_refusal) {
  ScriptedEngine engine;
  engine.greeting = pgwire::encode_error_response({.sqlstate = "28000", .message = "no such role"});
  const auto session = client::Session::connect(engine, {.timeout = std::chrono::seconds(20)});
  ASSERT_FALSE(session.has_value());
  EXPECT_EQ(session.error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(session.error().message, "FATAL:  no such role");
}

TEST(SessionLogin, says_that_a_password_is_needed) {
  ScriptedEngine engine;
  engine.greeting = message('R', "\0\0\0\x0aSCRAM-SHA-256\0\0"sv);
  const auto session = client::Session::connect(engine, {.timeout = std::chrono::seconds(20)});
  ASSERT_FALSE(session.has_value());
  EXPECT_NE(session.error().message.find("a password is needed"), std::string::npos);
}

TEST(SessionLogin, gives_up_when_nothing_answers) {
  ScriptedEngine engine;
  engine.greeting.clear();
  const auto session = client::Session::connect(engine, {.timeout = std::chrono::milliseconds(50)});
  ASSERT_FALSE(session.has_value());
  EXPECT_EQ(session.error().code, ErrorCode::kDeadlineExceeded);
}

TEST(Quoting, leaves_no_way_out) {
  EXPECT_EQ(client::quote_literal("a'b"), "'a''b'");
  EXPECT_EQ(client::quote_literal("a\\'b"), " E'a\\\\''b'");
  EXPECT_EQ(client::quote_identifier("a\"b"), "\"a\"\"b\"");
}

}  // namespace
}  // namespace calf::cli
