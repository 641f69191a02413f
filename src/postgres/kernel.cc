#include "postgres/kernel.h"

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "calf_anchors.h"
#include "os/mapping_budget.h"
#include "wasm/fresh_memory.h"

namespace calf::postgres {
namespace {

constexpr size_t kSpareStacks = 16;

// May a process go on on another thread? Where a thread-local pointer leads to linear memory,
// compilers may keep that variable's address across a wait; on x86-64 they have no reason to.
#if CALF_MEMORY_GS || defined(__x86_64__)
constexpr bool kProcessesMayMove = true;
#else
constexpr bool kProcessesMayMove = false;
#endif

}  // namespace

Result<std::unique_ptr<Kernel>> Kernel::create(Options options) {
  CALF_TRY(auto poller, Poller::create());
  return std::unique_ptr<Kernel>(new Kernel(std::move(options), std::move(poller)));
}

Kernel::Kernel(Options options, std::unique_ptr<Poller> poller)
    : options_(std::move(options)),
      clock_(options_.clock),
      poller_(std::move(poller)),
      ticker_(options_.ticks),
      syncs_([this](int pid, int error) {
        {
          std::lock_guard lock(mutex_);
          synced_.push_back({pid, error});
        }
        request();
      }) {}

// The threads of host programs use what is declared behind the processes.
Kernel::~Kernel() {
  processes_.clear();
}

// --- Requests of other threads

void Kernel::connect(ClientConnection connection) {
  auto socket = std::make_unique<ClientSocket>(std::move(connection));
  {
    std::lock_guard lock(mutex_);
    if (is_closed_) return;  // which closes the connection
    connecting_.push_back(std::move(socket));
  }
  request();
}

void Kernel::signal_postmaster(int signal) {
  {
    std::lock_guard lock(mutex_);
    signals_for_postmaster_.push_back(signal);
  }
  request();
}

void Kernel::halt() {
  halted_ = true;
  request();
}

void Kernel::ask_to_spare_mappings() {
  should_spare_mappings_ = true;
  request();
}

// Whoever runs the cluster now looks at the requests between two processes, and before it sleeps or
// gives the baton away; a holder that asks itself needs no waking.
void Kernel::request() {
  has_requests_.store(true, std::memory_order_release);
  if (holder_.load(std::memory_order_relaxed) != std::this_thread::get_id()) poller_->wake();
}

void Kernel::take_requests() {
  if (!has_requests_.load(std::memory_order_acquire)) return;
  std::vector<int> signals;
  std::vector<int> wakeups;
  std::vector<Synced> synced;
  bool connecting = false;
  {
    std::lock_guard lock(mutex_);
    has_requests_ = false;
    signals.swap(signals_for_postmaster_);
    wakeups.swap(wakeups_);
    synced.swap(synced_);
    connecting = !connecting_.empty();
  }
  if (should_spare_mappings_.exchange(false)) {
    if (auto spared = spare_mappings(); !spared) log::error("{}", spared.error().to_string());
  }
  for (int signal : signals) send_signal(Process::kPostmasterPid, signal);
  for (int pid : wakeups) {
    Process* process = find(pid);
    if (process == nullptr) continue;
    if (process->client() != nullptr) process->client()->on_moved();
    make_runnable(*process);
  }
  for (const Synced& end : synced) {
    Process* process = find(end.pid);
    if (process == nullptr || process->state_ != Process::State::kWaitingDisk) continue;
    process->sync_error_ = end.error;
    process->state_ = Process::State::kRunnable;
    runnable_.push_front(process);  // others may be waiting for the lock that it holds
  }
  if (connecting) {
    if (Process* postmaster = find(Process::kPostmasterPid)) make_runnable(*postmaster);
  }
}

// --- Processes

Result<wasm::Stack> Kernel::take_stack() {
  if (spare_stacks_.empty()) return wasm::Stack::create();
  wasm::Stack stack = std::move(spare_stacks_.back());
  spare_stacks_.pop_back();
  return stack;
}

Result<void> Kernel::start_postmaster(std::vector<std::string> arguments) {
  CALF_TRY(auto fresh, wasm::make_fresh_memory());
  starting_image_ = std::move(fresh.image);
  auto memory = std::move(fresh.memory);
  memory->share_large_blocks();
  CALF_TRY(auto stack, take_stack());
  auto files = std::make_unique<wasm::GuestFiles>(wasm::GuestFiles::Options{
      .tree = options_.tree,
      .clock = options_.clock,
      .random = options_.random,
      .umask = 077,
      .uid = kGuestUser,
      .gid = kGuestUser,
      .standard_input = std::move(options_.standard_input),
      .sink = options_.log_sink,
      .environment = options_.environment,
  });
  // The image's socket() is this constant: take the number, so that no file gets it and closing the
  // listening socket, when the postmaster ends, finds something.
  constexpr int kListenSocket = 10;
  const int placeholder = files->openat(-1, "/dev/null", 0, 0);
  files->dup3(placeholder, kListenSocket, 0);
  files->fd_close(placeholder);
  auto postmaster = std::make_unique<Process>(
      *this,
      Process::Parts{
          .memory = std::move(memory), .files = std::move(files), .stack = std::move(stack)},
      std::move(arguments));
  put_off_deferred();
  Process& started = *postmaster;
  processes_.emplace(started.pid(), std::move(postmaster));
  runnable_.push_back(&started);
  return {};
}

Process* Kernel::find(int pid) {
  auto it = processes_.find(pid);
  return it == processes_.end() ? nullptr : it->second.get();
}

int Kernel::send_signal(int pid, int signal) {
  // A negative pid names a process group: every process leads its own, and is alone in it.
  if (signal != 0 && has_deferred(std::abs(pid))) return signal_deferred(std::abs(pid), signal);
  Process* target = find(std::abs(pid));
  if (target == nullptr) return -1;
  if (signal != 0) target->post(signal);
  if (pid < 0 && signal != 0) {
    for (const auto& running : target->programs()) running.program->signal(signal);
  }
  return 0;
}

std::function<void()> Kernel::waker(const Process& process) {
  return [this, pid = process.pid()] {
    {
      std::lock_guard lock(mutex_);
      wakeups_.push_back(pid);
    }
    request();
  };
}

void Kernel::make_runnable(Process& process) {
  if (process.state_ == Process::State::kWaitingCondition) {
    std::erase(conditional_, &process);
  } else if (process.state_ != Process::State::kWaiting) {
    return;
  }
  process.state_ = Process::State::kRunnable;
  runnable_.push_back(&process);
}

void Kernel::preempt(Process& process) {
  process.state_ = Process::State::kRunnable;
  preempted_.push_back(&process);
}

int Kernel::launch(Process& postmaster, Launch launch, int client_fd) {
  constexpr uint32_t kBackend = 1;  // BackendType
  constexpr uint32_t kStartupProcess = 13;
  had_client_ = had_client_ || launch.type == kBackend;
  // The first client need not wait for helpers either.
  const bool is_boot = options_.for_snapshot || !had_client_;
  if (is_boot && launch.type != kStartupProcess && launch.type != kBackend) {
    deferred_.push_back({.pid = next_pid_, .launch = std::move(launch)});
    return next_pid_++;
  }
  std::unique_ptr<ClientSocket> client;
  if (auto it = accepted_.find(client_fd); it != accepted_.end()) {
    client = std::move(it->second);
    accepted_.erase(it);
  }
  const int pid = next_pid_;
  if (auto made = make_child(postmaster, pid, std::move(launch), client); !made) {
    log::error("could not start a process: {}", made.error().to_string());
    if (client != nullptr) (void)client->write(encode_refusal(made.error()));
    return -1;
  }
  next_pid_ += 1;
  return pid;
}

Result<void> Kernel::make_child(Process& postmaster, int pid, Launch launch,
                                std::unique_ptr<ClientSocket>& client) {
  if (os::MappingBudget::of_program().is_crowded()) CALF_CHECK_OK(spare_mappings());
  CALF_TRY(auto memory, child_memory(postmaster, client != nullptr));
  CALF_TRY(auto stack, take_stack());
  auto process = std::make_unique<Process>(*this,
                                           Process::Parts{.memory = std::move(memory),
                                                          .files = postmaster.files().fork(),
                                                          .stack = std::move(stack)},
                                           pid, std::move(launch), std::move(client));
  Process* started = process.get();
  processes_.emplace(pid, std::move(process));
  runnable_.push_back(started);
  if (started->client() != nullptr) {
    if (clients_++ == 0 && options_.helpers_wait_for_clients) put_off_deferred();
    if (started->client()->is_in_process()) clients_in_process_ += 1;
    if (auto attached = started->client()->attach(*poller_, started, waker(*started)); !attached) {
      log::error("{}", attached.error().to_string());
      started->post(kSigKill);
    }
  }
  return {};
}

std::optional<Kernel::Ended> Kernel::reap() {
  if (ended_.empty()) return std::nullopt;
  Ended ended = ended_.front();
  ended_.pop_front();
  return ended;
}

bool Kernel::has_pending_connection() {
  std::lock_guard lock(mutex_);
  return !connecting_.empty();
}

ClientSocket* Kernel::accept(int fd) {
  std::unique_ptr<ClientSocket> socket;
  {
    std::lock_guard lock(mutex_);
    if (connecting_.empty()) return nullptr;
    socket = std::move(connecting_.front());
    connecting_.pop_front();
  }
  ClientSocket* raw = socket.get();
  accepted_[fd] = std::move(socket);
  return raw;
}

void Kernel::bury(Process& process) {
  const int pid = process.pid();
  const wasm::ExitStatus status = *process.exit_status();
  if (process.client() != nullptr) {
    process.client()->flush();
    clients_ -= 1;
    if (process.client()->is_in_process()) clients_in_process_ -= 1;
    if (usual_ != nullptr) {
      usual_->backends.learn(process.memory());
      usual_->postmasters.learn(find(Process::kPostmasterPid)->memory());
    }
  }
  if (spare_stacks_.size() < kSpareStacks) {
    wasm::Stack stack = process.fiber().take_stack();
    stack.trim();
    spare_stacks_.push_back(std::move(stack));
  }
  processes_.erase(pid);
  if (pid == Process::kPostmasterPid) {
    postmaster_status_ = status;
    return;
  }
  ended_.push_back({pid, status});
  send_signal(Process::kPostmasterPid, kSigChild);
}

// --- The loop

int64_t Kernel::nearest_deadline_ns() const {
  int64_t nearest = deferred_.empty() ? Process::kNever : deferred_due_ns();
  for (const auto& [pid, process] : processes_) {
    if (process->state_ == Process::State::kWaiting)
      nearest = std::min(nearest, process->wait_deadline_ns_);
    nearest = std::min(nearest, process->timer_deadline_ns_);
  }
  return nearest;
}

void Kernel::fire_timers() {
  const int64_t now = now_ns();
  if (!deferred_.empty()) start_deferred_if_due();
  for (auto& [pid, process] : processes_) {
    if (process->timer_deadline_ns_ <= now) {
      process->timer_deadline_ns_ = Process::kNever;
      process->timer_due_ = true;
      process->interrupt();
      make_runnable(*process);
    }
    if (process->state_ == Process::State::kWaiting && process->wait_deadline_ns_ <= now)
      make_runnable(*process);
  }
}

void Kernel::poll_events(int64_t timeout_ns) {
  poller_->poll(timeout_ns, [this](const Poller::Event& event) {
    auto* process = static_cast<Process*>(event.tag);
    if (process->client()->on_ready(event)) make_runnable(*process);
  });
  take_requests();
}

// One more look at whether there is something to do, for a thread that does nothing else. Mostly it
// is the client that was answered last who goes on: to ask its socket is half the work of asking
// for all of them.
void Kernel::look_for_work() {
  constexpr unsigned kLooksAPoll = 8;
  Process* process = find(answered_last_);
  const bool may_go_on = process != nullptr && process->state_ == Process::State::kWaiting &&
                         process->client() != nullptr && !process->client()->is_in_process();
  if (!may_go_on || ++looks_ % kLooksAPoll == 0) return poll_events(0);
  if (process->client()->read_ahead()) make_runnable(*process);
  take_requests();
}

void Kernel::check_conditions() {
  std::erase_if(conditional_, [this](Process* process) {
    const Process::Condition& condition = process->condition_;
    if (!condition.holds(*process, condition.address, condition.operand)) return false;
    process->state_ = Process::State::kRunnable;
    runnable_.push_back(process);
    return true;
  });
}

void Kernel::run_process(Process& process) {
  const int64_t began = turn_began_ns_;
  process.state_ = Process::State::kRunning;
  ticker_.begin(reinterpret_cast<volatile uint32_t*>(process.base() + PG_ADDRESS_InterruptPending));
  process.resume();
  ticker_.end();
  turn_began_ns_ = now_ns();
  constexpr int64_t kLongestCountedNs = 1'000'000;
  typical_run_ns_ += (std::min(turn_began_ns_ - began, kLongestCountedNs) - typical_run_ns_) / 8;
  if (process.exit_status()) bury(process);
  if (!conditional_.empty()) check_conditions();
  flush_held_if_due();
}

// To send mostly means to wake a thread that sleeps, which costs more than many a statement. While
// several sessions have short statements to run, their answers go out a few at a time: the first
// one wakes, and the others find somebody awake.
net::IoResult Kernel::send(Process& process, std::span<const std::byte> bytes) {
  constexpr int64_t kShortRunNs = 30'000;
  constexpr size_t kMostHeldBytes = 1024;
  ClientSocket& client = *process.client();
  answered_last_ = process.pid();
  const bool holds = !runnable_.empty() && typical_run_ns_ < kShortRunNs &&
                     bytes.size() <= kMostHeldBytes && !client.is_in_process() &&
                     client.writable() && std::ranges::find(held_, process.pid()) == held_.end();
  if (!holds) return client.write(bytes);
  if (held_.empty()) held_since_ns_ = turn_began_ns_;
  held_.push_back(process.pid());
  client.hold(bytes);
  return net::IoResult::moved(bytes.size());
}

void Kernel::flush_held() {
  for (const int pid : held_) {
    if (Process* process = find(pid)) process->client()->flush();
  }
  held_.clear();
}

void Kernel::flush_held_if_due() {
  constexpr size_t kTogether = 6;
  constexpr int64_t kLongestNs = 50'000;
  if (held_.empty()) return;
  const bool is_late = turn_began_ns_ - held_since_ns_ > kLongestNs;
  if (runnable_.empty() || held_.size() >= kTogether || is_late) flush_held();
}

// Those that have waited go before those that have used their slice up: what somebody waits for is
// mostly short. But not for ever: after some of them a long runner has its turn.
Process* Kernel::choose() {
  constexpr int kWokenInARow = 16;
  const bool long_runner_is_due = !preempted_.empty() && woken_in_a_row_ >= kWokenInARow;
  std::deque<Process*>& queue = runnable_.empty() || long_runner_is_due ? preempted_ : runnable_;
  if (queue.empty()) return nullptr;
  woken_in_a_row_ = &queue == &runnable_ ? woken_in_a_row_ + 1 : 0;
  Process* next = queue.front();
  queue.pop_front();
  return next;
}

// Waits for something to do. To sleep and be woken costs several times what most statements take,
// so while statements come in quick succession the thread looks for the next one itself for a
// moment before it sleeps.
void Kernel::idle() {
  constexpr int64_t kLongestSpinNs = 50'000;
  if (usual_ != nullptr && fork_image_ == nullptr) make_next_memory();
  take_requests();
  const int64_t began = now_ns();
  idle_since_ns_ = began;
  const int64_t deadline = nearest_deadline_ns();
  // Clients in this program look for themselves, and want the baton for it.
  if (typical_idle_ns_ < kLongestSpinNs && clients_in_process_ == 0) {
    const int64_t spin_until = std::min(began + kLongestSpinNs, deadline);
    while (nobody_is_runnable() && !ends() && now_ns() < spin_until) look_for_work();
    if (ends()) return;  // what has woken the poller is used up
  }
  if (nobody_is_runnable() && clients_in_process_ > 0) {
    sleep_without_baton(deadline);
  } else if (nobody_is_runnable()) {
    const int64_t now = now_ns();
    poll_events(deadline == Process::kNever ? -1 : std::max<int64_t>(0, deadline - now));
  }
  fire_timers();
  // A moving average over the last eight or so, each counted as at most a millisecond: one long
  // pause does not end the spinning of a busy server, several in a row do.
  constexpr int64_t kLongestCountedNs = 1'000'000;
  typical_idle_ns_ += (std::min(now_ns() - began, kLongestCountedNs) - typical_idle_ns_) / 8;
}

// Sees that something has come, but leaves it where it is: by the time that the baton is back,
// another thread may have dealt with it.
void Kernel::sleep_without_baton(int64_t deadline_ns) {
  sleeps_until_ns_ = deadline_ns;
  earliest_new_ns_ = Process::kNever;
  holder_ = std::thread::id{};
  baton_.unlock();
  poller_->wait(deadline_ns == Process::kNever ? -1 : std::max<int64_t>(0, deadline_ns - now_ns()));
  own_thread_waits_ = true;
  baton_.lock();
  own_thread_waits_ = false;
  holder_ = std::this_thread::get_id();
  poll_events(0);
}

void Kernel::poll_if_due() {
  constexpr int64_t kPollEveryNs = 50'000;
  if (has_requests_.load(std::memory_order_acquire)) take_requests();
  const int64_t now = turn_began_ns_;
  if (!runnable_.empty() && now - polled_at_ns_ <= kPollEveryNs) return;
  poll_events(0);
  polled_at_ns_ = now;
  fire_timers();
  if (Process* postmaster = find(Process::kPostmasterPid))
    large_pages_.look(now, postmaster->memory());
}

bool Kernel::has_work_for_own_thread() const {
  return !nobody_is_runnable() || has_requests_ || ends() || earliest_new_ns_ < sleeps_until_ns_;
}

bool Kernel::help(const std::function<bool()>& done) {
  if (!kProcessesMayMove) return false;
  std::unique_lock baton(baton_, std::try_to_lock);
  if (!baton.owns_lock()) return false;
  if (over_) return true;
  wasm::prepare_thread();
  holder_ = std::this_thread::get_id();
  // Sockets and timers are looked after by the cluster's own thread, unless it waits for its turn.
  turn_began_ns_ = now_ns();
  polled_at_ns_ = own_thread_waits_ ? 0 : turn_began_ns_;
  while (!done() && !ends()) {
    take_requests();
    if (nobody_is_runnable()) break;
    poll_if_due();
    if (Process* next = choose()) run_process(*next);
  }
  flush_held();
  const bool work_is_left = has_work_for_own_thread();
  holder_ = std::thread::id{};
  baton.unlock();
  if (work_is_left) poller_->wake();
  return true;
}

wasm::ExitStatus Kernel::run() {
  const std::lock_guard baton(baton_);
  holder_ = std::this_thread::get_id();
  polled_at_ns_ = turn_began_ns_ = now_ns();
  while (!ends()) {
    if (nobody_is_runnable()) {
      idle();
      polled_at_ns_ = turn_began_ns_ = now_ns();
    } else {
      poll_if_due();
    }
    if (halted_) break;
    if (Process* next = choose()) run_process(*next);
  }
  over_ = true;
  holder_ = std::thread::id{};
  // What is left belongs to a cluster that has stopped: no process may run again.
  runnable_.clear();
  preempted_.clear();
  conditional_.clear();
  processes_.clear();
  accepted_.clear();
  {
    std::lock_guard lock(mutex_);
    is_closed_ = true;
    connecting_.clear();
  }
  return postmaster_status_.value_or(wasm::ExitStatus{.signal = kSigKill});
}

}  // namespace calf::postgres
