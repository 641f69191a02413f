#include "postgres/process.h"

#include <cstring>

#include "base/assert.h"
#include "calf_anchors.h"
#include "postgres/guest_address.h"
#include "postgres/guest_tree.h"
#include "postgres/kernel.h"
#include "wasm/files/guest_errno.h"

extern "C" {
// Exported by the image; the others come from calf_anchors.h.
u32 pg___main_argc_argv(u32 count, u32 arguments);
u32 pg__emscripten_stack_alloc(u32 size);
void pg__emscripten_timeout(u32 which, f64 now_ms);
u32 pg_palloc(u32 size);
u32 pg_emscripten_get_sbrk_ptr(void);  // where the image keeps the end of its heap
void pg_SetConfigOption(u32 name, u32 value, u32 context, u32 source);
u32 pg_errstart(u32 level, u32 domain);
u32 pg_errmsg(u32 format, u32 varargs);
void pg_errfinish(u32 file, u32 line, u32 function);
}

namespace calf::postgres {
namespace {

// child_process_kinds[type]: name 0, main_fn 4 (table index), shmem_attach 8.
constexpr u32 kChildKindBytes = 12;
constexpr u32 kChildKindMain = 4;

void call_main(u32 table_index, u32 startup_data, u32 length) {
  if (table_index >= calf_table_size || calf_table[table_index].function == nullptr) {
    calf_trap(CALF_TRAP_INDIRECT_CALL);
  }
  reinterpret_cast<void (*)(u32, u32)>(calf_table[table_index].function)(startup_data, length);
}

}  // namespace

Process::Process(Kernel& kernel, Parts parts, std::vector<std::string> arguments)
    : Guest(std::move(parts.memory), std::move(parts.files), std::move(parts.stack)),
      kernel_(kernel),
      pid_(kPostmasterPid),
      arguments_(std::move(arguments)) {
  memory().state().pid = pid_;
}

Process::Process(Kernel& kernel, Parts parts, Resumption resumption)
    : Guest(std::move(parts.memory), std::move(parts.files), std::move(parts.stack)),
      kernel_(kernel),
      pid_(kPostmasterPid),
      resumption_(std::move(resumption)) {
  memory().state().pid = pid_;
}

Process::Process(Kernel& kernel, Parts parts, int pid, Launch launch,
                 std::unique_ptr<ClientSocket> client)
    : Guest(std::move(parts.memory), std::move(parts.files), std::move(parts.stack)),
      kernel_(kernel),
      pid_(pid),
      launch_(std::move(launch)),
      client_(std::move(client)) {
  memory().state().pid = pid_;
}

void Process::main() {
  heap_end_at_ = pg_emscripten_get_sbrk_ptr();
  if (resumption_) run_resumed_postmaster();
  if (is_postmaster()) run_postmaster();
  run_child();
}

void Process::run_postmaster() {
  if (calf_image.start != nullptr) calf_image.start();
  if (calf_image.call_constructors != nullptr) calf_image.call_constructors();
  const auto count = static_cast<u32>(arguments_.size());
  const u32 pointers = pg__emscripten_stack_alloc((count + 1) * 4);
  for (u32 i = 0; i < count; ++i) {
    store(pointers + i * 4, push_text(arguments_[i]));
  }
  store<u32>(pointers + count * 4, 0);
  exit({.code = static_cast<int>(pg___main_argc_argv(count, pointers))});
}

// The clock has gone on since the snapshot, and the settings are those of this run. What the
// guest's memory says otherwise is what it said when the main function waited.
void Process::run_resumed_postmaster() {
  constexpr u32 kPostmasterContext = 1;  // GucContext
  constexpr u32 kCommandLineSource = 4;  // GucSource
  constexpr u32 kLog = 15;               // elog.h
  const u32 stack_pointer = memory().state().globals[0];
  const u64 now = pg_GetCurrentTimestamp();
  store(PG_ADDRESS_PgStartTime, now);
  store(PG_ADDRESS_PgReloadTime, now);
  // The files may be another cluster's than the one that was recorded. struct ControlFileData.
  constexpr u32 kNonceAt = 257;
  constexpr u32 kNonceBytes = 32;
  const u32 control_file = load<u32>(PG_ADDRESS_ControlFile);
  for (const auto& [at, size] : {std::pair<u32, u32>{0, 8}, {kNonceAt, kNonceBytes}})
    std::memcpy(base() + control_file + at, resumption_->control_file.data() + at, size);
  for (const auto& [name, value] : resumption_->settings) {
    pg_SetConfigOption(push_text(name), push_text(value), kPostmasterContext, kCommandLineSource);
    memory().state().globals[0] = stack_pointer;
  }
  if (pg_errstart(kLog, 0) != 0) {
    pg_errmsg(push_text("database system is ready to accept connections"), 0);
    pg_errfinish(push_text("postmaster.c"), 0, push_text("process_pm_child_exit"));
  }
  memory().state().globals[0] = stack_pointer;
  resumption_->on_ready();
  frame_is_due_ = true;
  exit({.code = static_cast<int>(pg___main_argc_argv(0, 0))});
}

const uint64_t* Process::take_resumed_frame(uint32_t count) {
  if (!frame_is_due_) return nullptr;
  frame_is_due_ = false;
  ASSERT(resumption_->frame.size() == count);
  return resumption_->frame.data();
}

// What fork_process() and the child's side of postmaster_child_launch() do (launch_backend.c,
// miscinit.c: InitPostmasterChild); the image has only the parent's side.
void Process::run_child() {
  store<u8>(PG_ADDRESS_IsUnderPostmaster, 1);
  store<s32>(PG_ADDRESS_MyProcPid, pid_);
  store<u32>(PG_ADDRESS_before_shmem_exit_index, 0);  // on_exit_reset()
  store<u32>(PG_ADDRESS_on_shmem_exit_index, 0);
  store<u32>(PG_ADDRESS_on_proc_exit_index, 0);
  pg_InitStandaloneProcess(0);  // the same steps: seeds, latch, wait events, signal masks
  const u64 blocked = load<u64>(PG_ADDRESS_BlockSig) & ~(u64{1} << (kSigQuit - 1));
  store(PG_ADDRESS_BlockSig, blocked);
  constexpr u32 kSetMask = 2;
  pg_sigprocmask(kSetMask, PG_ADDRESS_BlockSig, 0);
  store<u32>(PG_ADDRESS_MyBackendType, launch_->type);
  store<u32>(PG_ADDRESS_CurrentMemoryContext, load<u32>(PG_ADDRESS_TopMemoryContext));
  store<u32>(PG_ADDRESS_MyPMChildSlot, launch_->slot);
  auto copy_in = [this](const std::vector<std::byte>& bytes) -> u32 {
    if (bytes.empty()) return 0;
    const u32 at = pg_palloc(static_cast<u32>(bytes.size()));
    std::memcpy(base() + at, bytes.data(), bytes.size());
    return at;
  };
  if (!launch_->client_socket.empty())
    store(PG_ADDRESS_MyClientSocket, copy_in(launch_->client_socket));
  if (client_ != nullptr && client_->peer().kind == net::Address::Kind::kInProcess)
    trust_the_owner();
  store<u8>(PG_ADDRESS_send_ready_for_query, 1);  // the first thing that a session's loop does
  const u32 startup_data = copy_in(launch_->startup_data);
  const u32 kind = PG_ADDRESS_child_process_kinds + launch_->type * kChildKindBytes;
  call_main(load<u32>(kind + kChildKindMain), startup_data,
            static_cast<u32>(launch_->startup_data.size()));
  exit({.code = 0});
}

// A client inside this program is its owner and needs no password, whatever pg_hba.conf says: this
// process's copy of the rules is replaced by one that trusts.
void Process::trust_the_owner() {
  const u32 saved_stack = CALF_STATE->globals[0];
  const u32 configured = load<u32>(PG_ADDRESS_HbaFileName);
  store(PG_ADDRESS_HbaFileName, push_text(kTrustFile));
  pg_load_hba();
  store(PG_ADDRESS_HbaFileName, configured);
  CALF_STATE->globals[0] = saved_stack;
}

u32 Process::push_text(std::string_view text) {
  const u32 at = pg__emscripten_stack_alloc(static_cast<u32>(text.size()) + 1);
  std::memcpy(base() + at, text.data(), text.size());
  base()[at + text.size()] = 0;
  return at;
}

// --- Signals

void Process::interrupt() {
  store<u32>(PG_ADDRESS_InterruptPending, 1);
}

void Process::post(int signal) {
  ASSERT(signal > 0 && signal < 64);
  pending_signals_ |= u64{1} << signal;
  interrupt();
  kernel_.make_runnable(*this);
}

void Process::deliver_signals() {
  while (has_signals()) {
    if (timer_due_) {
      timer_due_ = false;
      pg__emscripten_timeout(static_cast<u32>(timer_which_),
                             static_cast<f64>(kernel_.now_ns()) / 1e6);
      continue;
    }
    const int signal = __builtin_ctzll(pending_signals_);
    pending_signals_ &= pending_signals_ - 1;
    if (signal == kSigKill) exit({.signal = kSigKill});
    if (signal == kSigUrgent) continue;  // only wakes a waiting process
    // InitPostmasterChild() sets SignalHandlerForCrashExit; the image has lost that function, for
    // it does just this.
    if (signal == kSigQuit && !is_postmaster() && !handles_quit_) exit({.code = 2});
    if (signal == kSigHup && is_postmaster()) {
      // Now: it signals its children before it reads pg_hba.conf, and what is forked then must not
      // become the image of later ones.
      kernel_.start_deferred();
      kernel_.forget_fork_image();
    }
    pg_raise(static_cast<u32>(signal));
  }
}

// --- Waiting

void Process::wait(int64_t deadline_ns) {
  if (has_signals()) return;
  state_ = State::kWaiting;
  wait_deadline_ns_ = deadline_ns;
  kernel_.note_deadline(deadline_ns);
  suspend();
  wait_deadline_ns_ = kNever;
}

void Process::wait_until(const Condition& condition) {
  while (!condition.holds(*this, condition.address, condition.operand)) {
    state_ = State::kWaitingCondition;
    condition_ = condition;
    kernel_.await_condition(*this);
    suspend();
    deliver_signals();  // as a native process would handle them in the middle of sem_wait()
  }
}

void Process::yield() {
  kernel_.preempt(*this);
  suspend();
}

void Process::set_interval_timer(int which, double delay_ms) {
  timer_which_ = which;
  timer_due_ = false;
  timer_deadline_ns_ =
      delay_ms <= 0 ? kNever : kernel_.now_ns() + static_cast<int64_t>(delay_ms * 1e6);
  kernel_.note_deadline(timer_deadline_ns_);
}

void Process::sleep_ns(int64_t duration_ns) {
  const int64_t deadline = kernel_.now_ns() + duration_ns;
  wait(deadline);
  deliver_signals();
}

int Process::sync_file(int fd, vfs::File::SyncKind kind) {
  deliver_signals();  // as a native process would handle them in the middle of fsync()
  if (client_ != nullptr && !kernel_.syncs_elsewhere()) {
    return kind == vfs::File::SyncKind::kAll ? files().fd_sync(fd) : -files().fdatasync(fd);
  }
  auto pending = files().begin_sync(fd, kind);
  if (!pending) return wasm::guest_errno(pending.error());
  if (pending->file == nullptr) return 0;
  state_ = State::kWaitingDisk;
  kernel_.sync(*this, std::move(*pending));
  suspend();
  return sync_error_ == 0 ? 0 : wasm::guest_errno(static_cast<os::Errno>(sync_error_));
}

bool Process::resolve_fault(const void* address) {
  return kernel_.thaw(*this, static_cast<uint64_t>(static_cast<const uint8_t*>(address) - base()));
}

// --- Sockets

int Process::accept_connection(int, std::span<std::byte> address, uint32_t& length) {
  const int fd = files().openat(-100, "/dev/null", 2, 0);
  if (fd < 0) return fd;
  ClientSocket* client = kernel_.accept(fd);
  if (client == nullptr) {
    files().fd_close(fd);
    return wasm::syscall_error(os::Errno::kAgain);
  }
  length = encode_guest_address(client->peer(), address);
  return fd;
}

}  // namespace calf::postgres
