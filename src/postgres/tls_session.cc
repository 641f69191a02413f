// What PostgreSQL's backends know of TLS, which ends in the server: the image is built without it.
// pg_hba.conf's hostssl and hostnossl, pg_stat_ssl.
#include <algorithm>
#include <cstring>

#include "calf_anchors.h"
#include "postgres/kernel.h"

using calf::postgres::ClientSocket;
using calf::postgres::Process;

extern "C" {
u32 pg__emscripten_stack_alloc(u32 size);
u32 pg_ShmemInitStruct(u32 name, u32 size_bytes, u32 found);
u32 pg_pstrdup(u32 text);
}

namespace {

// struct PgBackendSSLStatus (backend_status.h). There are no client certificates.
struct SslStatus {
  s32 bits;
  char version[64];
  char cipher[64];
  char client_dn[64];
  char client_serial[64];
  char issuer_dn[64];
};
static_assert(sizeof(SslStatus) == 324);

bool has_tls(Process& process) {
  return process.client() != nullptr && process.client()->is_tls();
}

SslStatus status_of(const ClientSocket& client) {
  const auto tls = client.tls();
  SslStatus status = {};
  status.bits = tls->bits;
  tls->version.copy(status.version, sizeof status.version - 1);
  tls->cipher.copy(status.cipher, sizeof status.cipher - 1);
  return status;
}

// Where `status` is in shared memory: each that was ever negotiated is there once, for backends
// come and go, and ciphers are few. 0 when there are too many.
u32 shared_status(Process& process, const SslStatus& status) {
  constexpr u32 kMost = 32;
  const u32 saved_stack = CALF_STATE->globals[0];
  const u32 found = pg__emscripten_stack_alloc(1);
  const u32 table =
      pg_ShmemInitStruct(process.push_text("Negotiated TLS"), kMost * sizeof(SslStatus), found);
  CALF_STATE->globals[0] = saved_stack;
  const std::span<std::byte> bytes = process.bytes(table, kMost * sizeof(SslStatus));
  if (process.load<u8>(found) == 0) std::fill(bytes.begin(), bytes.end(), std::byte{0});
  for (u32 i = 0; i < kMost; ++i) {
    std::byte* entry = bytes.data() + i * sizeof(SslStatus);
    SslStatus known;
    std::memcpy(&known, entry, sizeof known);
    const bool free = known.version[0] == '\0';
    if (free) std::memcpy(entry, &status, sizeof status);
    if (free || std::memcmp(&known, &status, sizeof status) == 0) {
      return table + i * static_cast<u32>(sizeof(SslStatus));
    }
  }
  return 0;
}

// The word of the line of pg_hba.conf that says what connections it is for; 0 for none. struct
// TokenizedAuthLine: fields 0, a List of Lists of AuthToken: string 0.
u32 connection_type(Process& process, u32 line) {
  constexpr u32 kElements = 12;  // struct List
  const u32 first_field = process.load<u32>(process.load<u32>(process.load<u32>(line) + kElements));
  return process.load<u32>(process.load<u32>(process.load<u32>(first_field + kElements)));
}

}  // namespace

extern "C" {

u32 pg_pq_init(u32 client_socket) {
  const u32 port = pg_pq_init_original(client_socket);
  Process& process = Process::current();
  if (has_tls(process)) process.store<u8>(port + PG_OFFSET_Port_ssl_in_use, 1);
  return port;
}

// Accepts hostssl without the word that this build has no SSL: everything it says of a good line is
// that. A bad one is looked at again, for the rest.
u32 pg_parse_hba_line(u32 line, u32 level) {
  constexpr u32 kDebug5 = 10;  // elog.h
  constexpr u32 kError = 16;   // TokenizedAuthLine.err_msg
  Process& process = Process::current();
  if (std::strcmp(process.c_string(connection_type(process, line)), "hostssl") != 0) {
    return pg_parse_hba_line_original(line, level);
  }
  const u32 rule = pg_parse_hba_line_original(line, kDebug5);
  if (rule == 0) return pg_parse_hba_line_original(line, level);
  process.store<u32>(line + kError, 0);
  return rule;
}

// Why pg_hba.conf lets a client not in ends in how it has come.
u32 pg_errmsg(u32 format, u32 arguments) {
  Process& process = Process::current();
  if (arguments != 0 && has_tls(process)) {
    for (const u32 at : {arguments + 8, arguments + 12}) {
      if (process.load<u32>(at) != PG_ADDRESS_no_encryption) continue;
      const u32 saved_stack = CALF_STATE->globals[0];
      process.store(at, pg_pstrdup(process.push_text("SSL encryption")));
      CALF_STATE->globals[0] = saved_stack;
    }
  }
  return pg_errmsg_original(format, arguments);
}

void pg_pgstat_bestart_final(void) {
  pg_pgstat_bestart_final_original();
  Process& process = Process::current();
  if (!has_tls(process)) return;
  const u32 status = shared_status(process, status_of(*process.client()));
  if (status == 0) return;
  const u32 entry = process.load<u32>(PG_ADDRESS_MyBEEntry);
  process.store(entry + PG_OFFSET_st_sslstatus, status);
  process.store<u8>(entry + PG_OFFSET_st_ssl, 1);
}

}  // extern "C"
