// Functions of PostgreSQL that the host provides or wraps; guest/hooks.txt says how each of them is
// found in the image. They run on the calling process's stack, and an error that PostgreSQL raises
// in a function called from here jumps over these frames: nothing that needs a destructor may be
// alive across such a call.
#include "base/log.h"
#include "calf_anchors.h"
#include "postgres/kernel.h"
#include "postgres/wait_event_set.h"
#include "wasm/abi/calf_resume.h"
#include "wasm/files/guest_errno.h"

using calf::os::Errno;
using calf::postgres::Kernel;
using calf::postgres::Launch;
using calf::postgres::Process;
using calf::wasm::guest_errno;

extern "C" {
u32 pg___errno_location(void);
}

namespace {

void set_guest_errno(Process& process, Errno error) {
  process.store<s32>(pg___errno_location(), guest_errno(error));
}

u32 io_result(Process& process, const calf::net::IoResult& result) {
  using calf::net::IoState;
  switch (result.state) {
    case IoState::kDone:
      return static_cast<u32>(result.bytes);
    case IoState::kEndOfStream:
      return 0;
    case IoState::kWouldBlockRead:
    case IoState::kWouldBlockWrite:
      set_guest_errno(process, Errno::kAgain);
      break;
    case IoState::kError:
      set_guest_errno(
          process, static_cast<Errno>(result.system_errno == 0 ? ECONNRESET : result.system_errno));
      break;
  }
  return static_cast<u32>(-1);
}

std::vector<std::byte> copy_of(Process& process, u32 address, u32 size_bytes) {
  const std::span<std::byte> bytes = process.bytes(address, size_bytes);
  return address == 0 ? std::vector<std::byte>{}
                      : std::vector<std::byte>(bytes.begin(), bytes.end());
}

}  // namespace

extern "C" {

// --- Processes (launch_backend.c, libc)

u32 pg_postmaster_child_launch(u32 type, u32 slot, u32 startup_data, u32 length,
                               u32 client_socket) {
  constexpr u32 kClientSocketBytes = 136;  // sock 0, raddr 4 (128 bytes and its length)
  constexpr u32 kBackend = 1;
  constexpr u32 kForkStarted = 16;  // BackendStartupData.fork_started
  Process& process = Process::current();
  if (type == kBackend && length >= kForkStarted + 8)
    process.store(startup_data + kForkStarted, pg_GetCurrentTimestamp());
  const int client_fd = client_socket == 0 ? -1 : process.load<s32>(client_socket);
  const int pid = process.kernel().launch(
      process,
      Launch{.type = type,
             .slot = slot,
             .startup_data = copy_of(process, startup_data, length),
             .client_socket = copy_of(process, client_socket, kClientSocketBytes)},
      client_fd);
  if (pid < 0) set_guest_errno(process, Errno::kNoMemory);
  return static_cast<u32>(pid);
}

// The image's waitpid() never fills in a status, so the compiler has dropped that parameter. The
// postmaster's only call passes a variable of its frame, at a fixed distance from its stack
// pointer.
u32 pg_waitpid(u32) {
  Process& process = Process::current();
  const auto ended = process.kernel().reap();
  if (!ended) return 0;
  process.store(CALF_STATE->globals[0] + PG_OFFSET_waitpid_status, ended->status.wait_status());
  return static_cast<u32>(ended->pid);
}

u32 pg_kill(u32 pid, u32 signal) {
  Process& process = Process::current();
  if (process.kernel().send_signal(static_cast<int>(pid), static_cast<int>(signal)) == 0) {
    if (static_cast<int>(pid) == process.pid() && signal != 0) process.deliver_signals();
    return 0;
  }
  set_guest_errno(process, static_cast<Errno>(ESRCH));
  return static_cast<u32>(-1);
}

void pg_pqsignal_be(u32 signal, u32 handler) {
  Process::current().note_handler(static_cast<int>(signal));
  pg_pqsignal_be_original(signal, handler);
}

// --- Snapshots

void calf_checkpoint_frame(const u64* values, u32 count) {
  Process& process = Process::current();
  if (process.kernel().is_for_snapshot()) process.keep_frame({values, count});
}

const u64* calf_resumed_frame(u32 count) {
  return Process::current().take_resumed_frame(count);
}

// --- Waiting

u32 pg_WaitEventSetWait(u32 set, u32 timeout_ms, u32 events, u32 max_events, u32 wait_event_info) {
  Process& process = Process::current();
  // Waits for the checkpointer to take a request (WAIT_EVENT_REGISTER_SYNC_REQUEST), again and
  // again, so the cluster is never idle for long.
  constexpr u32 kRegisterSyncRequest = 0x09000005;
  if (wait_event_info == kRegisterSyncRequest) process.kernel().start_checkpointer();
  const u32 report = process.load<u32>(PG_ADDRESS_my_wait_event_info);
  process.store(report, wait_event_info);
  const u32 found = calf::postgres::wait_for_events(process, set, static_cast<s32>(timeout_ms),
                                                    events, max_events);
  process.store<u32>(process.load<u32>(PG_ADDRESS_my_wait_event_info), 0);
  return found;
}

void pg_pg_usleep(u32 microseconds) {
  if (static_cast<s32>(microseconds) <= 0) return;
  Process::current().sleep_ns(int64_t{microseconds} * 1000);
}

void pg_ProcessInterrupts(void) {
  Process& process = Process::current();
  const bool held = process.load<u32>(PG_ADDRESS_InterruptHoldoffCount) != 0 ||
                    process.load<u32>(PG_ADDRESS_CritSectionCount) != 0;
  if (!held) {
    process.deliver_signals();
    if (process.kernel().slice_is_over()) {
      process.yield();
      process.deliver_signals();
    }
  }
  pg_ProcessInterrupts_original();
}

// --- Time

// In microseconds since the beginning of 2000.
u64 pg_GetCurrentTimestamp() {
  constexpr uint64_t kPostgresEpochUs = UINT64_C(946'684'800'000'000);
  uint64_t now_ns = 0;
  Process::current().files().clock_time_get(0, now_ns);
  return now_ns / 1000 - kPostgresEpochUs;
}

// --- The client's connection (be-secure.c calls these with a non-blocking socket)

u32 pg_pgl_recv(u32, u32 buffer, u32 length, u32) {
  Process& process = Process::current();
  if (process.client() == nullptr) return 0;
  return io_result(process, process.client()->read(process.bytes(buffer, length)));
}

u32 pg_pgl_send(u32, u32 buffer, u32 length, u32) {
  Process& process = Process::current();
  if (process.client() == nullptr) return length;
  return io_result(process, process.kernel().send(process, process.bytes(buffer, length)));
}

}  // extern "C"
