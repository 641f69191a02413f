#include "wasm/supplies/fake_image.h"

#include <asm/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/assert.h"
#include "wasm/supplies/image_functions.h"

#if !CALF_MEMORY_GS
__thread u8* calf_memory_base;
#endif

namespace calf::supplies {

FakeLibc fake_libc;

namespace {

constexpr u32 kStateSize = 4096;

FakeGuest* running = nullptr;
std::jmp_buf error_handler;
RaisedError raised;
u32 temp_return = 0;

void set_memory_base(u8* base) {
#if CALF_MEMORY_GS
  ASSERT(syscall(SYS_arch_prctl, ARCH_SET_GS, base) == 0);
#else
  calf_memory_base = base;
#endif
}

u32 word_at(u32 address) {
  u32 word;
  std::memcpy(&word, running->base() + address, sizeof word);
  return word;
}

void set_word(u32 address, u32 word) {
  std::memcpy(running->base() + address, &word, sizeof word);
}

u32 convert_code(u32 code) {
  return code == 0x00e38182 ? 0 : code + 1;
}

}  // namespace

FakeGuest::FakeGuest() {
  mapping_ = mmap(nullptr, kStateSize + kMemorySize, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT(mapping_ != MAP_FAILED);
  base_ = static_cast<u8*>(mapping_) + kStateSize;
  auto* state = static_cast<calf_process_state*>(mapping_);
  state->base = base_;
  state->globals[0] = kStackTop;
  set_memory_base(base_);
  running = this;
  fake_libc = FakeLibc{};
}

FakeGuest::~FakeGuest() {
  set_memory_base(nullptr);
  munmap(mapping_, kStateSize + kMemorySize);
  running = nullptr;
}

u32 FakeGuest::stack_pointer() const {
  return static_cast<calf_process_state*>(mapping_)->globals[0];
}

u32 FakeGuest::guest_errno() const {
  return word_at(kErrnoAddress);
}

u32 FakeGuest::put(const std::string& bytes) {
  u32 address = next_;
  ASSERT(address + bytes.size() < kMemorySize);
  std::memcpy(base_ + address, bytes.data(), bytes.size());
  next_ = (address + static_cast<u32>(bytes.size()) + 16) & ~u32{15};
  return address;
}

std::string FakeGuest::get(u32 address, u32 size) const {
  return {reinterpret_cast<const char*>(base_) + address, size};
}

RaisedError FakeGuest::catch_error(const std::function<void()>& call) {
  raised = RaisedError{};
  if (setjmp(error_handler) == 0) call();
  return raised;
}

}  // namespace calf::supplies

using namespace calf::supplies;  // NOLINT: what follows are C functions

extern "C" {

const calf_table_entry calf_table[] = {
    {nullptr, 0}, {reinterpret_cast<void (*)()>(convert_code), 1}, {nullptr, 0}};
const u32 calf_table_size = 3;

void calf_trap(calf_trap_reason reason) {
  raised.sqlstate = "trap";
  raised.message = std::to_string(reason);
  std::longjmp(error_handler, 1);
}

u32 pg_errstart(u32 level, u32 domain) {
  raised.level = level;
  return 1;
}

u32 pg_errcode(u32 sqlstate) {
  for (int i = 0; i < 5; i++) {
    raised.sqlstate += static_cast<char>((sqlstate >> (6 * i) & 0x3f) + '0');
  }
  return 0;
}

u32 pg_errmsg(u32 format, u32 arguments) {
  ASSERT(arguments % 16 == 0);
  ASSERT(std::strcmp(reinterpret_cast<char*>(running->base() + format), "%s") == 0);
  raised.message = reinterpret_cast<char*>(running->base() + word_at(arguments));
  return 0;
}

void pg_errfinish(u32 file_name, u32 line, u32 function_name) {
  std::longjmp(error_handler, 1);
}

u32 pg___errno_location(void) {
  return FakeGuest::kErrnoAddress;
}

u32 pg_nanosleep(u32 request, u32 remaining) {
  std::memcpy(&fake_libc.slept_seconds, running->base() + request, sizeof(u64));
  if (fake_libc.seconds_left == 0) return 0;
  set_word(remaining, fake_libc.seconds_left);
  return static_cast<u32>(-1);
}

u32 pg_sigaction(u32 signal, u32 action, u32 old_action) {
  if (fake_libc.refuse_signal) return static_cast<u32>(-1);
  fake_libc.signal = signal;
  fake_libc.handler = word_at(action);
  fake_libc.flags = word_at(action + 132);
  set_word(old_action, fake_libc.old_handler);
  return 0;
}

void pg__emscripten_tempret_set(u32 value) {
  temp_return = value;
}
u32 pg__emscripten_tempret_get(void) {
  return temp_return;
}

}  // extern "C"
