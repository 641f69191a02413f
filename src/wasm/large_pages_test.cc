#include "wasm/large_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "os/shared_memory.h"

namespace calf::wasm {
namespace {

constexpr uint32_t kAddress = 0x00310000;  // like PostgreSQL's segment: no multiple of a large page
constexpr uint32_t kSizeBytes = 6 << 20;
constexpr uint32_t kFirstPiece = 0x00400000 - kAddress;  // from the region's begin
constexpr int64_t kSecondNs = 1'000'000'000;
constexpr uint32_t kNoGlobals[CALF_GLOBAL_SLOTS] = {};

struct Region {
  std::unique_ptr<LinearMemory> memory;
  uint8_t* begin = nullptr;
};

Region make_region() {
  Region made;
  auto memory = LinearMemory::create(256, kNoGlobals);
  const uint64_t offset = SharedRegion::preferred_offset(kAddress);
  auto file = os::SharedMemory::create("calf-test", offset + kSizeBytes);
  auto region = SharedRegion::adopt_fd(kAddress, kSizeBytes, file->fd(), offset);
  EXPECT_TRUE(memory && region && (*memory)->map_shared(*region));
  made.memory = std::move(*memory);
  made.begin = made.memory->base() + kAddress;
  return made;
}

bool system_makes_large_pages() {
  const Region other = make_region();
  std::memset(other.begin + kFirstPiece, 1, kLargePageBytes);
  constexpr int kCollapse = 25;  // MADV_COLLAPSE
  return madvise(other.begin + kFirstPiece, kLargePageBytes, kCollapse) == 0;
}

TEST(LargePages, ArePiecesThatAreInMemoryAsAWhole) {
  const Region region = make_region();
  std::memset(region.begin + kFirstPiece, 7, kLargePageBytes);
  region.begin[kFirstPiece + kLargePageBytes] = 8;  // one page of the next piece
  const size_t expected = system_makes_large_pages() ? 1 : 0;
  LargePages pages;
  for (int64_t i = 1; i <= 200 && pages.made() < std::max<size_t>(expected, 1); ++i) {
    pages.look(i * kSecondNs, *region.memory);
    std::this_thread::sleep_for(std::chrono::milliseconds(expected == 0 ? 1 : 10));
  }
  EXPECT_EQ(pages.made(), expected);
  EXPECT_EQ(region.begin[kFirstPiece], 7);
  EXPECT_EQ(region.begin[kFirstPiece + kLargePageBytes - 1], 7);
  EXPECT_EQ(region.begin[kFirstPiece + kLargePageBytes], 8);
  EXPECT_EQ(region.begin[kFirstPiece + kLargePageBytes + 1], 0);
}

TEST(LargePages, MayEndWhileTheyAreMade) {
  const Region region = make_region();
  std::memset(region.begin, 7, kSizeBytes);
  LargePages pages;
  for (int64_t i = 1; i <= 2; ++i) pages.look(i * kSecondNs, *region.memory);
}

}  // namespace
}  // namespace calf::wasm
