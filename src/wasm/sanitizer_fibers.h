// What the sanitizers must be told about fibers: which stack runs now. Without sanitizers all of
// this is empty. Not for switching itself (fiber.h).
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CALF_ADDRESS_SANITIZER 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#elif __has_feature(thread_sanitizer)
#define CALF_THREAD_SANITIZER 1
#include <sanitizer/tsan_interface.h>
#endif
#endif

namespace calf::wasm {

#if defined(CALF_ADDRESS_SANITIZER)

// One fiber's. Call each function on the stack that it names.
class SanitizerFiber {
 public:
  SanitizerFiber(const std::byte* stack, size_t size_bytes) : stack_(stack), size_(size_bytes) {
    // What the stack's last fiber has left on it.
    __asan_unpoison_memory_region(stack, size_bytes);
  }
  void before_resume() { __sanitizer_start_switch_fiber(&caller_fake_stack_, stack_, size_); }
  void after_resume() { __sanitizer_finish_switch_fiber(caller_fake_stack_, nullptr, nullptr); }
  // On the fiber: at its beginning, and when it goes on.
  void arrive() { __sanitizer_finish_switch_fiber(own_fake_stack_, &caller_stack_, &caller_size_); }
  void before_suspend() {
    __sanitizer_start_switch_fiber(&own_fake_stack_, caller_stack_, caller_size_);
  }
  void before_leaving_for_ever() {
    __sanitizer_start_switch_fiber(nullptr, caller_stack_, caller_size_);
  }

 private:
  const std::byte* stack_;
  size_t size_;
  void* own_fake_stack_ = nullptr;
  void* caller_fake_stack_ = nullptr;
  const void* caller_stack_ = nullptr;
  size_t caller_size_ = 0;
};

#elif defined(CALF_THREAD_SANITIZER)

// Whoever switches must not return before the stacks are switched, too: each function's end is
// counted on the fiber on which it is. So what switches is part of its caller.
#define CALF_IN_CALLER __attribute__((always_inline))

class SanitizerFiber {
 public:
  SanitizerFiber(const std::byte*, size_t) : own_(__tsan_create_fiber(0)) {}
  ~SanitizerFiber() { __tsan_destroy_fiber(own_); }
  SanitizerFiber(const SanitizerFiber&) = delete;
  SanitizerFiber& operator=(const SanitizerFiber&) = delete;
  CALF_IN_CALLER void before_resume() {
    caller_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(own_, 0);
  }
  void after_resume() {}
  void arrive() {}
  CALF_IN_CALLER void before_suspend() { __tsan_switch_to_fiber(caller_, 0); }
  CALF_IN_CALLER void before_leaving_for_ever() { __tsan_switch_to_fiber(caller_, 0); }

 private:
  void* own_;
  void* caller_ = nullptr;
};

#undef CALF_IN_CALLER

#else

class SanitizerFiber {
 public:
  SanitizerFiber(const std::byte*, size_t) {}
  void before_resume() {}
  void after_resume() {}
  void arrive() {}
  void before_suspend() {}
  void before_leaving_for_ever() {}
};

#endif

}  // namespace calf::wasm
