// The load driver of the benchmarks: libpq, prepared statements, one thread a client. One JSON object on stdout.
//
//   driver statements CONNINFO select|insert|simple CLIENTS SECONDS   statements by key; throughput and latency
//   driver batches CONNINFO SECONDS                                   batches of 100 single-row inserts, pipelined; rows per second
//   driver connect CONNINFO COUNT                                     connect, `select 1`, close; latency
//   driver readers CONNINFO SECONDS                                   select by key while another session writes in bulk
//   driver time CONNINFO SQL                                          one statement; its time
//   driver spawn COMMAND…                                             a whole process from start to exit; its time
//
// What does not belong here: starting servers, medians of rounds, tables (bench.py).
#include <libpq-fe.h>
#include <spawn.h>
#include <fcntl.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

extern char** environ;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kKeys = 100000;
constexpr const char* kInsert = "insert into bench_log (client, n) values ($1::int, $2::int)";

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "driver: %s\n", what.c_str());
  std::exit(1);
}

// pglite-socket mixes a connection with the one before it when that has only just ended: it wants a pause between them,
// outside of what is timed. BENCH_PAUSE_MS says how long; nothing for the others.
void pause_between_connections() {
  const char* pause = std::getenv("BENCH_PAUSE_MS");
  if (pause) std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(pause)));
}

// A connection that ends the program when anything goes wrong: a figure from a broken run is worth nothing.
class Connection {
 public:
  explicit Connection(const char* conninfo) : connection_(PQconnectdb(conninfo)) {
    if (PQstatus(connection_) != CONNECTION_OK) fail(PQerrorMessage(connection_));
  }
  ~Connection() { PQfinish(connection_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void exec(const char* sql) { check(PQexec(connection_, sql)); }
  void prepare(const char* sql) {
    exec("deallocate all");  // PGlite's only session keeps what earlier connections prepared
    check(PQprepare(connection_, "s", sql, 0, nullptr));
  }
  void execute(int first, int second, int count) {
    char a[16], b[16];
    std::snprintf(a, sizeof a, "%d", first);
    std::snprintf(b, sizeof b, "%d", second);
    const char* values[] = {a, b};
    check(PQexecPrepared(connection_, "s", count, values, nullptr, nullptr, 0));
  }
  // BEGIN, `count` executions with (client, n), COMMIT; sent together, as drivers do with a batch.
  void batch(int client, int n, int count) {
    char a[16], b[16];
    std::snprintf(a, sizeof a, "%d", client);
    const char* values[] = {a, b};
    bool sent = PQenterPipelineMode(connection_) == 1 && send("begin");
    for (int i = 0; i < count; i++) {
      std::snprintf(b, sizeof b, "%d", n + i);
      sent = sent && PQsendQueryPrepared(connection_, "s", 2, values, nullptr, nullptr, 0) == 1;
    }
    if (!sent || !send("commit") || PQpipelineSync(connection_) != 1) fail(PQerrorMessage(connection_));
    for (int i = 0; i < count + 2; i++) {
      check(PQgetResult(connection_));
      PQgetResult(connection_);  // the end of its results
    }
    PGresult* end = PQgetResult(connection_);
    if (PQresultStatus(end) != PGRES_PIPELINE_SYNC) fail("the batch did not end");
    PQclear(end);
    PQexitPipelineMode(connection_);
  }

 private:
  bool send(const char* sql) { return PQsendQueryParams(connection_, sql, 0, nullptr, nullptr, nullptr, nullptr, 0) == 1; }
  void check(PGresult* result) {
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail(PQerrorMessage(connection_));
    PQclear(result);
  }
  PGconn* connection_;
};

struct Latencies {
  std::vector<float> taken_us;

  double at(double share) {
    if (taken_us.empty()) return 0;
    const size_t index = std::min(taken_us.size() - 1, static_cast<size_t>(share * static_cast<double>(taken_us.size())));
    std::nth_element(taken_us.begin(), taken_us.begin() + static_cast<long>(index), taken_us.end());
    return taken_us[index];
  }
};

// One client: the same statement with random keys until `stop`. Inserts take keys of their own.
void run_client(const char* conninfo, const std::string& kind, int number, const std::atomic<bool>& start, const std::atomic<bool>& stop,
                std::atomic<int>& ready, Latencies& latencies) {
  Connection connection(conninfo);
  if (kind == "select") connection.prepare("select payload from bench_kv where id = $1::int");
  if (kind == "insert") connection.prepare(kInsert);
  std::mt19937 random(static_cast<unsigned>(number) + 1);
  std::uniform_int_distribution<int> key(1, kKeys);
  latencies.taken_us.reserve(1 << 18);
  const auto step = [&](int n) {
    if (kind == "simple") connection.exec("select 1");
    if (kind == "select") connection.execute(key(random), 0, 1);
    if (kind == "insert") connection.execute(number, n, 2);
  };
  for (int n = 0; n < 200; n++) step(-n);  // plans and caches are warm
  ready++;
  while (!start) std::this_thread::yield();
  for (int n = 0; !stop; n++) {
    const auto before = Clock::now();
    step(n);
    latencies.taken_us.push_back(static_cast<float>(microseconds_since(before)));
  }
}

int statements(const char* conninfo, const std::string& kind, int clients, double seconds) {
  if (kind == "insert") Connection(conninfo).exec("truncate bench_log");
  pause_between_connections();
  std::atomic<bool> start = false, stop = false;
  std::atomic<int> ready = 0;
  std::vector<Latencies> latencies(static_cast<size_t>(clients));
  std::vector<std::thread> threads;
  for (int n = 0; n < clients; n++)
    threads.emplace_back([&, n] { run_client(conninfo, kind, n, start, stop, ready, latencies[static_cast<size_t>(n)]); });
  while (ready < clients) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto began = Clock::now();
  start = true;
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  for (auto& each : threads) each.join();
  const double elapsed_us = microseconds_since(began);
  Latencies all;
  for (auto& each : latencies) all.taken_us.insert(all.taken_us.end(), each.taken_us.begin(), each.taken_us.end());
  const double count = static_cast<double>(all.taken_us.size());
  std::printf("{\"tps\": %.1f, \"mean_us\": %.2f, \"p50_us\": %.2f, \"p95_us\": %.2f}\n", count / elapsed_us * 1e6,
              elapsed_us * clients / count, all.at(0.5), all.at(0.95));
  return 0;
}

int batches(const char* conninfo, double seconds) {
  constexpr int kBatch = 100;
  Connection connection(conninfo);
  connection.exec("truncate bench_log");
  connection.prepare(kInsert);
  connection.batch(0, 0, kBatch);
  const auto began = Clock::now();
  int rows = 0;
  for (; microseconds_since(began) < seconds * 1e6; rows += kBatch) connection.batch(1, rows, kBatch);
  std::printf("{\"rows_per_s\": %.0f}\n", rows / microseconds_since(began) * 1e6);
  return 0;
}

int connect(const char* conninfo, int count) {
  Latencies latencies;
  for (int n = 0; n < count; n++) {
    pause_between_connections();
    const auto before = Clock::now();
    { Connection(conninfo).exec("select 1"); }
    latencies.taken_us.push_back(static_cast<float>(microseconds_since(before)));
  }
  std::printf("{\"p50_ms\": %.3f, \"p95_ms\": %.3f}\n", latencies.at(0.5) / 1e3, latencies.at(0.95) / 1e3);
  return 0;
}

int readers(const char* conninfo, double seconds) {
  std::atomic<bool> stop = false;
  Connection(conninfo).exec("drop table if exists bench_bulk; create table bench_bulk (n int, words text)");
  std::thread writer([&] {
    Connection connection(conninfo);
    while (!stop) {
      connection.exec("insert into bench_bulk select i, md5(i::text) from generate_series(1, 300000) i");
      connection.exec("truncate bench_bulk");
    }
  });
  Connection reader(conninfo);
  reader.prepare("select payload from bench_kv where id = $1::int");
  std::mt19937 random(7);
  std::uniform_int_distribution<int> key(1, kKeys);
  Latencies latencies;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto began = Clock::now();
  while (microseconds_since(began) < seconds * 1e6) {
    const auto before = Clock::now();
    reader.execute(key(random), 0, 1);
    latencies.taken_us.push_back(static_cast<float>(microseconds_since(before)));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  stop = true;
  writer.join();
  std::printf("{\"p50_ms\": %.3f, \"p95_ms\": %.3f, \"max_ms\": %.3f}\n", latencies.at(0.5) / 1e3, latencies.at(0.95) / 1e3,
              latencies.at(1.0) / 1e3);
  return 0;
}

int time_statement(const char* conninfo, const char* sql) {
  Connection connection(conninfo);
  const auto before = Clock::now();
  connection.exec(sql);
  std::printf("{\"ms\": %.3f}\n", microseconds_since(before) / 1e3);
  return 0;
}

int spawn(char** command) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  const auto before = Clock::now();
  pid_t pid = 0;
  if (posix_spawnp(&pid, command[0], &actions, nullptr, command, environ) != 0) fail(std::string("cannot start ") + command[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  const double taken_us = microseconds_since(before);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail(std::string(command[0]) + " failed");
  std::printf("{\"ms\": %.3f}\n", taken_us / 1e3);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  pause_between_connections();
  const std::string verb = count > 1 ? arguments[1] : "";
  if (verb == "statements" && count == 6) return statements(arguments[2], arguments[3], std::atoi(arguments[4]), std::atof(arguments[5]));
  if (verb == "batches" && count == 4) return batches(arguments[2], std::atof(arguments[3]));
  if (verb == "connect" && count == 4) return connect(arguments[2], std::atoi(arguments[3]));
  if (verb == "readers" && count == 4) return readers(arguments[2], std::atof(arguments[3]));
  if (verb == "time" && count == 4) return time_statement(arguments[2], arguments[3]);
  if (verb == "spawn" && count > 2) return spawn(arguments + 2);
  fail("see the head of driver.cc for the verbs");
}
