#include "wasm/supplies/guest_error.h"

#include <cstring>

#include "wasm/supplies/guest.h"
#include "wasm/supplies/image_functions.h"

namespace calf::supplies {
namespace {

constexpr u32 kErrorLevel = 21;  // ERROR in src/include/utils/elog.h

// MAKE_SQLSTATE: five characters of six bits each.
u32 pack_sqlstate(const char* sqlstate) {
  u32 packed = 0;
  for (u32 i = 0; i < 5; i++) packed |= (static_cast<u32>(sqlstate[i] - '0') & 0x3f) << (6 * i);
  return packed;
}

u32 push_string(LinearMemory memory, const char* text) {
  u32 size = static_cast<u32>(std::strlen(text)) + 1;
  u32 address = push_guest_stack(size);
  std::memcpy(memory.base + address, text, size);
  return address;
}

}  // namespace

void raise_error(const ConversionError& error) {
  LinearMemory memory = running_memory();
  u32 message = push_string(memory, error.message);
  u32 format = push_string(memory, "%s");
  u32 arguments = push_guest_stack(sizeof message);
  memory.store_u32(arguments, message);

  pg_errstart(kErrorLevel, 0);
  pg_errcode(pack_sqlstate(error.sqlstate));
  pg_errmsg(format, arguments);
  pg_errfinish(0, 0, 0);
  calf_trap(CALF_TRAP_UNREACHABLE);
}

}  // namespace calf::supplies
