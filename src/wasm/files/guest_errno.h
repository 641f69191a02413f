// Error numbers as the guest's C library has them: Emscripten's musl uses WASI's numbering, not
// Linux's.
#pragma once

#include "os/errno.h"

namespace calf::wasm {

// The guest's number for a Linux error, always positive. What WASI has no number for becomes EIO.
[[nodiscard]] int guest_errno(os::Errno error) noexcept;

// What a `__syscall_*` import returns on failure.
[[nodiscard]] inline int syscall_error(os::Errno error) noexcept {
  return -guest_errno(error);
}

}  // namespace calf::wasm
