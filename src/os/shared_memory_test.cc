#include "os/shared_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace calf::os {
namespace {

TEST(SharedMemory, shows_the_same_bytes_in_every_mapping) {
  SharedMemory memory = SharedMemory::create("test", 8192).value();
  std::byte* a = memory.map(nullptr, 0, 8192, Protection::kReadWrite).value();
  std::byte* b = memory.map(nullptr, 4096, 4096, Protection::kRead).value();
  a[4100] = std::byte{7};
  EXPECT_EQ(b[4], std::byte{7});
  munmap(a, 8192);
  munmap(b, 4096);
}

TEST(SharedMemory, maps_at_a_chosen_address) {
  SharedMemory memory = SharedMemory::create("test", 4096).value();
  void* reserved =
      mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  EXPECT_EQ(memory.map(reserved, 0, 4096, Protection::kReadWrite).value(), reserved);
  munmap(reserved, 4096);
}

TEST(SharedMemory, grows_with_zeros) {
  SharedMemory memory = SharedMemory::create("test", 0).value();
  ASSERT_TRUE(memory.resize(4096));
  std::byte* bytes = memory.map(nullptr, 0, 4096, Protection::kRead).value();
  EXPECT_EQ(bytes[4095], std::byte{0});
  munmap(bytes, 4096);
}

}  // namespace
}  // namespace calf::os
