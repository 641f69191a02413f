#include "wasm/fiber.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <cerrno>
#include <utility>

#include "base/assert.h"

namespace calf::wasm {
namespace {
constexpr size_t kGuardBytes = 64 * 1024;      // larger than any frame of the guest
constexpr size_t kKeptWarmBytes = 128 * 1024;  // of a stack that waits for its next fiber
namespace context = boost::context::detail;
}  // namespace

Result<Stack> Stack::create() {
  void* got = mmap(nullptr, kReservedBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (got == MAP_FAILED) return fail(Error::from_errno("reserving a stack", errno));
  if (mprotect(got, kGuardBytes, PROT_NONE) != 0) {
    const int why = errno;
    munmap(got, kReservedBytes);
    return fail(Error::from_errno("guarding a stack", why));
  }
  return Stack(static_cast<std::byte*>(got));
}

Stack::Stack(Stack&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)) {}

Stack& Stack::operator=(Stack&& other) noexcept {
  std::swap(memory_, other.memory_);
  return *this;
}

Stack::~Stack() {
  if (memory_ != nullptr) munmap(memory_, kReservedBytes);
}

bool Stack::in_guard(const void* address) const {
  const auto* p = static_cast<const std::byte*>(address);
  return memory_ != nullptr && p >= memory_ && p < memory_ + kGuardBytes;
}

std::byte* Stack::bottom() const {
  return memory_ + kGuardBytes;
}

void Stack::trim() {
  madvise(bottom(), kReservedBytes - kGuardBytes - kKeptWarmBytes, MADV_DONTNEED);
}

Fiber::Fiber(Stack stack, Entry entry, void* argument)
    : stack_(std::move(stack)),
      entry_(entry),
      argument_(argument),
      sanitizer_(stack_.bottom(), static_cast<size_t>(stack_.top() - stack_.bottom())) {
  auto begin = [](context::transfer_t transfer) {
    auto* self = static_cast<Fiber*>(transfer.data);
    self->caller_context_ = transfer.fctx;
    self->sanitizer_.arrive();
    self->entry_(self->argument_);
    ASSERT(!"a fiber's function has returned");
  };
  own_context_ = context::make_fcontext(stack_.top(), Stack::kReservedBytes - kGuardBytes, begin);
}

void Fiber::resume() {
  sanitizer_.before_resume();
  own_context_ = context::jump_fcontext(own_context_, this).fctx;
  sanitizer_.after_resume();
}

void Fiber::suspend() {
  sanitizer_.before_suspend();
  caller_context_ = context::jump_fcontext(caller_context_, nullptr).fctx;
  sanitizer_.arrive();
}

void Fiber::leave() {
  sanitizer_.before_leaving_for_ever();
  context::jump_fcontext(caller_context_, nullptr);
  __builtin_unreachable();
}

}  // namespace calf::wasm
