// The functions that side modules import, that the image does not export, and that the host
// supplies. The list is guest/supplies.txt, which the translator reads: a missing import X becomes
// a call of calf_supply_X with the guest's ABI (i32 as u32; addresses are linear). None of them
// keeps anything in the host between calls. Cluster thread, called by guest code only; they may
// leave by a jump (see image_functions.h).
#pragma once

#include "wasm/abi/calf_abi.h"

// Every supplied function, for tables: CALF_SUPPLIES(X) expands X(name) for each.
// clang-format off
#define CALF_SUPPLIES(X)                                                                       \
  X(LocalToUtf) X(UtfToLocal) X(local2local) X(latin2mic) X(latin2mic_with_table) X(mic2latin) \
  X(mic2latin_with_table) X(report_invalid_encoding) X(report_untranslatable_char)             \
  X(pg_encoding_verifymbchar) X(pg_utf8_islegal) X(setTempRet0) X(getTempRet0) X(sleep)        \
  X(signal) X(setbuf) X(mprotect) X(mlock) X(madvise) X(tcgetattr) X(tcsetattr) X(getsockopt)  \
  X(setsockopt) X(getsockname) X(shutdown) X(gethostbyname) X(calf_command)
// clang-format on

extern "C" {

// PostgreSQL, src/backend/utils/mb/conv.c. Each answers how many bytes of the text it converted,
// and ends the output with a 0 byte. `no_error`: stop at the first character that cannot be
// converted instead of raising an SQL error. The output has room for four bytes for each byte of
// text, and one more.
u32 calf_supply_LocalToUtf(u32 text, u32 size, u32 out, u32 tree, u32 combined, u32 combined_count,
                           u32 function, u32 encoding, u32 no_error);
u32 calf_supply_UtfToLocal(u32 text, u32 size, u32 out, u32 tree, u32 combined, u32 combined_count,
                           u32 function, u32 encoding, u32 no_error);
u32 calf_supply_local2local(u32 text, u32 out, u32 size, u32 source_encoding,
                            u32 destination_encoding, u32 table, u32 no_error);
u32 calf_supply_latin2mic(u32 text, u32 out, u32 size, u32 charset, u32 encoding, u32 no_error);
u32 calf_supply_mic2latin(u32 text, u32 out, u32 size, u32 charset, u32 encoding, u32 no_error);
u32 calf_supply_latin2mic_with_table(u32 text, u32 out, u32 size, u32 charset, u32 encoding,
                                     u32 table, u32 no_error);
u32 calf_supply_mic2latin_with_table(u32 text, u32 out, u32 size, u32 charset, u32 encoding,
                                     u32 table, u32 no_error);

// PostgreSQL, src/backend/utils/mb/mbutils.c: raise 22021 and 22P05.
void calf_supply_report_invalid_encoding(u32 encoding, u32 text, u32 size);
void calf_supply_report_untranslatable_char(u32 source_encoding, u32 destination_encoding, u32 text,
                                            u32 size);

// PostgreSQL, src/common/wchar.c: the length of the first character or -1; whether it is legal
// UTF-8.
u32 calf_supply_pg_encoding_verifymbchar(u32 encoding, u32 text, u32 size);
u32 calf_supply_pg_utf8_islegal(u32 text, u32 size);

// Emscripten's runtime: the upper half of a 64-bit result.
void calf_supply_setTempRet0(u32 value);
u32 calf_supply_getTempRet0(void);

// The C library, as far as OpenSSL inside pgcrypto refers to it. The guest has no sockets, no
// terminals and no memory protection of its own, so those functions fail with ENOTSOCK, ENOTTY and
// ENOSYS (gethostbyname: not found).
u32 calf_supply_sleep(u32 seconds);
u32 calf_supply_signal(u32 signal, u32 handler);
void calf_supply_setbuf(u32 file, u32 buffer);
u32 calf_supply_mprotect(u32 address, u32 size, u32 protection);
u32 calf_supply_mlock(u32 address, u32 size);
u32 calf_supply_madvise(u32 address, u32 size, u32 advice);
u32 calf_supply_tcgetattr(u32 descriptor, u32 attributes);
u32 calf_supply_tcsetattr(u32 descriptor, u32 actions, u32 attributes);
u32 calf_supply_getsockopt(u32 socket, u32 level, u32 name, u32 value, u32 size);
u32 calf_supply_setsockopt(u32 socket, u32 level, u32 name, u32 value, u32 size);
u32 calf_supply_getsockname(u32 socket, u32 address, u32 size);
u32 calf_supply_shutdown(u32 socket, u32 how);
u32 calf_supply_gethostbyname(u32 name);

// The extension calf: a command for the program. Defined where the processes are
// (postgres/host_commands.cc).
u32 calf_supply_calf_command(u32 verb, u32 name, u32 argument, u32 answer, u32 answer_size);

}  // extern "C"
