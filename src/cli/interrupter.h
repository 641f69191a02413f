// Ctrl-C while SQL runs in this process.
#pragma once

#include <atomic>
#include <thread>

#include "cli/signals.h"
#include "client/session.h"

namespace calf::cli {

// Waits for SIGINT and SIGTERM while the SQL runs: the first one cancels the query; when the run
// does not end then (it may be reading a terminal), or at the second one, the cluster is stopped
// and the process ends.
class Interrupter {
 public:
  Interrupter(Signals& signals, server::Engine& engine, client::Session& session)
      : thread_([this, &signals, &engine, &session] { watch(signals, engine, session); }) {}
  ~Interrupter() {
    done_.set();
    thread_.join();
  }

  // The signal that came; 0 for none.
  [[nodiscard]] int signal() const { return signal_; }

 private:
  void watch(Signals& signals, server::Engine& engine, client::Session& session);

  Event done_;
  std::atomic<int> signal_{0};
  std::thread thread_;
};

}  // namespace calf::cli
