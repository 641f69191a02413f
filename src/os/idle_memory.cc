#include "os/idle_memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace calf::os {
namespace {

constexpr std::uintptr_t kPage = 4096;

// Writable segments are left alone: they hold what was written.
int forget_constant_pages(dl_phdr_info* info, std::size_t, void*) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
    const std::uintptr_t first = (begin + kPage - 1) & ~(kPage - 1);
    const std::uintptr_t last = (begin + segment.p_memsz) & ~(kPage - 1);
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void trim_idle_memory() {
  malloc_trim(0);
  dl_iterate_phdr(forget_constant_pages, nullptr);
}

}  // namespace calf::os
