#include "branches/branch_name.h"

#include <gtest/gtest.h>

#include <span>

namespace calf::branches {
namespace {

std::vector<std::byte> packet(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(BranchName, is_what_fits_into_urls_and_file_names) {
  for (const char* good : {"b", "b1", "feature-x", "v1.2", "A_B", "0"})
    EXPECT_TRUE(is_branch_name(good)) << good;
  for (const char* bad : {"", ".", "..", ".b", "-b", "a b", "a/b", "a@b", "a'b", "\xc3\xa4"})
    EXPECT_FALSE(is_branch_name(bad)) << bad;
  EXPECT_TRUE(is_branch_name(std::string(63, 'x')));
  EXPECT_FALSE(is_branch_name(std::string(64, 'x')));
}

TEST(Wish, takes_the_branch_out_of_the_database) {
  using namespace std::string_view_literals;
  const auto wish = find_wish(packet("\0\3\0\0user\0u\0database\0app@b1\0options\0-c a=b@c\0\0"sv));
  ASSERT_TRUE(wish);
  EXPECT_EQ(wish->branch, "b1");
  EXPECT_EQ(text(wish->packet), "\0\3\0\0user\0u\0database\0app\0options\0-c a=b@c\0\0"sv);
}

TEST(Wish, is_what_follows_the_last_at_sign_of_the_last_database) {
  using namespace std::string_view_literals;
  const auto wish = find_wish(packet("\0\3\0\0database\0x@b1\0database\0a@b@c\0\0"sv));
  ASSERT_TRUE(wish);
  EXPECT_EQ(wish->branch, "c");
  EXPECT_EQ(text(wish->packet), "\0\3\0\0database\0x@b1\0database\0a@b\0\0"sv);
}

TEST(Wish, is_not_there_without_a_branch_and_in_broken_packets) {
  using namespace std::string_view_literals;
  for (std::string_view other : {"\0\3\0\0user\0u@b\0database\0app\0\0"sv, "\0\3\0\0user\0u\0\0"sv,
                                 "\0\3\0\0database\0app@\0\0"sv, "\0\3\0\0database\0app@a b\0\0"sv,
                                 "\0\3\0\0database\0app@b"sv, "\0\3"sv, ""sv}) {
    EXPECT_FALSE(find_wish(packet(other)));
  }
}

}  // namespace
}  // namespace calf::branches
