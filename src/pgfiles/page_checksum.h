// PostgreSQL's checksum of a page, and what a page of a stopped cluster must be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace calf::pgfiles {

inline constexpr size_t kPageBytes = 8192;
using Page = std::span<const std::byte, kPageBytes>;

// The checksum that belongs into `page` (whose own field does not count) at block `block` of its
// relation's fork: PostgreSQL's storage/checksum_impl.h, an FNV-1a over 32 columns. Any thread.
uint16_t page_checksum(Page page, uint32_t block);

enum class PageState {
  kSound,
  kNew,           // never written: all zeros
  kBadChecksum,   // the checksum does not fit
  kZeroedHeader,  // the header says "new", but other bytes are there
};

// Looks at a page as pg_checksums does. Any thread.
PageState state_of_page(Page page, uint32_t block);

// The checksum that is in the page.
uint16_t stored_checksum(Page page);

}  // namespace calf::pgfiles
