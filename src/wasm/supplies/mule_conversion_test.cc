#include "wasm/supplies/mule_conversion.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace calf::supplies {
namespace {

constexpr u8 kLatin2 = 0x82;  // Mule charset of ISO 8859-2

struct Converted {
  std::string bytes;
  Outcome outcome;
};

template <typename Function, typename... Args>
Converted run(Function function, const std::string& text, Args... args) {
  std::array<u8, 256> out{};
  std::span<const u8> span{reinterpret_cast<const u8*>(text.data()), text.size()};
  Outcome outcome = function(args..., span, out.data());
  return {{reinterpret_cast<char*>(out.data()), outcome.produced}, outcome};
}

// Maps 0x80 + i to 0xff - i, but 0xff to nothing.
std::array<u8, 128> mirror() {
  std::array<u8, 128> table{};
  for (u32 i = 0; i < 127; i++) table[i] = static_cast<u8>(0xff - i);
  return table;
}

TEST(MuleConversion, puts_the_charset_before_each_byte_of_the_upper_half) {
  Converted done = run(convert_single_byte_to_mule, "a\xb1z", UpperHalf(), kLatin2);
  EXPECT_EQ(done.bytes, "a\x82\xb1z");
  EXPECT_EQ(done.outcome.stop, Stop::kEnd);
}

TEST(MuleConversion, comes_back_from_mule) {
  Converted done = run(convert_mule_to_single_byte, "a\x82\xb1z", UpperHalf(), kLatin2);
  EXPECT_EQ(done.bytes, "a\xb1z");
  EXPECT_EQ(done.outcome.consumed, 4u);
}

TEST(MuleConversion, stops_at_a_character_of_another_charset) {
  Converted done = run(convert_mule_to_single_byte, "ab\x81\xb1z", UpperHalf(), kLatin2);
  EXPECT_EQ(done.outcome.stop, Stop::kUntranslatable);
  EXPECT_EQ(done.outcome.consumed, 2u);
  EXPECT_EQ(done.outcome.error_offset, 2u);
  EXPECT_EQ(done.outcome.error_length, 3u);
}

TEST(MuleConversion, rejects_a_character_cut_short) {
  EXPECT_EQ(run(convert_mule_to_single_byte, "\x82", UpperHalf(), kLatin2).outcome.stop,
            Stop::kInvalid);
}

TEST(MuleConversion, maps_through_a_table) {
  std::array<u8, 128> table = mirror();
  UpperHalf upper(table.data());
  EXPECT_EQ(run(convert_single_byte, "x\x80\x81", upper).bytes, "x\xff\xfe");
  EXPECT_EQ(run(convert_single_byte_to_mule, "\x80", upper, kLatin2).bytes, "\x82\xff");
  EXPECT_EQ(run(convert_mule_to_single_byte, "\x82\x81", upper, kLatin2).bytes, "\xfe");
}

TEST(MuleConversion, stops_where_the_table_has_no_equivalent) {
  std::array<u8, 128> table = mirror();
  Converted done = run(convert_single_byte, "ab\xff", UpperHalf(table.data()));
  EXPECT_EQ(done.bytes, "ab");
  EXPECT_EQ(done.outcome.stop, Stop::kUntranslatable);
}

TEST(MuleConversion, rejects_zero_bytes) {
  std::string text("a\0b", 3);
  EXPECT_EQ(run(convert_single_byte, text, UpperHalf()).outcome.stop, Stop::kInvalid);
  EXPECT_EQ(run(convert_mule_to_single_byte, text, UpperHalf(), kLatin2).outcome.stop,
            Stop::kInvalid);
}

}  // namespace
}  // namespace calf::supplies
