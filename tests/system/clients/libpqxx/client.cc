// Scenarios for libpqxx (6 as in Debian 12, and 7).
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <vector>

namespace {

const std::string kUrl = std::getenv("DATABASE_URL");

void check(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

void report(const std::string& test, const std::function<void(pqxx::connection&)>& scenario) {
  std::string detail;
  try {
    pqxx::connection connection(kUrl);
    scenario(connection);
  } catch (const std::exception& error) {
    detail = error.what();
    if (detail.empty()) detail = "unknown";
  }
  for (char& c : detail)
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ') c = ' ';
  std::cout << "{\"test\": \"" << test << "\", \"ok\": " << (detail.empty() ? "true" : "false") << ", \"detail\": \"" << detail << "\"}"
            << std::endl;
}

void exec(pqxx::connection& connection, const std::string& sql) {
  pqxx::nontransaction work(connection);
  work.exec(sql);
}

int value(pqxx::connection& connection, const std::string& sql) {
  pqxx::nontransaction work(connection);
  return work.exec(sql)[0][0].as<int>();
}

void typed_round_trip(pqxx::connection& c) {
  pqxx::work work(c);
  work.exec("create table typed (n numeric, j jsonb, b bytea, u uuid, a int[], x text, f float8, o bool)");
  work.exec_params("insert into typed values ($1, $2, $3::bytea, $4, $5, $6, $7, $8)", "12345678901234567890.123456789", "{\"a\": [1, null]}",
                   "\\x00ff10", "01234567-89ab-cdef-0123-456789abcdef", "{1,NULL,3}", nullptr, 0.1, true);
  const pqxx::row row = work.exec1("select * from typed");
  check(row["n"].as<std::string>() == "12345678901234567890.123456789", "numeric");
  check(row["j"].as<std::string>() == "{\"a\": [1, null]}", "jsonb");
  check(row["b"].as<std::string>() == "\\x00ff10", "bytea");
  check(row["u"].as<std::string>() == "01234567-89ab-cdef-0123-456789abcdef", "uuid");
  check(row["a"].as<std::string>() == "{1,NULL,3}", "array");
  check(row["x"].is_null(), "null");
  check(row["f"].as<double>() == 0.1, "float8");
  check(row["o"].as<bool>(), "bool");
  work.commit();
}

void prepared_statements(pqxx::connection& c) {
  c.prepare("twice", "select $1::int * 2");
  pqxx::work work(c);
  for (int n = 0; n < 100; n++) check(work.exec_prepared1("twice", n)[0].as<int>() == n * 2, "twice");
}

void transaction_rollback(pqxx::connection& c) {
  exec(c, "create table tx (n int)");
  {
    pqxx::work work(c);
    work.exec("insert into tx values (1)");
    work.abort();
  }
  {
    pqxx::work work(c);
    work.exec("insert into tx values (2)");
    try {
      pqxx::subtransaction inner(work);
      inner.exec("select 1/0");
    } catch (const pqxx::sql_error&) {
    }
    work.commit();
  }
  check(value(c, "select sum(n) from tx") == 2, "sum");
}

void unique_violation(pqxx::connection& c) {
  exec(c, "create table once (n int primary key)");
  exec(c, "insert into once values (1)");
  try {
    exec(c, "insert into once values (1)");
  } catch (const pqxx::unique_violation& error) {
    check(error.sqlstate() == "23505", "SQLSTATE");
    check(value(c, "select 1") == 1, "goes on");
    return;
  }
  check(false, "no error");
}

void copy_in_out(pqxx::connection& c) {
  exec(c, "create table copied (n int, x text)");
  pqxx::work work(c);
  pqxx::stream_to in(work, "copied", std::vector<std::string>{"n", "x"});
  for (int n = 0; n < 10000; n++) in << std::make_tuple(n, "row " + std::to_string(n));
  in.complete();
  pqxx::stream_from out(work, "copied");
  std::tuple<int, std::string> row;
  int count = 0;
  while (out >> row) count++;
  out.complete();
  check(count == 10000, "count");
}

class Receiver : public pqxx::notification_receiver {
 public:
  using pqxx::notification_receiver::notification_receiver;
  void operator()(const std::string& payload, int) override { payload_ = payload; }
  std::string payload_;
};

void listen_notify(pqxx::connection& c) {
  Receiver receiver(c, "ch");
  pqxx::connection other(kUrl);
  exec(other, "notify ch, 'hi'");
  c.await_notification(5, 0);
  check(receiver.payload_ == "hi", "payload");
}

void cancel(pqxx::connection& c) {
  std::thread canceller([&c] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    c.cancel_query();
  });
  std::string state;
  try {
    exec(c, "select pg_sleep(20)");
  } catch (const pqxx::sql_error& error) {
    state = error.sqlstate();
  }
  canceller.join();
  check(state == "57014", "SQLSTATE");
}

void concurrent_sessions(pqxx::connection& c) {
  exec(c, "create table counter (n int)");
  exec(c, "insert into counter values (0)");
  std::vector<std::thread> threads;
  for (int worker = 0; worker < 8; worker++) {
    threads.emplace_back([] {
      pqxx::connection mine(kUrl);
      for (int n = 0; n < 20; n++) exec(mine, "update counter set n = n + 1");
    });
  }
  for (auto& each : threads) each.join();
  check(value(c, "select n from counter") == 160, "counter");
}

void pipeline_batch(pqxx::connection& c) {
  exec(c, "create table batch (n int)");
  pqxx::work work(c);
  {
    pqxx::pipeline pipe(work);
    pipe.retain(100);
    for (int n = 0; n < 500; n++) pipe.insert("insert into batch values (" + std::to_string(n) + ")");
    pipe.complete();
  }
  check(work.exec1("select sum(n) from batch")[0].as<int>() == 124750, "sum");
}

}  // namespace

int main() {
  report("typed_round_trip", typed_round_trip);
  report("prepared_statements", prepared_statements);
  report("transaction_rollback", transaction_rollback);
  report("unique_violation", unique_violation);
  report("copy_in_out", copy_in_out);
  report("listen_notify", listen_notify);
  report("cancel", cancel);
  report("concurrent_sessions", concurrent_sessions);
  report("pipeline_batch", pipeline_batch);
  return 0;
}
