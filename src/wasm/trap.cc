// Faults of guest code become traps: the guest ends as a crashed process does, and nothing else is
// touched.
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdio>
#include <cstring>
#include <mutex>

#include "base/log.h"
#include "wasm/guest.h"

namespace calf::wasm {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
struct sigaction previous_actions[NSIG];

const char* name_of(calf_trap_reason reason) {
  switch (reason) {
    case CALF_TRAP_UNREACHABLE:
      return "unreachable code";
    case CALF_TRAP_INTEGER_DIVISION_BY_ZERO:
      return "integer division by zero";
    case CALF_TRAP_INTEGER_OVERFLOW:
      return "integer overflow";
    case CALF_TRAP_INVALID_CONVERSION:
      return "invalid conversion to integer";
    case CALF_TRAP_INDIRECT_CALL:
      return "indirect call with a wrong type";
    case CALF_TRAP_OUT_OF_BOUNDS:
      return "memory access out of bounds";
    case CALF_TRAP_STACK_OVERFLOW:
      return "native stack overflow";
  }
  return "unknown trap";
}

// Runs on the guest's stack, from its top, after a fault: what was there is dead.
[[noreturn]] void land_after_fault() {
  calf_trap(CALF_TRAP_OUT_OF_BOUNDS);
}
[[noreturn]] void land_after_overflow() {
  calf_trap(CALF_TRAP_STACK_OVERFLOW);
}

void pass_on(int signal, siginfo_t* info, void* context) {
  const struct sigaction& previous = previous_actions[signal];
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr) {
    previous.sa_sigaction(signal, info, context);
    return;
  }
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
    return;
  }
  // Not ours: let the default action happen when the instruction runs again.
  struct sigaction default_action = {};
  default_action.sa_handler = SIG_DFL;
  sigaction(signal, &default_action, nullptr);
}

void on_fault(int signal, siginfo_t* info, void* context) {
  Guest* guest = Guest::running();
  const bool in_memory = guest != nullptr && guest->memory().contains(info->si_addr);
  const bool in_guard = guest != nullptr && guest->fiber().stack().in_guard(info->si_addr);
  if (!in_memory && !in_guard) {
    pass_on(signal, info, context);
    return;
  }
  if (in_memory && signal == SIGSEGV && guest->resolve_fault(info->si_addr)) return;
  // No guest code in a signal handler: continue at the landing, on the emptied stack of the same
  // guest.
  auto* machine = static_cast<ucontext_t*>(context);
  const auto top = reinterpret_cast<uintptr_t>(guest->fiber().stack().top()) - 4096;
#if defined(__x86_64__)
  machine->uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>((top & ~uintptr_t{15}) - 8);
  machine->uc_mcontext.gregs[REG_RIP] =
      reinterpret_cast<greg_t>(in_guard ? &land_after_overflow : &land_after_fault);
#elif defined(__aarch64__)
  machine->uc_mcontext.sp = top & ~uintptr_t{15};
  machine->uc_mcontext.pc =
      reinterpret_cast<uintptr_t>(in_guard ? &land_after_overflow : &land_after_fault);
#else
#error "the trap handler does not know this processor"
#endif
}

struct AlternateStack {
  static constexpr size_t kBytes = 64 * 1024;
  void* memory = nullptr;
  AlternateStack() {
    stack_t current = {};
    if (sigaltstack(nullptr, &current) == 0 && (current.ss_flags & SS_DISABLE) == 0)
      return;  // the runtime's own
    memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      memory = nullptr;
      return;
    }
    stack_t stack = {};
    stack.ss_sp = memory;
    stack.ss_size = kBytes;
    sigaltstack(&stack, nullptr);
  }
  ~AlternateStack() {
    if (memory == nullptr) return;
    stack_t current = {};
    if (sigaltstack(nullptr, &current) == 0 && current.ss_sp == memory) {
      stack_t none = {};
      none.ss_flags = SS_DISABLE;
      sigaltstack(&none, nullptr);
    }
    munmap(memory, kBytes);
  }
};

}  // namespace

void install_trap_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    for (int signal : kSignals) sigaction(signal, &action, &previous_actions[signal]);
  });
}

void prepare_thread() {
  thread_local AlternateStack stack;
}

}  // namespace calf::wasm

extern "C" void calf_trap(calf_trap_reason reason) {
  calf::log::error("server process (PID {}) has trapped: {}", CALF_STATE->pid,
                   calf::wasm::name_of(reason));
  constexpr int kSegmentationFault = 11;
  calf::wasm::Guest::current().exit({.signal = kSegmentationFault});
}
