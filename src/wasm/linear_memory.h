// The memory of one guest process: 8 GiB of reserved address space, of which the image's pages can
// be touched. Not for what is in it (that is the guest's), and not for who runs (postgres).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "os/mapping_budget.h"
#include "os/shared_memory.h"
#include "wasm/abi/calf_abi.h"

namespace calf::wasm {

inline constexpr uint32_t kWasmPageBytes = 65536;

// Of the processor. Linear memory begins at a multiple of it.
inline constexpr uint64_t kLargePageBytes = uint64_t{2} << 20;

class FrozenPages;

// A range of linear memory that several processes map together: PostgreSQL's shared memory, dynamic
// shared memory.
struct SharedRegion {
  uint32_t address = 0;  // linear address, page aligned
  uint32_t size_bytes = 0;
  int fd = -1;  // what is mapped, kept open by `owner`
  uint64_t offset = 0;
  std::shared_ptr<const void> owner;    // shared by every process that maps it
  std::shared_ptr<FrozenPages> frozen;  // what is not in the file yet; mostly null

  // Where a region at `address` should begin in its file, for large pages to be possible.
  static constexpr uint64_t preferred_offset(uint32_t address) { return address % kLargePageBytes; }

  // A region on a duplicate of `fd`, which the caller keeps.
  static Result<SharedRegion> adopt_fd(uint32_t address, uint32_t size_bytes, int fd,
                                       uint64_t offset);
};

// A private memory's content at one moment, from which other processes start (copy on write).
// Immutable, any thread.
class MemoryImage {
 public:
  struct Extent {
    uint32_t address = 0;
    uint32_t size_bytes = 0;
    uint64_t offset = 0;  // in the file
  };

  // `fd` is kept open by `owner`; the extents are page aligned in memory and in the file. With a
  // `base` they are only what differs from it.
  MemoryImage(int fd, std::shared_ptr<const void> owner, std::vector<Extent> extents,
              uint64_t pages, std::span<const uint32_t, CALF_GLOBAL_SLOTS> globals,
              std::shared_ptr<const MemoryImage> base = nullptr);

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const std::vector<Extent>& extents() const { return extents_; }
  [[nodiscard]] const MemoryImage* base() const { return base_.get(); }
  [[nodiscard]] uint64_t pages() const { return pages_; }
  [[nodiscard]] const uint32_t* globals() const { return globals_; }
  [[nodiscard]] uint64_t size_bytes() const;

 private:
  int fd_;
  std::shared_ptr<const void> owner_;
  std::vector<Extent> extents_;
  uint64_t pages_;
  uint32_t globals_[CALF_GLOBAL_SLOTS];
  std::shared_ptr<const MemoryImage> base_;  // shared: images of several moments have the same one
};

// Cluster thread. Unmaps everything when destroyed. What it maps is taken from the program's
// MappingBudget first: functions that map fail with kResourceExhausted.
class LinearMemory {
 public:
  // A fresh instance: zeroed pages, the image's initial globals; the caller puts the data segments
  // in.
  static Result<std::unique_ptr<LinearMemory>> create(uint64_t initial_pages,
                                                      const uint32_t* globals);
  // A copy-on-write copy of `image`, with `shared` mapped on top.
  static Result<std::unique_ptr<LinearMemory>> fork(const MemoryImage& image,
                                                    std::span<const SharedRegion> shared);

  LinearMemory(const LinearMemory&) = delete;
  LinearMemory& operator=(const LinearMemory&) = delete;
  ~LinearMemory();

  [[nodiscard]] uint8_t* base() const { return base_; }
  [[nodiscard]] calf_process_state& state() const {
    return *reinterpret_cast<calf_process_state*>(base_ - sizeof(calf_process_state));
  }
  [[nodiscard]] bool contains(const void* host_address) const;
  // May the guest touch [address, address + size)? For pointers that imports are given.
  [[nodiscard]] bool valid(uint64_t address, uint64_t size_bytes) const {
    return address + size_bytes <= state().pages * kWasmPageBytes || in_module(address, size_bytes);
  }

  // Makes [address, address + size) touchable. For the heap (grow) and for side modules' places.
  Result<void> commit(uint64_t address, uint64_t size_bytes);
  // memory.grow: the old number of pages, or 0xffffffff.
  uint32_t grow(uint32_t delta_pages, uint32_t maximum_pages);

  // Replaces the region's range by the shared mapping.
  Result<void> map_shared(const SharedRegion& region);
  // Maps a part of the region anew that is in its file now (FrozenPages). False on an error of the
  // system. May be called from a fault handler.
  bool remap_shared(const SharedRegion& region, uint64_t begin, uint64_t size_bytes) const;
  // A region has `runs` frozen runs less than when it was mapped, at most.
  void note_fewer_runs(size_t runs);
  // Back to private zeros.
  Result<void> unmap_shared(uint32_t address);
  // Zeros whole host pages; where that is possible by giving them back to the system.
  void clear_pages(uint8_t* begin, uint8_t* end);
  // From now on a large block that begins a WASM page becomes a shared region when it is cleared:
  // that is how the image's mmap() makes anonymous memory, and PostgreSQL its shared memory.
  // Later would be a copy of it.
  void share_large_blocks() { shares_large_blocks_ = true; }
  // Is there one that could not be shared? The log says why.
  [[nodiscard]] bool has_unshared_block() const { return has_unshared_block_; }
  [[nodiscard]] const std::vector<SharedRegion>& shared_regions() const { return shared_; }

  // Copies what is not zero outside the shared regions below `heap_end`, and the side modules'
  // places, into a new file.
  Result<std::shared_ptr<MemoryImage>> capture(uint32_t heap_end) const;
  // The same for a memory that was made by fork(*base, ...): only what has changed since is copied.
  Result<std::shared_ptr<MemoryImage>> capture_since(std::shared_ptr<const MemoryImage> base,
                                                     uint32_t heap_end) const;
  // The private pages that the process has written to, by number, ascending. Empty when the system
  // does not tell.
  [[nodiscard]] std::vector<uint32_t> written_pages() const;
  // As if the process wrote to these pages: cheaper than one by one, and before it needs them.
  // Nothing where the system cannot.
  void populate(std::span<const uint32_t> pages) const;
  // The page-aligned non-zero extents of [begin, end) that are private. For capture and snapshots.
  [[nodiscard]] std::vector<MemoryImage::Extent> nonzero_extents(uint64_t begin,
                                                                 uint64_t end) const;
  // Ranges above the heap that were committed (side modules), as {address, size}.
  [[nodiscard]] const std::vector<std::pair<uint64_t, uint64_t>>& module_ranges() const {
    return module_ranges_;
  }

 private:
  LinearMemory(uint8_t* reservation, uint8_t* base) : reservation_(reservation), base_(base) {}
  static Result<std::unique_ptr<LinearMemory>> reserve();
  [[nodiscard]] bool in_module(uint64_t address, uint64_t size_bytes) const;
  // Is a part of it mapped from an image's file?
  [[nodiscard]] bool is_of_image(uint64_t address, uint64_t size_bytes) const;
  [[nodiscard]] bool is_within_plain_region(uint64_t address, uint64_t size_bytes) const;
  Result<void> make_shared(uint32_t address, uint32_t size_bytes);
  Result<void> map_image(const MemoryImage& image);
  [[nodiscard]] size_t mappings_added_by(uint64_t begin, uint64_t size_bytes) const;
  Result<void> copy_extent(int fd, const MemoryImage::Extent& extent);
  // The parts of [begin, end) that no shared region covers, in order.
  [[nodiscard]] std::vector<std::pair<uint64_t, uint64_t>> private_ranges(uint64_t begin,
                                                                          uint64_t end) const;
  Result<std::shared_ptr<MemoryImage>> write_image(std::vector<MemoryImage::Extent> extents,
                                                   std::shared_ptr<const MemoryImage> base) const;

  uint8_t* reservation_;
  uint8_t* base_;
  os::MappingShare mappings_{os::MappingBudget::of_program()};
  std::vector<SharedRegion> shared_;
  bool shares_large_blocks_ = false;
  bool has_unshared_block_ = false;
  std::vector<std::pair<uint64_t, uint64_t>> module_ranges_;
  std::vector<std::pair<uint64_t, uint64_t>> image_ranges_;  // private mappings of an image's file
};

}  // namespace calf::wasm
