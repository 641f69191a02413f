#include "wasm/linear_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/log.h"
#include "os/shared_memory.h"
#include "wasm/frozen_pages.h"

namespace calf::wasm {
namespace {

constexpr uint64_t kHostPage = 4096;
// A 32-bit address plus a 32-bit offset stays below 8 GiB; the rest is for accesses that begin at
// the very end.
constexpr uint64_t kReservedBytes = (uint64_t{8} << 30) + kWasmPageBytes;
constexpr uint64_t kBelowBytes =
    kWasmPageBytes;  // room for the process's state, with a guard in front of it
// The base is aligned, wherever the system puts the reservation.
constexpr uint64_t kTotalBytes = kBelowBytes + kReservedBytes + kLargePageBytes;
// Above this the image never grows: side modules have their places there.
constexpr uint64_t kModuleFloor = uint64_t{2} << 30;
// Two extents that are nearer than this become one: a mapping costs more than zero pages in a file.
constexpr uint64_t kMergeGapBytes = 128 * 1024;
// What differs from an image's base is copied if it is no more than this and mappings are scarce.
constexpr uint64_t kMostCopiedBytes = 512 * 1024;
// The state and the guard below it, the heap, what is beyond it; and the process's stack with its
// guard.
constexpr size_t kOwnMappings = 6;
// A mapping in the middle of another one, which becomes two.
constexpr size_t kInnerMappings = 2;

uint64_t round_up(uint64_t n, uint64_t unit) {
  return (n + unit - 1) / unit * unit;
}

bool is_zero_page(const uint8_t* page) {
  const auto* words = reinterpret_cast<const uint64_t*>(page);
  uint64_t any = 0;
  for (size_t i = 0; i < kHostPage / 8; i += 8) {
    any |= words[i] | words[i + 1] | words[i + 2] | words[i + 3] | words[i + 4] | words[i + 5] |
           words[i + 6] | words[i + 7];
    if (any != 0) return false;
  }
  return true;
}

Result<void> map_anonymous(uint8_t* at, uint64_t size_bytes) {
  void* got = mmap(at, size_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) return fail(Error::from_errno("mapping guest memory", errno));
  return {};
}

Result<void> write_all(int fd, const uint8_t* bytes, uint64_t size_bytes, uint64_t offset) {
  while (size_bytes > 0) {
    const ssize_t n = pwrite(fd, bytes, size_bytes, static_cast<off_t>(offset));
    if (n < 0) return fail(Error::from_errno("writing a memory image", errno));
    bytes += n;
    offset += static_cast<uint64_t>(n);
    size_bytes -= static_cast<uint64_t>(n);
  }
  return {};
}

}  // namespace

Result<SharedRegion> SharedRegion::adopt_fd(uint32_t address, uint32_t size_bytes, int fd,
                                            uint64_t offset) {
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return fail(Error::from_errno("keeping a mapped file open", errno));
  std::shared_ptr<const void> owner(nullptr, [own](const void*) { close(own); });
  return SharedRegion{
      .address = address, .size_bytes = size_bytes, .fd = own, .offset = offset, .owner = owner};
}

MemoryImage::MemoryImage(int fd, std::shared_ptr<const void> owner, std::vector<Extent> extents,
                         uint64_t pages, std::span<const uint32_t, CALF_GLOBAL_SLOTS> globals,
                         std::shared_ptr<const MemoryImage> base)
    : fd_(fd),
      owner_(std::move(owner)),
      extents_(std::move(extents)),
      pages_(pages),
      base_(std::move(base)) {
  std::copy(globals.begin(), globals.end(), globals_);
}

uint64_t MemoryImage::size_bytes() const {
  uint64_t total = 0;
  for (const Extent& e : extents_) total += e.size_bytes;
  return total;
}

Result<std::unique_ptr<LinearMemory>> LinearMemory::reserve() {
  void* got =
      mmap(nullptr, kTotalBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) {
    return fail(Error::from_errno("reserving 8 GiB of address space for a process", errno));
  }
  auto* reservation = static_cast<uint8_t*>(got);
  const uint64_t base =
      round_up(reinterpret_cast<uintptr_t>(reservation) + kBelowBytes, kLargePageBytes);
  auto memory = std::unique_ptr<LinearMemory>(
      new LinearMemory(reservation, reinterpret_cast<uint8_t*>(base)));
  CALF_CHECK_OK(memory->mappings_.take(kOwnMappings));
  if (mprotect(memory->base_ - sizeof(calf_process_state), sizeof(calf_process_state),
               PROT_READ | PROT_WRITE) != 0) {
    return fail(Error::from_errno("mapping a process's state", errno));
  }
  memory->state().base = memory->base_;
  return memory;
}

Result<std::unique_ptr<LinearMemory>> LinearMemory::create(uint64_t initial_pages,
                                                           const uint32_t* globals) {
  CALF_TRY(auto memory, reserve());
  CALF_CHECK_OK(map_anonymous(memory->base_, initial_pages * kWasmPageBytes));
  memory->state().pages = initial_pages;
  std::copy(globals, globals + CALF_GLOBAL_SLOTS, memory->state().globals);
  return memory;
}

Result<std::unique_ptr<LinearMemory>> LinearMemory::fork(const MemoryImage& image,
                                                         std::span<const SharedRegion> shared) {
  CALF_TRY(auto memory, create(image.pages(), image.globals()));
  CALF_CHECK_OK(memory->map_image(image));
  for (const SharedRegion& region : shared) CALF_CHECK_OK(memory->map_shared(region));
  return memory;
}

Result<void> LinearMemory::map_image(const MemoryImage& image) {
  if (image.base() != nullptr) CALF_CHECK_OK(map_image(*image.base()));
  // Mapped pages are copied when they are written to: most are not.
  const bool is_copied = image.base() != nullptr && image.size_bytes() <= kMostCopiedBytes &&
                         os::MappingBudget::of_program().is_filling();
  for (const MemoryImage::Extent& e : image.extents()) {
    if (is_copied && e.address < kModuleFloor) {
      CALF_CHECK_OK(copy_extent(image.fd(), e));
      continue;
    }
    CALF_CHECK_OK(mappings_.take(mappings_added_by(e.address, e.size_bytes)));
    if (e.address >= kModuleFloor) module_ranges_.emplace_back(e.address, e.size_bytes);
    void* got =
        mmap(base_ + e.address, e.size_bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, image.fd(), static_cast<off_t>(e.offset));
    if (got == MAP_FAILED) return fail(Error::from_errno("mapping the fork image", errno));
    image_ranges_.emplace_back(e.address, e.size_bytes);
  }
  return {};
}

// What lies side by side with an extent of an image needs no piece in between.
size_t LinearMemory::mappings_added_by(uint64_t begin, uint64_t size_bytes) const {
  const auto& ranges = image_ranges_;
  const bool is_first =
      begin == 0 || std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
        return range.first + range.second == begin;
      });
  const bool has_next = std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
    return range.first == begin + round_up(size_bytes, kHostPage);
  });
  return kInnerMappings - (is_first ? 1 : 0) - (has_next ? 1 : 0);
}

Result<void> LinearMemory::copy_extent(int fd, const MemoryImage::Extent& extent) {
  const ssize_t n =
      pread(fd, base_ + extent.address, extent.size_bytes, static_cast<off_t>(extent.offset));
  if (n != static_cast<ssize_t>(extent.size_bytes))
    return fail(Error::from_errno("copying the fork image", n < 0 ? errno : EIO));
  return {};
}

LinearMemory::~LinearMemory() {
  munmap(reservation_, kTotalBytes);
}

bool LinearMemory::contains(const void* host_address) const {
  const auto* p = static_cast<const uint8_t*>(host_address);
  return p >= reservation_ && p < reservation_ + kTotalBytes;
}

bool LinearMemory::in_module(uint64_t address, uint64_t size_bytes) const {
  return std::any_of(module_ranges_.begin(), module_ranges_.end(), [&](const auto& range) {
    return address >= range.first && address + size_bytes <= range.first + range.second;
  });
}

Result<void> LinearMemory::commit(uint64_t address, uint64_t size_bytes) {
  const uint64_t begin = address / kHostPage * kHostPage;
  const uint64_t end = round_up(address + size_bytes, kHostPage);
  if (end > kReservedBytes)
    return fail(ErrorCode::kInvalidArgument, "guest range outside linear memory");
  if (begin >= kModuleFloor) CALF_CHECK_OK(mappings_.take(kInnerMappings));
  if (mprotect(base_ + begin, end - begin, PROT_READ | PROT_WRITE) != 0) {
    return fail(Error::from_errno("growing guest memory", errno));
  }
  if (begin >= kModuleFloor) module_ranges_.emplace_back(begin, end - begin);
  return {};
}

uint32_t LinearMemory::grow(uint32_t delta_pages, uint32_t maximum_pages) {
  const uint64_t old_pages = state().pages;
  if (old_pages + delta_pages > maximum_pages) return 0xffffffffu;
  if (!map_anonymous(base_ + old_pages * kWasmPageBytes, uint64_t{delta_pages} * kWasmPageBytes))
    return 0xffffffffu;
  state().pages = old_pages + delta_pages;
  return static_cast<uint32_t>(old_pages);
}

Result<void> LinearMemory::map_shared(const SharedRegion& region) {
  ASSERT(region.address % kHostPage == 0);
  if (region.frozen == nullptr) {
    CALF_CHECK_OK(mappings_.take(kInnerMappings));
  } else {
    CALF_CHECK_OK(mappings_.take(mappings_added_by(region.address, region.size_bytes) +
                                 kInnerMappings * region.frozen->most_runs()));
  }
  void* got = mmap(base_ + region.address, region.size_bytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_FIXED, region.fd, static_cast<off_t>(region.offset));
  if (got == MAP_FAILED) return fail(Error::from_errno("mapping shared memory", errno));
  if (region.frozen != nullptr) CALF_CHECK_OK(region.frozen->map(base_ + region.address));
  shared_.push_back(region);
  return {};
}

bool LinearMemory::remap_shared(const SharedRegion& region, uint64_t begin,
                                uint64_t size_bytes) const {
  return mmap(base_ + region.address + begin, size_bytes, PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_FIXED, region.fd,
              static_cast<off_t>(region.offset + begin)) != MAP_FAILED;
}

void LinearMemory::note_fewer_runs(size_t runs) {
  mappings_.give_back(kInnerMappings * runs);
}

Result<void> LinearMemory::unmap_shared(uint32_t address) {
  auto it = std::find_if(shared_.begin(), shared_.end(),
                         [&](const SharedRegion& r) { return r.address == address; });
  if (it == shared_.end()) return {};
  const uint64_t size_bytes = round_up(it->size_bytes, kHostPage);
  if (it->frozen == nullptr) mappings_.give_back(kInnerMappings);
  shared_.erase(it);
  return map_anonymous(base_ + address, size_bytes);
}

void LinearMemory::clear_pages(uint8_t* begin, uint8_t* end) {
  auto overlaps = [&](uint64_t address, uint64_t size_bytes) {
    return base_ + address < end && base_ + address + size_bytes > begin;
  };
  const bool is_shared = std::any_of(shared_.begin(), shared_.end(), [&](const SharedRegion& r) {
    return overlaps(r.address, r.size_bytes);
  });
  const auto size_bytes = static_cast<size_t>(end - begin);
  const uint64_t address = static_cast<uint64_t>(begin - base_);
  if (!is_shared && shares_large_blocks_ && address % kWasmPageBytes == 0) {
    auto shared = make_shared(static_cast<uint32_t>(address), static_cast<uint32_t>(size_bytes));
    if (shared) return;
    has_unshared_block_ = true;
    log::error("{}", shared.error().to_string());
  }
  // Pages of a private mapping that are given back would come back with the file's bytes.
  const bool is_plain = is_shared && is_within_plain_region(address, size_bytes);
  const bool can_give_back = is_plain || (!is_shared && !is_of_image(address, size_bytes));
  const int advice = is_plain ? MADV_REMOVE : MADV_DONTNEED;
  if (!can_give_back || madvise(begin, size_bytes, advice) != 0) std::memset(begin, 0, size_bytes);
}

bool LinearMemory::is_of_image(uint64_t address, uint64_t size_bytes) const {
  return std::any_of(image_ranges_.begin(), image_ranges_.end(), [&](const auto& range) {
    return range.first < address + size_bytes && range.first + range.second > address;
  });
}

// Does [address, address + size_bytes) lie in one shared region, all of which is in its file?
bool LinearMemory::is_within_plain_region(uint64_t address, uint64_t size_bytes) const {
  return std::any_of(shared_.begin(), shared_.end(), [&](const SharedRegion& r) {
    return r.frozen == nullptr && address >= r.address &&
           address + size_bytes <= r.address + round_up(r.size_bytes, kHostPage);
  });
}

Result<void> LinearMemory::make_shared(uint32_t address, uint32_t size_bytes) {
  const uint64_t offset = SharedRegion::preferred_offset(address);
  auto created = os::SharedMemory::create("calf-shared-memory", offset + size_bytes);
  if (!created) return fail(os::to_error("creating shared memory", created.error()));
  CALF_TRY(SharedRegion region, SharedRegion::adopt_fd(address, size_bytes, created->fd(), offset));
  return map_shared(region);
}

namespace {

// Which pages of [base, base + size) have ever been touched (/proc/self/pagemap): reading an
// untouched one would make the kernel map a page for it. Without the file, every page counts as
// touched.
class TouchedPages {
 public:
  TouchedPages(const uint8_t* base, uint64_t size_bytes) {
    const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    entries_.resize((size_bytes + kHostPage - 1) / kHostPage);
    const size_t wanted = entries_.size() * sizeof(uint64_t);
    const auto offset =
        static_cast<off_t>(reinterpret_cast<uintptr_t>(base) / kHostPage * sizeof(uint64_t));
    if (pread(fd, entries_.data(), wanted, offset) != static_cast<ssize_t>(wanted))
      entries_.clear();
    close(fd);
  }
  [[nodiscard]] bool touched(uint64_t page) const {
    constexpr uint64_t kPresentOrSwapped = uint64_t{3} << 62;
    return page >= entries_.size() || (entries_[page] & kPresentOrSwapped) != 0;
  }
  // Is it a page of the process's own, not a file's?
  [[nodiscard]] bool anonymous(uint64_t page) const {
    constexpr uint64_t kFileOrShared = uint64_t{1} << 61;
    return touched(page) && (page >= entries_.size() || (entries_[page] & kFileOrShared) == 0);
  }
  [[nodiscard]] bool known() const { return !entries_.empty(); }

 private:
  std::vector<uint64_t> entries_;
};

// The pages of [begin, end) that are `wanted`, and gaps between them up to `merge_gap_bytes`. The
// range has no shared region in it.
template <typename Wanted>
void append_extents(std::vector<MemoryImage::Extent>& extents, uint64_t begin, uint64_t end,
                    uint64_t merge_gap_bytes, Wanted wanted) {
  const size_t first = extents.size();
  for (uint64_t at = begin; at < end; at += kHostPage) {
    if (!wanted(at)) continue;
    if (extents.size() > first &&
        at - (extents.back().address + extents.back().size_bytes) <= merge_gap_bytes) {
      extents.back().size_bytes = static_cast<uint32_t>(at + kHostPage - extents.back().address);
    } else {
      extents.push_back({.address = static_cast<uint32_t>(at), .size_bytes = kHostPage});
    }
  }
}

}  // namespace

std::vector<std::pair<uint64_t, uint64_t>> LinearMemory::private_ranges(uint64_t begin,
                                                                        uint64_t end) const {
  std::vector<SharedRegion> regions = shared_;
  std::sort(regions.begin(), regions.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const SharedRegion& region : regions) {
    if (region.address > begin) ranges.emplace_back(begin, std::min<uint64_t>(region.address, end));
    begin = std::max(begin, region.address + round_up(region.size_bytes, kHostPage));
    if (begin >= end) return ranges;
  }
  ranges.emplace_back(begin, end);
  return ranges;
}

std::vector<MemoryImage::Extent> LinearMemory::nonzero_extents(uint64_t begin, uint64_t end) const {
  std::vector<MemoryImage::Extent> extents;
  for (const auto& [from, to] : private_ranges(begin, end)) {
    const TouchedPages pages(base_ + from, to - from);
    append_extents(extents, from, to, kMergeGapBytes, [&, first = from](uint64_t at) {
      // A page of an image need not be in memory to have content.
      const bool has_content =
          pages.touched((at - first) / kHostPage) || is_of_image(at, kHostPage);
      return has_content && !is_zero_page(base_ + at);
    });
  }
  return extents;
}

std::vector<uint32_t> LinearMemory::written_pages() const {
  const uint64_t end = state().pages * kWasmPageBytes;
  const TouchedPages pages(base_, end);
  std::vector<uint32_t> written;
  if (!pages.known()) return written;
  for (uint32_t page = 0; page < end / kHostPage; ++page)
    if (pages.anonymous(page)) written.push_back(page);
  return written;
}

void LinearMemory::populate(std::span<const uint32_t> pages) const {
  for (size_t i = 0; i < pages.size();) {
    size_t end = i + 1;
    while (end < pages.size() && pages[end] == pages[end - 1] + 1) ++end;
    madvise(base_ + uint64_t{pages[i]} * kHostPage, (end - i) * kHostPage, MADV_POPULATE_WRITE);
    i = end;
  }
}

Result<std::shared_ptr<MemoryImage>> LinearMemory::write_image(
    std::vector<MemoryImage::Extent> extents, std::shared_ptr<const MemoryImage> base) const {
  for (const auto& [address, size_bytes] : module_ranges_) {
    // Whole: a page that is zero now must still be touchable in the copy.
    extents.push_back({.address = static_cast<uint32_t>(address),
                       .size_bytes = static_cast<uint32_t>(size_bytes)});
  }
  auto created = os::SharedMemory::create("calf-fork-image", 0);
  if (!created)
    return fail(Error::from_errno("creating a fork image", static_cast<int>(created.error())));
  auto file = std::make_shared<os::SharedMemory>(std::move(*created));
  uint64_t offset = 0;
  for (MemoryImage::Extent& e : extents) {
    e.offset = offset;
    CALF_CHECK_OK(write_all(file->fd(), base_ + e.address, e.size_bytes, offset));
    offset += e.size_bytes;
  }
  return std::make_shared<MemoryImage>(
      file->fd(), file, std::move(extents), state().pages,
      std::span<const uint32_t, CALF_GLOBAL_SLOTS>(state().globals), std::move(base));
}

Result<std::shared_ptr<MemoryImage>> LinearMemory::capture(uint32_t heap_end) const {
  return write_image(nonzero_extents(0, round_up(heap_end, kHostPage)), nullptr);
}

Result<std::shared_ptr<MemoryImage>> LinearMemory::capture_since(
    std::shared_ptr<const MemoryImage> base, uint32_t heap_end) const {
  std::vector<MemoryImage::Extent> extents;
  for (const auto& [from, to] : private_ranges(0, round_up(heap_end, kHostPage))) {
    const TouchedPages pages(base_ + from, to - from);
    if (!pages.known()) return capture(heap_end);
    append_extents(extents, from, to, 0, [&, first = from](uint64_t at) {
      return pages.anonymous((at - first) / kHostPage);
    });
  }
  return write_image(std::move(extents), std::move(base));
}

}  // namespace calf::wasm
