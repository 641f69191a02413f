// A PostgreSQL process: a guest with a pid, signals, a timer and, if it is a backend, a client.
// Not for choosing who runs (kernel.h), nor for what PostgreSQL's functions ask of the host
// (hooks.cc).
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "postgres/client_socket.h"
#include "wasm/guest.h"

namespace calf::postgres {

class Kernel;

// Signal numbers of the guest (Linux's).
enum Signal : int {
  kSigHup = 1,
  kSigInt = 2,
  kSigQuit = 3,
  kSigKill = 9,
  kSigUsr1 = 10,
  kSigAlarm = 14,
  kSigTerm = 15,
  kSigChild = 17,
  kSigUrgent = 23,
};

// What the postmaster hands to a new process (postmaster_child_launch's arguments).
struct Launch {
  uint32_t type = 0;  // BackendType
  uint32_t slot = 0;  // MyPMChildSlot
  std::vector<std::byte> startup_data;
  std::vector<std::byte> client_socket;  // struct ClientSocket, or empty
};

class Process final : public wasm::Guest {
 public:
  static constexpr int kPostmasterPid = 42;  // what the image believes getpid() to be
  static constexpr int64_t kNever = INT64_MAX;

  struct Parts {
    std::unique_ptr<wasm::LinearMemory> memory;
    std::unique_ptr<wasm::GuestFiles> files;
    wasm::Stack stack;
  };
  // The first process: runs the image's main with these arguments.
  Process(Kernel& kernel, Parts parts, std::vector<std::string> arguments);
  // The first process of a snapshot: its main function goes on where it was recorded.
  struct Resumption {
    std::vector<uint64_t> frame;
    std::vector<std::pair<std::string, std::string>> settings;
    std::function<void()> on_ready;  // on the process's stack, before the main function goes on
  };
  Process(Kernel& kernel, Parts parts, Resumption resumption);
  // A child.
  Process(Kernel& kernel, Parts parts, int pid, Launch launch,
          std::unique_ptr<ClientSocket> client);

  static Process& current() { return static_cast<Process&>(Guest::current()); }

  [[nodiscard]] Kernel& kernel() { return kernel_; }
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] bool is_postmaster() const { return !launch_.has_value(); }
  [[nodiscard]] ClientSocket* client() { return client_.get(); }
  [[nodiscard]] const std::optional<Launch>& launch() const { return launch_; }

  // Where its heap ends. The postmaster's, after it has begun to run.
  [[nodiscard]] uint32_t heap_end() const { return load<uint32_t>(heap_end_at_); }

  // --- Signals. post() may be called while another process runs; delivery is by the process
  // itself, at safe points.
  void post(int signal);
  [[nodiscard]] bool has_signals() const { return pending_signals_ != 0 || timer_due_; }
  void note_handler(int signal) { handles_quit_ = handles_quit_ || signal == kSigQuit; }
  // Runs the guest's handlers. On the process's own stack.
  void deliver_signals();

  // Waits until woken (a signal, its socket, `deadline_ns`): may return early. On the process's own
  // stack.
  void wait(int64_t deadline_ns);
  // Waits until `condition` holds; handles signals meanwhile. On the process's own stack.
  struct Condition {
    bool (*holds)(const Process& process, uint32_t address, uint64_t operand) = nullptr;
    uint32_t address = 0;
    uint64_t operand = 0;
  };
  void wait_until(const Condition& condition);
  // Lets others run; goes on in its turn. On the process's own stack.
  void yield();
  // Sets InterruptPending, so that the guest looks at its signals and its time slice soon.
  void interrupt();

  // --- Snapshots (wasm/abi/calf_resume.h)
  void keep_frame(std::span<const uint64_t> values) { frame_.assign(values.begin(), values.end()); }
  [[nodiscard]] const std::vector<uint64_t>& frame() const { return frame_; }
  // The frame to go on with, once; null at other times.
  [[nodiscard]] const uint64_t* take_resumed_frame(uint32_t count);

  // --- Guest
  void set_interval_timer(int which, double delay_ms) override;
  void sleep_ns(int64_t duration_ns) override;
  int sync_file(int fd, vfs::File::SyncKind kind) override;
  int accept_connection(int fd, std::span<std::byte> address, uint32_t& length) override;
  bool resolve_fault(const void* address) override;
  void main() override;

 private:
  friend class Kernel;
  enum class State {
    kRunnable,
    kRunning,
    kWaiting,           // for anything: a signal, its socket, its deadline
    kWaitingCondition,  // for condition_ alone
    kWaitingDisk,       // for a sync alone
  };

  [[noreturn]] void run_postmaster();
  [[noreturn]] void run_resumed_postmaster();
  [[noreturn]] void run_child();
  void trust_the_owner();

  Kernel& kernel_;
  const int pid_;
  std::vector<std::string> arguments_;
  std::optional<Launch> launch_;
  std::optional<Resumption> resumption_;
  bool frame_is_due_ = false;
  uint32_t heap_end_at_ = 0;     // the variable's address; only code of the guest knows it
  std::vector<uint64_t> frame_;  // of the newest checkpoint
  std::unique_ptr<ClientSocket> client_;
  bool handles_quit_ = false;  // has set a handler for SIGQUIT since it was forked

  // The kernel's
  State state_ = State::kRunnable;
  Condition condition_;
  int sync_error_ = 0;  // of the sync that has just ended
  int64_t wait_deadline_ns_ = kNever;
  int64_t timer_deadline_ns_ = kNever;
  int timer_which_ = 0;
  bool timer_due_ = false;
  uint64_t pending_signals_ = 0;  // bit n: signal n
};

}  // namespace calf::postgres
