// The functions of the C library and of Emscripten's runtime in supplies.h. OpenSSL inside pgcrypto
// refers to them from parts that pgcrypto does not use (sockets, passphrase prompts, the locked
// heap), so they tell the truth about a guest that has no such things: they fail the way the C
// library would.
#include "wasm/supplies/guest.h"
#include "wasm/supplies/image_functions.h"
#include "wasm/supplies/supplies.h"

namespace calf::supplies {
namespace {

// struct timespec of wasm32: 64-bit seconds, 32-bit nanoseconds, padding.
constexpr u32 kTimespecSize = 16;

// struct sigaction of wasm32: handler, 128 bytes of signal mask, flags, restorer.
constexpr u32 kSigactionSize = 140;
constexpr u32 kSigactionFlags = 132;
constexpr u32 kRestart = 0x10000000;  // SA_RESTART

}  // namespace
}  // namespace calf::supplies

using namespace calf::supplies;  // NOLINT: the functions below are C functions

extern "C" {

void calf_supply_setTempRet0(u32 value) {
  pg__emscripten_tempret_set(value);
}
u32 calf_supply_getTempRet0(void) {
  return pg__emscripten_tempret_get();
}

// Sleeps by the image's nanosleep, so that the host's scheduling of the process holds here too.
// Answers the seconds that are left when it was interrupted.
u32 calf_supply_sleep(u32 seconds) {
  LinearMemory memory = running_memory();
  u32 stack = guest_stack();
  u32 time = push_guest_stack(kTimespecSize);
  std::memset(memory.base + time, 0, kTimespecSize);
  memory.store_u32(time, seconds);
  u32 failed = pg_nanosleep(time, time);
  u32 left = failed == 0 ? 0 : memory.load_u32(time);
  restore_guest_stack(stack);
  return left;
}

// BSD semantics, by sigaction. Answers the handler before, or SIG_ERR (-1) with sigaction's errno.
u32 calf_supply_signal(u32 signal, u32 handler) {
  LinearMemory memory = running_memory();
  u32 stack = guest_stack();
  u32 action = push_guest_stack(kSigactionSize);
  u32 old_action = push_guest_stack(kSigactionSize);
  std::memset(memory.base + action, 0, kSigactionSize);
  memory.store_u32(action, handler);
  memory.store_u32(action + kSigactionFlags, kRestart);
  u32 failed = pg_sigaction(signal, action, old_action);
  u32 old_handler = failed == 0 ? memory.load_u32(old_action) : static_cast<u32>(-1);
  restore_guest_stack(stack);
  return old_handler;
}

// Buffering is the C library's own business; leaving it as it is keeps every promise but that of
// being unbuffered.
void calf_supply_setbuf(u32 file, u32 buffer) {}

u32 calf_supply_mprotect(u32 address, u32 size, u32 protection) {
  return fail_with_errno(GuestErrno::kNoSys);
}
u32 calf_supply_mlock(u32 address, u32 size) {
  return fail_with_errno(GuestErrno::kNoSys);
}

// Advice may be ignored.
u32 calf_supply_madvise(u32 address, u32 size, u32 advice) {
  return 0;
}

u32 calf_supply_tcgetattr(u32 descriptor, u32 attributes) {
  return fail_with_errno(GuestErrno::kNotTerminal);
}
u32 calf_supply_tcsetattr(u32 descriptor, u32 actions, u32 attributes) {
  return fail_with_errno(GuestErrno::kNotTerminal);
}

u32 calf_supply_getsockopt(u32 socket, u32 level, u32 name, u32 value, u32 size) {
  return fail_with_errno(GuestErrno::kNotSocket);
}
u32 calf_supply_setsockopt(u32 socket, u32 level, u32 name, u32 value, u32 size) {
  return fail_with_errno(GuestErrno::kNotSocket);
}
u32 calf_supply_getsockname(u32 socket, u32 address, u32 size) {
  return fail_with_errno(GuestErrno::kNotSocket);
}
u32 calf_supply_shutdown(u32 socket, u32 how) {
  return fail_with_errno(GuestErrno::kNotSocket);
}

u32 calf_supply_gethostbyname(u32 name) {
  return 0;
}

}  // extern "C"
