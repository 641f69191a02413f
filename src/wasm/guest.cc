#include "wasm/guest.h"

#include <asm/prctl.h>
#include <immintrin.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"

#if !CALF_MEMORY_GS
extern "C" __thread u8* calf_memory_base __attribute__((tls_model("initial-exec"))) = nullptr;
#endif

namespace calf::wasm {
namespace {

// The guest that runs on this thread, for the trap handler.
thread_local Guest* running_guest = nullptr;

#if CALF_MEMORY_GS
bool kernel_allows_wrgsbase() {
  constexpr unsigned long kHwcap2FsGsBase = 1u << 1;
  return (getauxval(AT_HWCAP2) & kHwcap2FsGsBase) != 0;
}

__attribute__((target("fsgsbase"))) void write_gs_base(void* base) {
  static const bool direct = kernel_allows_wrgsbase();
  if (direct) {
    _writegsbase_u64(reinterpret_cast<uint64_t>(base));
  } else {
    syscall(SYS_arch_prctl, ARCH_SET_GS, base);
  }
}
void select_memory(uint8_t* base) {
  write_gs_base(base);
}
bool memory_is_selected() {
  unsigned long base = 0;
  syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
  return base != 0;
}
#else
void select_memory(uint8_t* base) {
  calf_memory_base = base;
}
bool memory_is_selected() {
  return calf_memory_base != nullptr;
}
#endif

}  // namespace

Guest::Guest(std::unique_ptr<LinearMemory> memory, std::unique_ptr<GuestFiles> files, Stack stack)
    : memory_(std::move(memory)),
      files_(std::move(files)),
      base_(memory_->base()),
      fiber_(std::move(stack), &Guest::enter, this) {
  memory_->state().host = this;
}

// The register is asked first: in a shared library the first look at a thread-local variable may
// allocate memory, which a signal handler on a thread of the host must not.
Guest* Guest::running() noexcept {
  return memory_is_selected() ? running_guest : nullptr;
}

void Guest::enter(void* self) {
  static_cast<Guest*>(self)->main();
}

void Guest::resume() {
  ASSERT(!exit_status_);
  // Guests nest only at build time (a tool that runs another); the outer one's memory is selected
  // again afterwards.
  Guest* outer = running_guest;
  running_guest = this;
  select_memory(base_);
  fiber_.resume();
  running_guest = outer;
  select_memory(outer != nullptr ? outer->base_ : nullptr);
}

void Guest::exit(ExitStatus status) {
  exit_status_ = status;
  fiber_.suspend();
  __builtin_unreachable();
}

}  // namespace calf::wasm
