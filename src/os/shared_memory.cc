#include "os/shared_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace calf::os {
namespace {

int mmap_protection(Protection protection) {
  switch (protection) {
    case Protection::kNone:
      return PROT_NONE;
    case Protection::kRead:
      return PROT_READ;
    case Protection::kReadWrite:
      return PROT_READ | PROT_WRITE;
  }
  return PROT_NONE;
}

}  // namespace

Expected<SharedMemory> SharedMemory::create(const char* name, uint64_t size_bytes) {
  int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) return fail(last_errno());
  SharedMemory memory(fd, 0);
  CALF_ERRNO_CHECK(memory.resize(size_bytes));
  return memory;
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    size_bytes_ = std::exchange(other.size_bytes_, 0);
  }
  return *this;
}

SharedMemory::~SharedMemory() {
  if (fd_ >= 0) ::close(fd_);
}

Expected<void> SharedMemory::resize(uint64_t size_bytes) {
  if (::ftruncate(fd_, static_cast<off_t>(size_bytes)) != 0) return fail(last_errno());
  size_bytes_ = size_bytes;
  return {};
}

Expected<std::byte*> SharedMemory::map(void* address, uint64_t offset, size_t length,
                                       Protection protection) const {
  int flags = MAP_SHARED | (address != nullptr ? MAP_FIXED : 0);
  void* mapped =
      mmap(address, length, mmap_protection(protection), flags, fd_, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return fail(last_errno());
  return static_cast<std::byte*>(mapped);
}

}  // namespace calf::os
