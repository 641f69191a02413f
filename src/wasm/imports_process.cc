// The image's imports that are about the process: its end, clocks and timers, identity, sockets,
// host names.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>

#include "base/log.h"
#include "wasm/files/guest_errno.h"
#include "wasm/guest.h"

using calf::os::Errno;
using calf::wasm::Guest;
using calf::wasm::guest_errno;
using calf::wasm::syscall_error;

namespace {

constexpr u32 kGuestUser = 123;  // what the image's own geteuid() answers

// Guest socket addresses: sa_family is 16 bits at 0; AF_INET is 2 (port 2, address 4), AF_INET6 is
// 10 (port 2, address 8).
constexpr u16 kGuestAfUnix = 1;
constexpr u16 kGuestAfInet = 2;
constexpr u16 kGuestAfInet6 = 10;
constexpr u32 kGuestInetSize = 16;
constexpr u32 kGuestInet6Size = 28;

// netdb.h of the guest
constexpr int kEaiNoName = -2;
constexpr int kEaiFamily = -6;
constexpr int kEaiMemory = -10;
constexpr int kEaiOverflow = -12;

bool copy_out(Guest& g, u32 out, u32 size, std::string_view text) {
  if (out == 0 || size == 0) return true;
  if (text.size() + 1 > size || !g.memory().valid(out, size)) return false;
  std::memcpy(g.base() + out, text.data(), text.size());
  g.base()[out + text.size()] = '\0';
  return true;
}

u16 port_at(Guest& g, u32 address) {
  return ntohs(g.load<u16>(address + 2));
}

}  // namespace

extern "C" {

u32 pg_malloc(u32 size);  // the image's allocator

// --- The end

[[noreturn]] void calf_import_env_exit(u32 code) {
  Guest::current().exit({.code = static_cast<int>(code)});
}
[[noreturn]] void calf_import_wasi_proc_exit(u32 code) {
  Guest::current().exit({.code = static_cast<int>(code)});
}
[[noreturn]] void calf_import_env__abort_js(void) {
  constexpr int kAbort = 6;
  Guest::current().exit({.signal = kAbort});
}
[[noreturn]] void calf_import_env___assert_fail(u32 condition, u32 file, u32 line, u32) {
  Guest& g = Guest::current();
  calf::log::error("server process (PID {}): assertion failed in {}:{}: {}", CALF_STATE->pid,
                   g.c_string(file), line, g.c_string(condition));
  calf_import_env__abort_js();
}
void calf_import_env__emscripten_runtime_keepalive_clear(void) {}

// --- Clocks, timers, randomness

u32 calf_import_wasi_clock_time_get(u32 clock, u64, u32 out) {
  Guest& g = Guest::current();
  if (!g.memory().valid(out, 8)) return static_cast<u32>(guest_errno(Errno::kFault));
  uint64_t now_ns = 0;
  const int result = g.files().clock_time_get(static_cast<int>(clock), now_ns);
  if (result == 0) g.store(out, now_ns);
  return static_cast<u32>(result);
}
f64 calf_import_env_emscripten_date_now(void) {
  uint64_t now_ns = 0;
  Guest::current().files().clock_time_get(0, now_ns);
  return static_cast<f64>(now_ns) / 1e6;
}
f64 calf_import_env_emscripten_get_now(void) {
  uint64_t now_ns = 0;
  Guest::current().files().clock_time_get(1, now_ns);
  return static_cast<f64>(now_ns) / 1e6;
}
u32 calf_import_env__setitimer_js(u32 which, f64 delay_ms) {
  Guest::current().set_interval_timer(static_cast<int>(which), delay_ms);
  return 0;
}
u32 calf_import_wasi_random_get(u32 out, u32 size) {
  Guest& g = Guest::current();
  if (!g.memory().valid(out, size)) return static_cast<u32>(guest_errno(Errno::kFault));
  return static_cast<u32>(g.files().random_get(g.bytes(out, size)));
}

static u32 utc_fields(u64 seconds, u32 out) {
  Guest& g = Guest::current();
  if (!g.memory().valid(out, calf::wasm::kGuestTmSize))
    return static_cast<u32>(guest_errno(Errno::kFault));
  const std::span<std::byte, calf::wasm::kGuestTmSize> tm(
      reinterpret_cast<std::byte*>(g.base() + out), calf::wasm::kGuestTmSize);
  return calf::wasm::encode_tm(static_cast<s64>(seconds), tm) ? 0 : 1;
}
u32 calf_import_env__localtime_js(u64 seconds, u32 out) {
  return utc_fields(seconds, out);
}
u32 calf_import_env__gmtime_js(u64 seconds, u32 out) {
  return utc_fields(seconds, out);
}
void calf_import_env__tzset_js(u32 timezone, u32 daylight, u32 standard_name, u32 daylight_name) {
  Guest& g = Guest::current();
  auto at = [&](u32 address) { return reinterpret_cast<std::byte*>(g.base() + address); };
  calf::wasm::encode_utc_zone(std::span<std::byte, 4>(at(timezone), 4),
                              std::span<std::byte, 4>(at(daylight), 4),
                              std::span<std::byte, calf::wasm::kGuestTzNameSize>(
                                  at(standard_name), calf::wasm::kGuestTzNameSize),
                              std::span<std::byte, calf::wasm::kGuestTzNameSize>(
                                  at(daylight_name), calf::wasm::kGuestTzNameSize));
}

// --- Identity and signals

u32 calf_import_env___syscall_getuid32(void) {
  return kGuestUser;
}
u32 calf_import_env___syscall_geteuid32(void) {
  return kGuestUser;
}
u32 calf_import_env___syscall_getgid32(void) {
  return kGuestUser;
}
u32 calf_import_env___syscall_getegid32(void) {
  return kGuestUser;
}

void calf_import_env___call_sighandler(u32 handler, u32 signal) {
  if (handler >= calf_table_size || calf_table[handler].function == nullptr)
    calf_trap(CALF_TRAP_INDIRECT_CALL);
  reinterpret_cast<void (*)(u32)>(calf_table[handler].function)(signal);
}

// --- Sockets. Listening sockets are names only: connections come from the host (accept4). The
// guest cannot reach out.

u32 calf_import_env___syscall_socket(u32, u32, u32, u32, u32, u32) {
  constexpr int kReadWrite = 2;
  return static_cast<u32>(Guest::current().files().openat(-100, "/dev/null", kReadWrite, 0));
}
u32 calf_import_env___syscall_bind(u32, u32, u32, u32, u32, u32) {
  return 0;
}
u32 calf_import_env___syscall_listen(u32, u32, u32, u32, u32, u32) {
  return 0;
}
u32 calf_import_env___syscall_accept4(u32 fd, u32 address, u32 length_out, u32, u32, u32) {
  Guest& g = Guest::current();
  if (!g.memory().valid(length_out, 4)) return static_cast<u32>(syscall_error(Errno::kFault));
  u32 length = g.load<u32>(length_out);
  if (!g.memory().valid(address, length)) return static_cast<u32>(syscall_error(Errno::kFault));
  const int result = g.accept_connection(static_cast<int>(fd), g.bytes(address, length), length);
  if (result >= 0) g.store(length_out, length);
  return static_cast<u32>(result);
}
u32 calf_import_env___syscall_connect(u32, u32, u32, u32, u32, u32) {
  return static_cast<u32>(-guest_errno(static_cast<Errno>(ECONNREFUSED)));
}
u32 calf_import_env___syscall_recvfrom(u32, u32, u32, u32, u32, u32) {
  return static_cast<u32>(-guest_errno(static_cast<Errno>(ENOTCONN)));
}
u32 calf_import_env___syscall_sendto(u32, u32, u32, u32, u32, u32) {
  return static_cast<u32>(-guest_errno(static_cast<Errno>(ENOTCONN)));
}

// getnameinfo of addresses, never of names: nothing is looked up.
u32 calf_import_env_getnameinfo(u32 address, u32 length, u32 host, u32 host_size, u32 service,
                                u32 service_size, u32) {
  Guest& g = Guest::current();
  if (!g.memory().valid(address, length) || length < 2) return static_cast<u32>(kEaiFamily);
  char text[INET6_ADDRSTRLEN] = "[local]";
  const u16 family = g.load<u16>(address);
  char port[8] = "";
  if (family == kGuestAfInet && length >= kGuestInetSize) {
    inet_ntop(AF_INET, g.base() + address + 4, text, sizeof text);
    *std::to_chars(port, port + sizeof port - 1, port_at(g, address)).ptr = '\0';
  } else if (family == kGuestAfInet6 && length >= kGuestInet6Size) {
    inet_ntop(AF_INET6, g.base() + address + 8, text, sizeof text);
    *std::to_chars(port, port + sizeof port - 1, port_at(g, address)).ptr = '\0';
  } else if (family != kGuestAfUnix) {
    return static_cast<u32>(kEaiFamily);
  }
  const bool fits = copy_out(g, host, host_size, text) && copy_out(g, service, service_size, port);
  return fits ? 0 : static_cast<u32>(kEaiOverflow);
}

// getaddrinfo of numeric addresses and localhost. struct addrinfo: flags 0, family 4, socktype 8,
// protocol 12, addrlen 16, addr 20, canonname 24, next 28.
u32 calf_import_env_getaddrinfo(u32 node, u32 service, u32 hints, u32 out) {
  Guest& g = Guest::current();
  const char* name = g.c_string(node);
  const char* port_text = g.c_string(service);
  std::string_view host = name == nullptr ? "0.0.0.0" : name;
  if (host == "localhost") host = "127.0.0.1";
  u16 port = 0;
  if (port_text != nullptr) std::from_chars(port_text, port_text + std::strlen(port_text), port);
  const std::string host_text(host);
  u8 binary[16];
  const bool is_v4 = inet_pton(AF_INET, host_text.c_str(), binary) == 1;
  if (!is_v4 && inet_pton(AF_INET6, host_text.c_str(), binary) != 1)
    return static_cast<u32>(kEaiNoName);
  const u32 family_wanted = hints != 0 ? g.load<u32>(hints + 4) : 0;
  const u16 family = is_v4 ? kGuestAfInet : kGuestAfInet6;
  if (family_wanted != 0 && family_wanted != family) return static_cast<u32>(kEaiNoName);
  const u32 size = is_v4 ? kGuestInetSize : kGuestInet6Size;
  // One block each, as the image's freeaddrinfo expects.
  const u32 address = pg_malloc(size);
  const u32 info = pg_malloc(32);
  if (address == 0 || info == 0) return static_cast<u32>(kEaiMemory);
  std::memset(g.base() + address, 0, size);
  g.store<u16>(address, family);
  g.store<u16>(address + 2, htons(port));
  std::memcpy(g.base() + address + (is_v4 ? 4 : 8), binary, is_v4 ? 4 : 16);
  const u32 type = hints != 0 && g.load<u32>(hints + 8) != 0 ? g.load<u32>(hints + 8) : 1;
  const u32 fields[8] = {0, family, type, type == 2 ? 17u : 6u, size, address, 0, 0};
  std::memcpy(g.base() + info, fields, sizeof fields);
  g.store(out, info);
  return 0;
}

}  // extern "C"
