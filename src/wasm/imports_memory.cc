// The image's imports that are about memory: growing the heap, bulk operations, mapped files.
#include <sys/mman.h>

#include <cstring>

#include "base/log.h"
#include "calf_anchors.h"
#include "wasm/files/guest_errno.h"
#include "wasm/guest.h"

using calf::wasm::Guest;

extern "C" {

u32 pg_emscripten_builtin_memalign(u32 alignment, u32 size);  // the image's allocator
void pg_free(u32 address);

u32 calf_memory_grow(u32 delta_pages) {
  return Guest::current().memory().grow(delta_pages, calf_image_maximum_pages);
}

void calf_memory_copy(u32 destination, u32 source, u32 size) {
  u8* base = CALF_STATE->base;
  std::memmove(base + destination, base + source, size);
}

void calf_memory_fill(u32 destination, u32 byte, u32 size) {
  constexpr u32 kGiveBackBytes =
      1 << 20;  // zeroing more than this is a fresh mapping: cheaper to let the kernel do it
  constexpr u32 kHostPage = 4096;
  u8* base = CALF_STATE->base;
  if (byte != 0 || size < kGiveBackBytes) {
    std::memset(base + destination, static_cast<int>(byte), size);
    return;
  }
  u8* begin = base + destination;
  u8* end = begin + size;
  u8* first_page = reinterpret_cast<u8*>((reinterpret_cast<uintptr_t>(begin) + kHostPage - 1) &
                                         ~uintptr_t{kHostPage - 1});
  u8* last_page =
      reinterpret_cast<u8*>(reinterpret_cast<uintptr_t>(end) & ~uintptr_t{kHostPage - 1});
  std::memset(begin, 0, static_cast<size_t>(first_page - begin));
  Guest::current().memory().clear_pages(first_page, last_page);
  std::memset(last_page, 0, static_cast<size_t>(end - last_page));
}

// The image's own functions of the C library (guest/hooks.txt).
u32 pg_memset(u32 destination, u32 byte, u32 size) {
  calf_memory_fill(destination, byte & 0xff, size);
  return destination;
}
u32 pg_memcpy(u32 destination, u32 source, u32 size) {
  u8* base = CALF_STATE->base;
  std::memcpy(base + destination, base + source, size);
  return destination;
}
u32 pg_memmove(u32 destination, u32 source, u32 size) {
  u8* base = CALF_STATE->base;
  std::memmove(base + destination, base + source, size);
  return destination;
}
u32 pg_memcmp(u32 left, u32 right, u32 size) {
  u8* base = CALF_STATE->base;
  return static_cast<u32>(std::memcmp(base + left, base + right, size));
}

u32 calf_import_env_emscripten_get_heap_max() {
  return calf_image_maximum_pages * calf::wasm::kWasmPageBytes;
}

u32 calf_import_env_emscripten_resize_heap(u32 requested_bytes) {
  constexpr u64 kStepBytes = 16 << 20;  // ask the kernel seldom
  calf::wasm::LinearMemory& memory = Guest::current().memory();
  const u64 pages = memory.state().pages;
  const u64 wanted =
      (u64{requested_bytes} + calf::wasm::kWasmPageBytes - 1) / calf::wasm::kWasmPageBytes;
  if (wanted <= pages) return 1;
  const u64 generous =
      std::min<u64>(wanted + kStepBytes / calf::wasm::kWasmPageBytes, calf_image_maximum_pages);
  const u64 target = std::max(wanted, generous);
  return memory.grow(static_cast<u32>(target - pages), calf_image_maximum_pages) != 0xffffffffu ? 1
                                                                                                : 0;
}

// Maps a file: MAP_SHARED for writing really shares its pages; what is only read is a copy. The
// address comes from the guest's allocator, whose block is put back to private memory by _munmap_js
// before the guest frees it.
u32 calf_import_env__mmap_js(u32 length, u32 protection, u32 flags, u32 fd, u64 offset,
                             u32 allocated_out, u32 address_out) {
  constexpr u32 kMapShared = 1;
  constexpr u32 kProtWrite = 2;
  Guest& g = Guest::current();
  const u32 rounded = (length + calf::wasm::kWasmPageBytes - 1) & ~(calf::wasm::kWasmPageBytes - 1);
  calf::vfs::File* source = g.files().file(static_cast<int>(fd));
  if (source == nullptr)
    return static_cast<u32>(calf::wasm::syscall_error(calf::os::Errno::kBadFd));
  const u32 address = pg_emscripten_builtin_memalign(calf::wasm::kWasmPageBytes, rounded);
  if (address == 0) return static_cast<u32>(calf::wasm::syscall_error(calf::os::Errno::kNoMemory));
  if ((flags & kMapShared) != 0 && (protection & kProtWrite) != 0) {
    auto mapping = source->map_shared(offset, length);
    if (!mapping) {
      pg_free(address);
      return static_cast<u32>(calf::wasm::syscall_error(mapping.error()));
    }
    auto region = calf::wasm::SharedRegion::adopt_fd(address, length, mapping->fd, mapping->offset);
    if (!region || !g.memory().map_shared(*region)) {
      pg_free(address);
      return static_cast<u32>(calf::wasm::syscall_error(calf::os::Errno::kNoMemory));
    }
  } else if (auto read = source->pread(g.bytes(address, length), offset); !read) {
    pg_free(address);
    return static_cast<u32>(calf::wasm::syscall_error(read.error()));
  }
  g.store<u32>(allocated_out, 1);
  g.store(address_out, address);
  return 0;
}

u32 calf_import_env__munmap_js(u32 address, u32, u32, u32, u32, u64) {
  if (!Guest::current().memory().unmap_shared(address)) {
    return static_cast<u32>(calf::wasm::syscall_error(calf::os::Errno::kNoMemory));
  }
  return 0;
}

}  // extern "C"
