// What every supply needs of the running guest process: its memory, its stack, its errno. Cluster
// thread, within a call from the guest.
#pragma once

#include <span>

#include "wasm/abi/calf_abi.h"
#include "wasm/supplies/linear_memory.h"

namespace calf::supplies {

// Errno values of the guest are WASI's.
enum class GuestErrno : u32 { kNoSys = 52, kNotSocket = 57, kNotTerminal = 59 };

// The running process's linear memory. Ask once a call; it does not change while the call lasts.
[[nodiscard]] inline LinearMemory running_memory() {
  return LinearMemory{CALF_STATE->base};
}

// `size` bytes of guest memory at `address`; a size that is negative as a signed number counts as
// 0, as in the guest's own loops. Address and size together stay within the reservation.
[[nodiscard]] std::span<const u8> guest_text(LinearMemory memory, u32 address, u32 size);

// Moves the guest's stack pointer down by at least `size` bytes, 16-byte aligned, and answers it.
// No guard object gives the room back, because errors jump over destructors: remember guest_stack()
// before and hand it to restore_guest_stack when the call returns normally.
[[nodiscard]] inline u32 guest_stack() {
  return CALF_STATE->globals[0];
}
inline void restore_guest_stack(u32 pointer) {
  CALF_STATE->globals[0] = pointer;
}
[[nodiscard]] u32 push_guest_stack(u32 size);

// Sets the guest's errno and answers -1, as a failing C function does.
u32 fail_with_errno(GuestErrno error);

}  // namespace calf::supplies
