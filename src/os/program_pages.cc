#include "os/program_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace calf::os {

void release_program_pages() {
  // The first object is the program itself. What is never written to is as the file has it.
  const auto release = [](dl_phdr_info* program, std::size_t, void*) {
    const auto page = static_cast<std::uintptr_t>(::getpagesize());
    for (int i = 0; i < program->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = program->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
      const std::uintptr_t begin = (program->dlpi_addr + segment.p_vaddr + page - 1) & ~(page - 1);
      const std::uintptr_t end =
          (program->dlpi_addr + segment.p_vaddr + segment.p_memsz) & ~(page - 1);
      if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
    return 1;
  };
  ::dl_iterate_phdr(release, nullptr);
}

}  // namespace calf::os
