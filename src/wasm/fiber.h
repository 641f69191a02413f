// A native stack on which a guest process runs, and the switch between it and the cluster's own
// stack. Not for deciding who runs next (postgres/scheduler).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "base/result.h"
#include "wasm/sanitizer_fibers.h"

namespace calf::wasm {

// A stack: reserved address space with a guard page below. Kept for reuse by StackPool.
class Stack {
 public:
  static constexpr size_t kReservedBytes = 64u << 20;

  static Result<Stack> create();
  Stack() = default;
  Stack(Stack&& other) noexcept;
  Stack& operator=(Stack&& other) noexcept;
  ~Stack();

  [[nodiscard]] std::byte* bottom() const;  // above the guard
  [[nodiscard]] std::byte* top() const { return memory_ + kReservedBytes; }
  // Is this an address in the guard page, which is touched when the stack overflows?
  [[nodiscard]] bool in_guard(const void* address) const;
  // Gives the pages that a finished fiber used back to the system, but for the first few.
  void trim();

 private:
  explicit Stack(std::byte* memory) : memory_(memory) {}
  std::byte* memory_ = nullptr;
};

// Runs a function on a stack of its own. The function never returns: it ends by switching out for
// the last time. Cluster thread. No exception may leave the function, and destroying a fiber
// unwinds nothing.
class Fiber {
 public:
  using Entry = void (*)(void* argument);

  // `entry` starts at the first resume().
  Fiber(Stack stack, Entry entry, void* argument);
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From the cluster's stack: runs the fiber until it suspends.
  void resume();
  // From inside the fiber: back to the one that resumed it.
  void suspend();
  // The same for the last time.
  [[noreturn]] void leave();

  [[nodiscard]] const Stack& stack() const { return stack_; }
  // The stack, for reuse, when the fiber will not run again.
  Stack take_stack() { return std::move(stack_); }

 private:
  Stack stack_;
  Entry entry_;
  void* argument_;
  void* own_context_ = nullptr;     // where the fiber goes on
  void* caller_context_ = nullptr;  // where resume() was called
  SanitizerFiber sanitizer_;
};

}  // namespace calf::wasm
