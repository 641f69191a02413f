#include "wasm/supplies/guest.h"

#include "wasm/supplies/image_functions.h"

namespace calf::supplies {

std::span<const u8> guest_text(LinearMemory memory, u32 address, u32 size) {
  bool is_negative = static_cast<s32>(size) < 0;
  return {memory.base + address, is_negative ? 0 : size};
}

u32 push_guest_stack(u32 size) {
  u32 pointer = (guest_stack() - size) & ~u32{15};
  restore_guest_stack(pointer);
  return pointer;
}

u32 fail_with_errno(GuestErrno error) {
  u32 location = pg___errno_location();
  running_memory().store_u32(location, static_cast<u32>(error));
  return static_cast<u32>(-1);
}

}  // namespace calf::supplies
