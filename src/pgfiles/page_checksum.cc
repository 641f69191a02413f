#include "pgfiles/page_checksum.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace calf::pgfiles {
namespace {

// PageHeaderData: pd_lsn 0, pd_checksum 8, pd_flags 10, pd_lower 12, pd_upper 14.
constexpr size_t kChecksumAt = 8;
constexpr size_t kUpperAt = 14;

constexpr size_t kColumns = 32;
constexpr size_t kRows = kPageBytes / (sizeof(uint32_t) * kColumns);
using Row = std::array<uint32_t, kColumns>;

// The columns' initial values: part of the format.
constexpr Row kOffsets = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

void mix(Row& sums, const Row& values) {
  constexpr uint32_t kPrime = 16777619;
  for (size_t i = 0; i < kColumns; ++i) {
    const uint32_t mixed = sums[i] ^ values[i];
    sums[i] = mixed * kPrime ^ (mixed >> 17);
  }
}

uint16_t field(Page page, size_t at) {
  uint16_t value = 0;
  std::memcpy(&value, page.data() + at, sizeof value);
  return value;
}

}  // namespace

uint16_t page_checksum(Page page, uint32_t block) {
  Row sums = kOffsets;
  for (size_t i = 0; i < kRows; ++i) {
    Row row;
    std::memcpy(row.data(), page.data() + i * sizeof row, sizeof row);
    if (i == 0) std::memset(reinterpret_cast<std::byte*>(row.data()) + kChecksumAt, 0, 2);
    mix(sums, row);
  }
  mix(sums, {});
  mix(sums, {});
  uint32_t sum = block;
  for (uint32_t each : sums) sum ^= each;
  return static_cast<uint16_t>(sum % 65535 + 1);
}

uint16_t stored_checksum(Page page) {
  return field(page, kChecksumAt);
}

PageState state_of_page(Page page, uint32_t block) {
  if (field(page, kUpperAt) == 0) {
    const bool zeros =
        std::all_of(page.begin(), page.end(), [](std::byte b) { return b == std::byte{0}; });
    return zeros ? PageState::kNew : PageState::kZeroedHeader;
  }
  return page_checksum(page, block) == stored_checksum(page) ? PageState::kSound
                                                             : PageState::kBadChecksum;
}

}  // namespace calf::pgfiles
