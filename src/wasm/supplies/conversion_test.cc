#include "wasm/supplies/conversion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace calf::supplies {
namespace {

constexpr u32 kTree = 16;
constexpr u32 kChars = 64;
constexpr u32 kCombined = 1024;

// A table in memory of its own: one radix tree with 32-bit or 16-bit values, and one combined map.
class Tables {
 public:
  explicit Tables(u32 width) : width_(width) { word(kTree + (width == 4 ? 4 : 0), kChars); }

  // Two-byte characters `first` `low`..`high` map to the given values.
  void map_pairs(u8 first, u8 low, const std::vector<u32>& values) {
    // 16 zeros, then the table of first bytes (one entry), then that of second bytes.
    word(kTree + 16, 16);
    u8 bounds[] = {first, first, low, static_cast<u8>(low + values.size() - 1)};
    std::copy(std::begin(bounds), std::end(bounds), bytes_.begin() + kTree + 20);
    value(16, 17);
    for (u32 i = 0; i < values.size(); i++) value(17 + i, values[i]);
  }

  // Three-byte characters `first` `second` `low`.. map to the given values.
  void map_triples(u8 first, u8 second, u8 low, const std::vector<u32>& values) {
    word(kTree + 24, 64);
    u8 bounds[] = {first, first, second, second, low, static_cast<u8>(low + values.size() - 1)};
    std::copy(std::begin(bounds), std::end(bounds), bytes_.begin() + kTree + 28);
    value(64, 65);
    value(65, 66);
    for (u32 i = 0; i < values.size(); i++) value(66 + i, values[i]);
  }

  void combine(u32 entry, const std::array<u32, 3>& words) {
    for (u32 i = 0; i < 3; i++) word(kCombined + entry * 12 + i * 4, words[i]);
    combined_count_ = std::max(combined_count_, entry + 1);
  }

  CodeMap map() {
    return {.memory = {bytes_.data()},
            .tree = kTree,
            .combined = combined_count_ == 0 ? 0 : kCombined,
            .combined_count = combined_count_,
            .function = {}};
  }

 private:
  void word(u32 address, u32 value) { LinearMemory{bytes_.data()}.store_u32(address, value); }
  void value(u32 index, u32 value) {
    std::memcpy(bytes_.data() + kChars + index * width_, &value, width_);
  }

  std::vector<u8> bytes_ = std::vector<u8>(4096);
  u32 width_;
  u32 combined_count_ = 0;
};

struct Converted {
  std::string bytes;
  Outcome outcome;
};

std::span<const u8> span_of(const std::string& text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

Converted to_local(const CodeMap& map, const std::string& text) {
  std::array<u8, 256> out{};
  Outcome outcome = convert_utf8_to_local(map, span_of(text), out.data());
  return {{reinterpret_cast<char*>(out.data()), outcome.produced}, outcome};
}

Converted to_utf8(const CodeMap& map, Encoding local, const std::string& text) {
  std::array<u8, 256> out{};
  Outcome outcome = convert_local_to_utf8(map, local, span_of(text), out.data());
  return {{reinterpret_cast<char*>(out.data()), outcome.produced}, outcome};
}

// あ い う (U+3042, U+3044, U+3046; U+3043 and U+3045 are left out) in Shift JIS, 16 bits wide.
Tables kana() {
  Tables tables(2);
  tables.map_triples(0xe3, 0x81, 0x82, {0x82a0, 0, 0x82a2, 0, 0x82a4});
  return tables;
}

TEST(Conversion, converts_utf8_by_the_radix_tree) {
  Tables tables = kana();
  Converted done = to_local(tables.map(), "a\xe3\x81\x82\xe3\x81\x86z");
  EXPECT_EQ(done.bytes, "a\x82\xa0\x82\xa4z");
  EXPECT_EQ(done.outcome.stop, Stop::kEnd);
  EXPECT_EQ(done.outcome.consumed, 8u);
}

TEST(Conversion, stops_at_a_character_that_the_tree_lacks) {
  Tables tables = kana();
  for (const char* text : {"ab\xe3\x81\x83!", "ab\xe3\x82\x82!", "ab\xe3\x81\x90!"}) {
    Converted done = to_local(tables.map(), text);
    EXPECT_EQ(done.bytes, "ab");
    EXPECT_EQ(done.outcome.stop, Stop::kUntranslatable);
    EXPECT_EQ(done.outcome.error_offset, 2u);
    EXPECT_EQ(done.outcome.error_length, 4u);
  }
}

TEST(Conversion, rejects_utf8_that_is_cut_short_overlong_or_zero) {
  Tables tables = kana();
  for (const std::string& text :
       {std::string("ab\xe3\x81"), std::string("ab\xc0\x80"), std::string("ab\0", 3)}) {
    Converted done = to_local(tables.map(), text);
    EXPECT_EQ(done.outcome.stop, Stop::kInvalid);
    EXPECT_EQ(done.outcome.consumed, 2u);
  }
}

TEST(Conversion, converts_to_utf8_with_wide_values) {
  Tables tables(4);
  tables.map_pairs(0x82, 0xa0, {0x00e38182, 0, 0x00e38184});
  Converted done = to_utf8(tables.map(), Encoding::kSjis, "a\x82\xa0\x82\xa2");
  EXPECT_EQ(done.bytes, "a\xe3\x81\x82\xe3\x81\x84");
  EXPECT_EQ(to_utf8(tables.map(), Encoding::kSjis, "\x82\xa1").outcome.stop, Stop::kUntranslatable);
  EXPECT_EQ(to_utf8(tables.map(), Encoding::kSjis, "\x82").outcome.stop, Stop::kInvalid);
}

TEST(Conversion, prefers_a_pair_of_characters_to_the_first_one_alone) {
  Tables tables = kana();
  tables.combine(0, {0x00e38182, 0x00e3829a, 0x82f5});
  tables.combine(1, {0x00e38184, 0x00e3829a, 0x82f6});
  tables.combine(2, {0x00e38186, 0x00e3829a, 0x82f7});
  EXPECT_EQ(to_local(tables.map(), "\xe3\x81\x84\xe3\x82\x9a").bytes, "\x82\xf6");
  EXPECT_EQ(to_local(tables.map(), "\xe3\x81\x86\xe3\x82\x9a.").bytes, "\x82\xf7.");
  EXPECT_EQ(to_local(tables.map(), "\xe3\x81\x84\xe3\x81\x86").bytes, "\x82\xa2\x82\xa4");
  EXPECT_EQ(to_local(tables.map(), "\xe3\x81\x84x").bytes, "\x82\xa2x");
  EXPECT_EQ(to_local(tables.map(), "\xe3\x81\x84").bytes, "\x82\xa2");
}

TEST(Conversion, waits_for_the_second_half_of_a_pair) {
  Tables tables = kana();
  tables.combine(0, {0x00e38182, 0x00e3829a, 0x82f5});
  Converted done = to_local(tables.map(), "a\xe3\x81\x82\xe3\x82");
  EXPECT_EQ(done.outcome.stop, Stop::kInvalid);
  EXPECT_EQ(done.outcome.consumed, 1u);
  EXPECT_EQ(done.outcome.error_offset, 1u);
  EXPECT_EQ(done.outcome.error_length, 2u);
}

TEST(Conversion, blames_the_second_half_of_a_pair_that_is_not_legal) {
  Tables tables = kana();
  tables.combine(0, {0x00e38182, 0x00e3829a, 0x82f5});
  Converted done = to_local(tables.map(), "a\xe3\x81\x82\xe3(!");
  EXPECT_EQ(done.outcome.stop, Stop::kInvalid);
  EXPECT_EQ(done.outcome.consumed, 1u);
  EXPECT_EQ(done.outcome.error_offset, 4u);
  EXPECT_EQ(done.outcome.error_length, 3u);
}

TEST(Conversion, writes_both_characters_of_a_combined_code) {
  Tables tables(4);
  tables.map_pairs(0x82, 0xa0, {0x00e38182});
  tables.combine(0, {0x82f5, 0x00e3818b, 0x00e3829a});
  EXPECT_EQ(to_utf8(tables.map(), Encoding::kShiftJis2004, "\x82\xf5").bytes,
            "\xe3\x81\x8b\xe3\x82\x9a");
}

TEST(Conversion, asks_the_function_last) {
  Tables tables = kana();
  CodeMap map = tables.map();
  map.function = {.call = [](u32 context, u32 code) { return code == 0xc3a9 ? context : 0; },
                  .context = 0x81308130};
  EXPECT_EQ(to_local(map, "\xc3\xa9\xe3\x81\x82").bytes, "\x81\x30\x81\x30\x82\xa0");
  EXPECT_EQ(to_local(map, "\xc3\xa8").outcome.stop, Stop::kUntranslatable);
}

TEST(Conversion, does_without_a_tree) {
  CodeMap map;
  EXPECT_EQ(to_local(map, "plain").bytes, "plain");
  EXPECT_EQ(to_local(map, "\xc3\xa9").outcome.stop, Stop::kUntranslatable);
  EXPECT_EQ(to_utf8(map, Encoding::kLatin2, "\xe9").outcome.stop, Stop::kUntranslatable);
}

TEST(Conversion, follows_wild_indexes_within_four_gigabytes_only) {
  // chars32 + slot * 4 wraps around to an address inside the table.
  Tables tables(4);
  tables.map_pairs(0x82, 0xa0, {0x00e38182});
  LinearMemory memory = tables.map().memory;
  memory.store_u32(kTree + 16, 0xc0000000u + 16);  // the root of the two-byte tree
  std::string text = "\x82\xa0";
  EXPECT_EQ(find_in_radix_tree(memory, kTree, span_of(text)), 0x00e38182u);
}

}  // namespace
}  // namespace calf::supplies
