// The tiny operating system of one cluster: its process table, who runs, signals, timers, the
// clients' sockets. Not for PostgreSQL's own decisions: the postmaster is PostgreSQL's, running as
// the first process.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "os/clock.h"
#include "postgres/host_commands.h"
#include "postgres/poller.h"
#include "postgres/process.h"
#include "postgres/slice_ticker.h"
#include "postgres/snapshot.h"
#include "postgres/sync_thread.h"
#include "wasm/large_pages.h"

namespace calf::postgres {

class Kernel {
 public:
  struct Options {
    std::shared_ptr<vfs::Namespace> tree;
    std::shared_ptr<const os::Clock> clock;
    std::shared_ptr<os::Random> random;
    wasm::OutputSink log_sink;
    std::vector<std::string> environment;
    std::shared_ptr<TickThread> ticks;          // see SliceTicker
    std::unique_ptr<vfs::File> standard_input;  // of the first process; null: empty
    std::shared_ptr<HostCommands> commands;     // null: SQL has none to give
    HostProgramRights programs{};
    // A cluster that has just started makes its helpers when it has been idle for so long, and ten
    // times as long after its start at the latest; or later, while the program has many mappings
    // (os::MappingBudget).
    int64_t helpers_idle_ns = 20'000'000;
    bool helpers_wait_for_clients = false;  // see Cluster::Options
    bool expects_client = false;            // see Cluster::Options
    bool for_snapshot = false;  // helpers get a pid and do not run: see settle(), record()
  };

  static Result<std::unique_ptr<Kernel>> create(Options options);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  // --- Any thread
  // Hands a client over; its backend starts as soon as the postmaster accepts it. Closes it when
  // the cluster has ended.
  void connect(ClientConnection connection);
  // Clients that have a process.
  [[nodiscard]] int sessions() const { return clients_; }
  // Sends the postmaster a signal.
  void signal_postmaster(int signal);
  // Ends everything at once, as a power cut would.
  void halt();
  // See Cluster::spare_mappings.
  void ask_to_spare_mappings();
  // Runs the cluster on the calling thread, see Cluster::help.
  bool help(const std::function<bool()>& done);

  // --- The cluster's thread, or one that helps: whoever holds the baton
  // Makes the first process. `arguments` are the image's command line.
  Result<void> start_postmaster(std::vector<std::string> arguments);
  // Instead: the postmaster of a snapshot goes on. `settings` are allowed by the snapshot, and
  // PostgreSQL's FATAL ends the process when a value is bad; `on_ready` is called on the cluster's
  // thread when they have been taken.
  Result<void> resume_postmaster(const Snapshot& snapshot, Snapshot::Settings settings,
                                 std::function<void()> on_ready);
  // Runs the cluster until the postmaster has ended; its exit status.
  wasm::ExitStatus run();

  // --- Making a snapshot (Options::for_snapshot)
  // Runs until the postmaster waits, alone. kInternal when it ends instead.
  Result<void> settle();
  // The settled cluster but its data directory's files and `boot_settings`; pages go to `builder`.
  Result<SnapshotState> record(SnapshotBuilder& builder);
  [[nodiscard]] bool is_for_snapshot() const { return options_.for_snapshot; }

  // --- From the processes (on their stacks)
  [[nodiscard]] HostCommands* commands() const { return options_.commands.get(); }
  [[nodiscard]] const HostProgramRights& program_rights() const { return options_.programs; }
  // Wakes the process, from any thread, as long as the kernel lives.
  [[nodiscard]] std::function<void()> waker(const Process& process);
  // Makes the checkpointer, if a resumed cluster has put it off.
  void start_checkpointer();
  // The same for all that it has put off.
  void start_deferred();
  [[nodiscard]] int64_t now_ns() const { return clock_->monotonic_ns(); }
  Process* find(int pid);
  // kill(): 0, or -1 when there is no such process.
  int send_signal(int pid, int signal);
  void make_runnable(Process& process);
  // The running process has used its slice up: it goes on after those that have waited.
  void preempt(Process& process);
  // Has the running process used its slice up? True also when it is time to look at the sockets.
  [[nodiscard]] bool slice_is_over() const { return ticker_.expired(); }

  // A process has a new deadline: nobody may sleep longer.
  void note_deadline(int64_t deadline_ns) {
    earliest_new_ns_ = std::min(earliest_new_ns_, deadline_ns);
  }
  // Sends to the process's client; now, or together with what other processes send in the next few
  // microseconds.
  net::IoResult send(Process& process, std::span<const std::byte> bytes);

  // The process waits for its condition; it is looked at whenever another process has run.
  void await_condition(Process& process) { conditional_.push_back(&process); }
  // Does a session's sync run on another thread? With one session nobody would use the time; the
  // answer would only come later.
  [[nodiscard]] bool syncs_elsewhere() const { return clients_ > 1; }
  // Syncs on the sync thread; the process goes on afterwards.
  void sync(Process& process, wasm::GuestFiles::PendingSync pending) {
    syncs_.submit(process.pid(), std::move(pending));
  }

  // Makes the page at this linear address writable for all processes, if it is one of shared memory
  // that is still the snapshot's. In a fault handler.
  bool thaw(Process& process, uint64_t address);

  // postmaster_child_launch(): the new pid, or -1.
  int launch(Process& postmaster, Launch launch, int client_fd);
  // waitpid(-1, WNOHANG): a child that has ended, or nothing.
  struct Ended {
    int pid;
    wasm::ExitStatus status;
  };
  std::optional<Ended> reap();

  [[nodiscard]] bool has_pending_connection();
  // accept(): takes the oldest waiting connection and remembers it by its descriptor until launch()
  // or close.
  ClientSocket* accept(int fd);
  [[nodiscard]] Poller& poller() { return *poller_; }

  // The next fork must copy the postmaster's memory anew.
  void forget_fork_image() { fork_image_.reset(); }

 private:
  static constexpr uint32_t kGuestUser = 123;  // user and group: what the image believes to be

  explicit Kernel(Options options, std::unique_ptr<Poller> poller);

  void request();
  void take_requests();
  void look_for_work();
  void poll_events(int64_t timeout_ns);
  void fire_timers();
  void check_conditions();
  void idle();
  void sleep_without_baton(int64_t deadline_ns);
  void poll_if_due();
  [[nodiscard]] bool ends() const { return postmaster_status_.has_value() || halted_; }
  [[nodiscard]] bool has_work_for_own_thread() const;
  [[nodiscard]] int64_t nearest_deadline_ns() const;
  [[nodiscard]] bool nobody_is_runnable() const { return runnable_.empty() && preempted_.empty(); }
  Process* choose();
  void run_process(Process& process);
  void flush_held();
  void flush_held_if_due();
  void bury(Process& process);
  Result<std::shared_ptr<wasm::MemoryImage>> fork_image(Process& postmaster);
  static Result<void> check_shared_memory(Process& postmaster);
  Result<std::unique_ptr<wasm::LinearMemory>> child_memory(Process& postmaster, bool has_client);
  void make_next_memory();
  std::vector<wasm::LinearMemory*> memories();
  Result<wasm::Stack> take_stack();
  // Takes the client only if there is no error.
  Result<void> make_child(Process& postmaster, int pid, Launch launch,
                          std::unique_ptr<ClientSocket>& client);

  // Thaws shared memory, so that every process needs fewer mappings.
  Result<void> spare_mappings();
  // Children that exist for the postmaster and are still to be made.
  [[nodiscard]] bool has_deferred(int pid) const;
  int signal_deferred(int pid, int signal);
  void make_deferred(std::deque<SnapshotState::Child>::iterator child);
  void put_off_deferred();
  void start_deferred_if_due();
  [[nodiscard]] int64_t deferred_due_ns() const;
  Result<wasm::SharedRegion> restore_shared_file(const Snapshot& snapshot,
                                                 const SnapshotState::SharedMemory& shared);
  Result<wasm::SharedRegion> restore_shared(const Snapshot& snapshot,
                                            const SnapshotState::SharedMemory& shared);
  Result<std::vector<SnapshotState::SharedMemory>> record_shared_files(
      const std::vector<wasm::SharedRegion>& mapped, SnapshotBuilder& builder);

  Options options_;
  std::shared_ptr<const os::Clock> clock_;
  std::unique_ptr<Poller> poller_;
  SliceTicker ticker_;

  std::unordered_map<int, std::unique_ptr<Process>> processes_;
  std::deque<Process*> runnable_;   // new ones, and those that have waited
  std::deque<Process*> preempted_;  // whose slice was over
  int woken_in_a_row_ = 0;
  std::vector<Process*> conditional_;  // wait for their condition
  std::atomic<int> clients_ = 0;       // processes that have one
  int clients_in_process_ = 0;         // those of them whose client is in this program
  std::vector<int> held_;              // pids whose clients' answers are held
  int64_t held_since_ns_ = 0;
  int answered_last_ = 0;  // a pid
  unsigned looks_ = 0;
  int64_t typical_run_ns_ = INT64_C(1'000'000);  // how long processes have recently run at a time
  std::deque<Ended> ended_;
  std::vector<wasm::Stack> spare_stacks_;
  int next_pid_ = 100;
  int64_t typical_idle_ns_ =
      INT64_C(1'000'000);  // how long the thread has recently waited for something to do
  std::optional<wasm::ExitStatus> postmaster_status_;
  std::shared_ptr<wasm::MemoryImage> fork_image_;
  std::shared_ptr<const wasm::MemoryImage>
      starting_image_;  // what the postmaster's memory started from; or null
  std::shared_ptr<Snapshot::UsualPages> usual_;  // with Options::expects_client; else null
  std::shared_ptr<wasm::MemoryImage> next_memory_image_;
  std::unique_ptr<wasm::LinearMemory> next_memory_;  // the first backend's, made ahead of it
  bool had_client_ = false;
  std::deque<SnapshotState::Child> deferred_;
  int64_t deferred_until_ns_ = 0;
  int64_t deferred_not_before_ns_ = 0;
  int64_t idle_since_ns_ = 0;
  int64_t polled_at_ns_ = 0;
  // Read once a turn of the loop, for all that need no better.
  int64_t turn_began_ns_ = 0;
  wasm::LargePages large_pages_;
  std::unordered_map<int, std::unique_ptr<ClientSocket>>
      accepted_;  // by the postmaster's descriptor

  // Who holds the baton runs the processes: the cluster's thread, except while it sleeps and has
  // clients in this program; these then run the cluster themselves until they have their answer.
  std::mutex baton_;
  std::atomic<std::thread::id> holder_{};
  int64_t sleeps_until_ns_ = Process::kNever;  // the cluster's thread
  int64_t earliest_new_ns_ = Process::kNever;  // deadline since it has gone to sleep
  std::atomic<bool> own_thread_waits_{false};  // for the baton
  bool over_ = false;                          // run() has ended

  // Requests of other threads
  std::mutex mutex_;
  std::deque<std::unique_ptr<ClientSocket>> connecting_;
  bool is_closed_ = false;  // run() has ended
  std::vector<int> signals_for_postmaster_;
  std::vector<int> wakeups_;  // pids whose in-process pipe, or host program, has moved
  struct Synced {
    int pid;
    int error;
  };
  std::vector<Synced> synced_;
  std::atomic<bool> halted_{false};
  std::atomic<bool> should_spare_mappings_{false};
  std::atomic<bool> has_requests_{false};
  SyncThread syncs_;  // last: its thread uses what is above
};

}  // namespace calf::postgres
