// The functions of the image that the supplies call: exports of pglite.wasm, named pg_<export>,
// with their WASM signatures (i32 as u32). The generated code defines them; they are resolved when
// the program is linked. A call into the image may not return: an SQL error jumps over the caller's
// frame. So nothing that needs a destructor may be alive across a call, and the guest's stack
// pointer is whatever the jump restores.
#pragma once

#include "wasm/abi/calf_abi.h"

extern "C" {

// src/backend/utils/error/elog.c. errmsg takes a format and the address of its arguments on the
// guest's stack.
u32 pg_errstart(u32 level, u32 domain);
u32 pg_errcode(u32 sqlstate);
u32 pg_errmsg(u32 format, u32 arguments);
void pg_errfinish(u32 file_name, u32 line, u32 function_name);

// The C library in the image.
u32 pg___errno_location(void);
u32 pg_nanosleep(u32 request, u32 remaining);
u32 pg_sigaction(u32 signal, u32 action, u32 old_action);

// Emscripten's second half of a 64-bit result.
void pg__emscripten_tempret_set(u32 value);
u32 pg__emscripten_tempret_get(void);

}  // extern "C"
