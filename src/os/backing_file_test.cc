#include "os/backing_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace calf::os {
namespace {

const char kConstant[] =
    "a constant that is in the program's read-only data, with words that are nowhere else";

TEST(BackingFile, has_the_bytes_of_a_constant) {
  const auto found = find_backing_file(std::as_bytes(std::span(kConstant)));
  ASSERT_TRUE(found);
  std::string there(sizeof kConstant, '\0');
  ASSERT_EQ(pread(found->fd, there.data(), there.size(), static_cast<off_t>(found->offset)),
            static_cast<ssize_t>(there.size()));
  EXPECT_EQ(there, std::string(kConstant, sizeof kConstant));
}

TEST(BackingFile, does_not_exist_for_memory_that_was_allocated) {
  const std::vector<std::byte> bytes(100);
  EXPECT_FALSE(find_backing_file(bytes));
}

}  // namespace
}  // namespace calf::os
