// The load driver of the benchmarks for a cluster in its own process, by the C++ API. One JSON object on stdout.
//
//   in_process SECONDS SQL…   runs the statements, then prepared selects by key of bench_kv; latency
//
// The same statement and keys as `driver statements … select 1`, over calf.hpp instead of libpq and a Unix socket.
#include <calf/calf.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

using Clock = std::chrono::steady_clock;

static double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

int main(int count, char** arguments) try {
  constexpr int kKeys = 100000;
  const double seconds = count > 1 ? std::atof(arguments[1]) : 1;
  calf::Cluster cluster;
  calf::Session session = cluster.session();
  for (int i = 2; i < count; ++i) session.execute(arguments[i]);
  calf::Statement select = session.prepare("select payload from bench_kv where id = $1::int");
  std::mt19937 random(1);
  std::uniform_int_distribution<int> key(1, kKeys);
  for (int n = 0; n < 200; ++n) select.query({key(random)});
  std::vector<double> taken_us;
  const auto began = Clock::now();
  while (microseconds_since(began) < seconds * 1e6) {
    const auto before = Clock::now();
    if (select.query({key(random)}).size() != 1) throw std::runtime_error("a key is missing");
    taken_us.push_back(microseconds_since(before));
  }
  const double mean_us = microseconds_since(began) / static_cast<double>(taken_us.size());
  std::nth_element(taken_us.begin(), taken_us.begin() + static_cast<long>(taken_us.size() / 2), taken_us.end());
  std::printf("{\"mean_us\": %.2f, \"p50_us\": %.2f}\n", mean_us, taken_us[taken_us.size() / 2]);
} catch (const std::exception& error) {
  std::fprintf(stderr, "in_process: %s\n", error.what());
  return 1;
}
