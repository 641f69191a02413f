#include "os/backing_file.h"

#include <fcntl.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace calf::os {
namespace {

struct Search {
  uintptr_t address = 0;
  std::string path;
  uint64_t offset = 0;
};

int look_at(dl_phdr_info* info, size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    const uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
    if (search.address < begin || search.address >= begin + segment.p_filesz) continue;
    const bool is_program = info->dlpi_name == nullptr || info->dlpi_name[0] == '\0';
    search.path = is_program ? "/proc/self/exe" : info->dlpi_name;
    search.offset = segment.p_offset + (search.address - begin);
    return 1;
  }
  return 0;
}

bool has_same_bytes(int fd, uint64_t offset, std::span<const std::byte> bytes) {
  std::byte there[4096];
  const size_t size = std::min(bytes.size(), sizeof there);
  return pread(fd, there, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size) &&
         std::memcmp(there, bytes.data(), size) == 0;
}

}  // namespace

std::optional<BackingFile> find_backing_file(std::span<const std::byte> bytes) {
  Search search{.address = reinterpret_cast<uintptr_t>(bytes.data())};
  if (dl_iterate_phdr(look_at, &search) == 0) return std::nullopt;
  const int fd = open(search.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::shared_ptr<const void> owner(nullptr, [fd](const void*) { close(fd); });
  if (!has_same_bytes(fd, search.offset, bytes)) return std::nullopt;
  return BackingFile{.fd = fd, .offset = search.offset, .owner = std::move(owner)};
}

}  // namespace calf::os
