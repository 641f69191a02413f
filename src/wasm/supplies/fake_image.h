// A guest process for unit tests: linear memory of one MiB, a table of one function, and an image
// whose errors are caught instead of unwinding PostgreSQL. For tests of this folder only.
#pragma once

#include <csetjmp>
#include <functional>
#include <string>

#include "wasm/abi/calf_abi.h"

namespace calf::supplies {

// An error that a supply raised in the fake image.
struct RaisedError {
  u32 level = 0;
  std::string sqlstate;
  std::string message;
};

// One at a time, and on the thread that made it: it takes the thread's GS segment (or
// calf_memory_base).
class FakeGuest {
 public:
  static constexpr u32 kMemorySize = 1 << 20;
  static constexpr u32 kStackTop = 65536;
  static constexpr u32 kErrnoAddress = 32;

  FakeGuest();
  ~FakeGuest();
  FakeGuest(const FakeGuest&) = delete;
  FakeGuest& operator=(const FakeGuest&) = delete;

  [[nodiscard]] u8* base() const { return base_; }
  [[nodiscard]] u32 stack_pointer() const;
  [[nodiscard]] u32 guest_errno() const;

  // Copies bytes into linear memory and answers their address.
  u32 put(const std::string& bytes);
  [[nodiscard]] std::string get(u32 address, u32 size) const;

  // Calls `call`, catching what it raises. Empty sqlstate: nothing was raised.
  RaisedError catch_error(const std::function<void()>& call);

 private:
  void* mapping_ = nullptr;
  u8* base_ = nullptr;
  u32 next_ = kStackTop;
};

// What the fake C library was asked for, and what it answers.
struct FakeLibc {
  u64 slept_seconds = 0;
  u32 seconds_left = 0;  // not 0: nanosleep is interrupted
  u32 signal = 0;
  u32 handler = 0;
  u32 flags = 0;
  u32 old_handler = 0;
  bool refuse_signal = false;
};
extern FakeLibc fake_libc;

// The one function of the fake table: index 1, answers code + 1 unless the code is 0x00e38182.
inline constexpr u32 kFakeFunction = 1;

}  // namespace calf::supplies
