// Anonymous memory with a descriptor (memfd): it can be mapped at several addresses at once and
// they all see the same bytes. Not for memory that one address space uses once (use plain mmap).
#pragma once

#include <cstddef>
#include <cstdint>

#include "os/errno.h"

namespace calf::os {

enum class Protection { kNone, kRead, kReadWrite };

// Owns the descriptor. Movable. One thread at a time.
class SharedMemory {
 public:
  // `name` shows up in /proc/PID/maps. `size_bytes` may be 0 (see resize); the bytes are zero.
  static Expected<SharedMemory> create(const char* name, uint64_t size_bytes);

  SharedMemory() = default;
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] uint64_t size_bytes() const { return size_bytes_; }

  // Grows with zeros or cuts off. Mappings past the new end fault (SIGBUS) when touched.
  Expected<void> resize(uint64_t size_bytes);

  // A shared mapping of [offset, offset + length) at an address of the kernel's choice (`address`
  // null) or exactly at `address`, replacing what is mapped there. All three page aligned (the
  // length is rounded up). The caller unmaps; the mapping stays valid after this object is gone.
  Expected<std::byte*> map(void* address, uint64_t offset, size_t length,
                           Protection protection) const;

 private:
  SharedMemory(int fd, uint64_t size_bytes) : fd_(fd), size_bytes_(size_bytes) {}

  int fd_ = -1;
  uint64_t size_bytes_ = 0;
};

}  // namespace calf::os
