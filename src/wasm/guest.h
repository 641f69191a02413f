// One running guest: its linear memory, files and fiber, and what its imports ask the host for.
// Not for what kind of process it is (postgres/process), nor for the imports themselves
// (imports.cc).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "wasm/fiber.h"
#include "wasm/files/guest_files.h"
#include "wasm/linear_memory.h"

namespace calf::wasm {

// How a guest ended, as waitpid() reports it.
struct ExitStatus {
  int code = 0;    // exit code, when `signal` is 0
  int signal = 0;  // the signal that killed it: 6 abort, 11 a trap, 9 from outside
  [[nodiscard]] uint32_t wait_status() const {
    return signal != 0 ? static_cast<uint32_t>(signal) : static_cast<uint32_t>(code & 0xff) << 8;
  }
};

// Cluster thread. The methods that are called from imports run on the guest's own stack: they must
// not throw, and what ends the guest never returns to them.
class Guest {
 public:
  Guest(std::unique_ptr<LinearMemory> memory, std::unique_ptr<GuestFiles> files, Stack stack);
  virtual ~Guest() = default;
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  // The guest that runs on this thread now; only valid while one does.
  static Guest& current() { return *static_cast<Guest*>(CALF_STATE->host); }
  // The same for code that may run outside of a guest (signal handlers); null then.
  static Guest* running() noexcept;

  // Switches to the guest until it suspends or has ended.
  void resume();
  // From inside the guest: back to the cluster.
  void suspend() { fiber_.suspend(); }
  // Ends the guest from inside: no return, nothing is unwound.
  [[noreturn]] void exit(ExitStatus status);
  [[nodiscard]] const std::optional<ExitStatus>& exit_status() const { return exit_status_; }

  [[nodiscard]] LinearMemory& memory() { return *memory_; }
  [[nodiscard]] GuestFiles& files() { return *files_; }
  [[nodiscard]] Fiber& fiber() { return fiber_; }
  [[nodiscard]] uint8_t* base() const { return base_; }

  // --- Linear memory, typed. A wrong address faults and becomes a trap of this guest, like any
  // access of its own.
  template <typename T>
  [[nodiscard]] T load(uint32_t address) const {
    T value;
    __builtin_memcpy(&value, base_ + address, sizeof value);
    return value;
  }
  template <typename T>
  void store(uint32_t address, T value) {
    __builtin_memcpy(base_ + address, &value, sizeof value);
  }
  [[nodiscard]] const char* c_string(uint32_t address) const {
    return address == 0 ? nullptr : reinterpret_cast<const char*>(base_ + address);
  }
  // [address, address + size) of linear memory; size is clipped to the 4 GiB that addresses can
  // name.
  [[nodiscard]] std::span<std::byte> bytes(uint32_t address, uint64_t size_bytes) const {
    const uint64_t room = (uint64_t{1} << 32) - address;
    return {reinterpret_cast<std::byte*>(base_ + address),
            static_cast<size_t>(std::min(size_bytes, room))};
  }

  // --- What imports need from the kind of process (see imports.cc)
  // setitimer(ITIMER_REAL): after `delay_ms` (0: never) the guest is to run `_emscripten_timeout`.
  virtual void set_interval_timer(int which, double delay_ms) = 0;
  // nanosleep and friends: others may run meanwhile.
  virtual void sleep_ns(int64_t duration_ns) = 0;
  // fsync/fdatasync of a descriptor; 0 or a positive guest errno. Others may run meanwhile.
  virtual int sync_file(int fd, vfs::File::SyncKind kind) = 0;
  // accept4: a new descriptor, or a negative guest errno; fills `address` (a guest sockaddr) and
  // its length.
  virtual int accept_connection(int fd, std::span<std::byte> address, uint32_t& length) = 0;

  // A write to memory at `address` (of the host) has faulted. True when it can be tried again. In a
  // fault handler.
  virtual bool resolve_fault(const void* address) = 0;

  // The first function that runs on the fiber; it must end in exit().
  virtual void main() = 0;

 private:
  static void enter(void* self);

  std::unique_ptr<LinearMemory> memory_;
  std::unique_ptr<GuestFiles> files_;
  uint8_t* base_;
  Fiber fiber_;
  std::optional<ExitStatus> exit_status_;
};

// Installs the handler that turns faults of guest code into traps (SIGSEGV, SIGBUS, SIGFPE,
// SIGILL); other faults go to whatever handler was there before. Call it once per process; every
// thread that runs guests calls prepare_thread.
void install_trap_handler();
// Gives the calling thread the alternate signal stack that the trap handler needs.
void prepare_thread();

}  // namespace calf::wasm
