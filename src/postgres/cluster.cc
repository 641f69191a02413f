#include "postgres/cluster.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/thread_signals.h"
#include "postgres/guest_tree.h"
#include "postgres/kernel.h"

namespace calf::postgres {
namespace {

// Lines out of what the guest writes to its standard error; knows when the server is ready and why
// it failed.
class LogLines {
 public:
  explicit LogLines(std::function<void(std::string_view)> sink) : sink_(std::move(sink)) {}

  void write(std::string_view bytes) {
    constexpr size_t kLongestLine = 64 * 1024;
    for (char c : bytes) {
      if (c == '\n' || line_.size() >= kLongestLine) {
        finish_line();
      } else {
        line_.push_back(c);
      }
    }
  }
  [[nodiscard]] const std::string& last_failure() const { return failure_; }

 private:
  void finish_line() {
    for (std::string_view severity : {"FATAL:  ", "PANIC:  "}) {
      const size_t at = line_.find(severity);
      if (at != std::string::npos) failure_ = line_.substr(at + severity.size());
    }
    if (sink_ && !line_.empty()) sink_(line_);
    line_.clear();
  }

  std::function<void(std::string_view)> sink_;
  std::string line_;
  std::string failure_;
};

int signal_for(Cluster::Shutdown mode) {
  switch (mode) {
    case Cluster::Shutdown::kSmart:
      return kSigTerm;
    case Cluster::Shutdown::kFast:
      return kSigInt;
    case Cluster::Shutdown::kImmediate:
      return kSigQuit;
  }
  return kSigQuit;
}

}  // namespace

struct Cluster::Running {
  std::unique_ptr<Kernel> kernel;
  std::shared_ptr<LogLines> log;
  std::thread thread;
  bool ephemeral = false;

  std::mutex mutex;
  std::condition_variable changed;
  bool ready = false;
  bool stopped = false;
  bool stop_asked = false;
  Result<void> outcome;  // once stopped
  std::function<void(Result<void>)> stop_handler;

  void mark_ready() {
    std::lock_guard lock(mutex);
    ready = true;
    changed.notify_all();
  }
  void mark_not_started(Error error) {
    std::lock_guard lock(mutex);
    stopped = true;
    outcome = fail(std::move(error));
    changed.notify_all();
  }
  void mark_stopped(wasm::ExitStatus status) {
    std::function<void(Result<void>)> handler;
    {
      std::lock_guard lock(mutex);
      stopped = true;
      const bool clean = status.signal == 0 && status.code == 0;
      if (!clean && !stop_asked) {
        const std::string& why = log->last_failure();
        outcome = fail(ErrorCode::kUnavailable,
                       why.empty() ? "the database system has stopped unexpectedly" : why,
                       "see the log above");
      }
      handler = stop_handler;
      changed.notify_all();
    }
    if (handler) handler(outcome);
  }
};

Result<std::unique_ptr<Cluster>> Cluster::start(Options options) {
  wasm::install_trap_handler();
  auto running = std::make_unique<Running>();
  Running* state = running.get();
  running->ephemeral = options.ephemeral;
  running->log =
      std::make_shared<LogLines>([state, sink = options.log_sink](std::string_view line) {
        if (line.find("database system is ready to accept connections") != std::string_view::npos)
          state->mark_ready();
        if (sink) sink(line);
      });
  // Who gives us `data` owns it, so this file is an earlier run's. PostgreSQL would mostly see that
  // itself, but not when that run was killed before it had written its pid.
  if (options.snapshot == nullptr) (void)options.data->unlink("postmaster.pid");
  auto clock = std::make_shared<os::SystemClock>();
  CALF_TRY(auto tree, make_guest_tree(options.installation, options.data, clock));
  CALF_TRY(running->kernel,
           Kernel::create({
               .tree = std::move(tree),
               .clock = clock,
               .random = std::make_shared<os::SystemRandom>(),
               .log_sink = [log = running->log](int, std::string_view bytes) { log->write(bytes); },
               .environment = guest_environment(),
               .ticks = options.ticks,
               .commands = options.commands,
               .programs = options.programs,
               .helpers_idle_ns = options.helpers_idle_ns,
               .helpers_wait_for_clients = options.helpers_wait_for_clients,
               .expects_client = options.expects_client,
           }));
  running->thread = std::thread([state, settings = options.settings, snapshot = options.snapshot] {
    os::block_signals_on_this_thread();
    wasm::prepare_thread();
    auto started = snapshot != nullptr
                       ? state->kernel->resume_postmaster(*snapshot, settings,
                                                          [state] { state->mark_ready(); })
                       : state->kernel->start_postmaster(postmaster_arguments(settings));
    if (!started) {
      state->mark_not_started(std::move(started).error());
      return;
    }
    state->mark_stopped(state->kernel->run());
  });
  auto cluster = std::unique_ptr<Cluster>(new Cluster(std::move(running)));
  std::unique_lock lock(state->mutex);
  state->changed.wait(lock, [&] { return state->ready || state->stopped; });
  if (!state->ready) {
    if (!state->outcome) return fail(state->outcome.error());
    return fail(ErrorCode::kUnavailable, "the database system did not start", "see the log above");
  }
  return cluster;
}

Cluster::Cluster(std::unique_ptr<Running> running) : running_(std::move(running)) {}

Cluster::~Cluster() {
  constexpr int64_t kImmediateMs = 1000;
  if (running_->ephemeral) halt();
  request_shutdown(Shutdown::kImmediate);
  if (!wait_stopped(kImmediateMs)) running_->kernel->halt();
  if (running_->thread.joinable()) running_->thread.join();
}

void Cluster::connect(ClientConnection connection) {
  running_->kernel->connect(std::move(connection));
}

int Cluster::sessions() const {
  return running_->kernel->sessions();
}

void Cluster::spare_mappings() {
  running_->kernel->ask_to_spare_mappings();
}

bool Cluster::help(const std::function<bool()>& done) {
  return running_->kernel->help(done);
}

void Cluster::request_shutdown(Shutdown mode) {
  {
    std::lock_guard lock(running_->mutex);
    running_->stop_asked = true;
  }
  running_->kernel->signal_postmaster(signal_for(mode));
}

void Cluster::halt() {
  {
    std::lock_guard lock(running_->mutex);
    running_->stop_asked = true;
  }
  running_->kernel->halt();
}

Result<void> Cluster::wait_stopped(int64_t timeout_ms) {
  std::unique_lock lock(running_->mutex);
  if (!running_->changed.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                                  [&] { return running_->stopped; })) {
    return fail(ErrorCode::kDeadlineExceeded, "the database system has not stopped in time");
  }
  return running_->outcome;
}

void Cluster::set_stop_handler(std::function<void(Result<void>)> handler) {
  bool already = false;
  {
    std::lock_guard lock(running_->mutex);
    running_->stop_handler = handler;
    already = running_->stopped;
  }
  if (already) handler(running_->outcome);
}

}  // namespace calf::postgres
