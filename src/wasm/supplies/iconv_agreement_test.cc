// Whole encodings as iconv knows them, put into radix trees of PostgreSQL's layout: every character
// must come out of the conversions as iconv has it, in both directions.
#include <gtest/gtest.h>
#include <iconv.h>

#include <array>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "wasm/supplies/conversion.h"

namespace calf::supplies {
namespace {

using Mapping = std::map<std::string, std::string>;

// One pg_mb_radix_tree in memory of its own, at kTree.
class RadixTree {
 public:
  static constexpr u32 kTree = 16;

  RadixTree(const Mapping& mapping, u32 width) : width_(width) {
    static constexpr u32 kRoots[] = {0, 8, 16, 24, 36};
    memory().store_u32(kTree + (width == 4 ? 4 : 0), kChars);
    for (u32 size = 1; size <= 4; size++) {
      Mapping part;
      for (const auto& [from, to] : mapping) {
        if (from.size() == size) part.emplace(from, to);
      }
      bounds_.assign(size, {0xff, 0});
      for (const auto& [from, to] : part) widen(from);
      u32 at = kTree + kRoots[size];
      for (u32 i = 0; i < size; i++) {
        bytes_[at + 4 + 2 * i] = bounds_[i].lower;
        bytes_[at + 5 + 2 * i] = bounds_[i].upper;
      }
      if (!part.empty()) memory().store_u32(at, add_level(part, 0));
    }
  }

  CodeMap map() {
    return {.memory = memory(), .tree = kTree, .combined = 0, .combined_count = 0, .function = {}};
  }

 private:
  static constexpr u32 kChars = 64;
  struct Bounds {
    u8 lower;
    u8 upper;
  };

  LinearMemory memory() { return {bytes_.data()}; }

  void widen(const std::string& from) {
    for (u32 i = 0; i < from.size(); i++) {
      u8 byte = static_cast<u8>(from[i]);
      bounds_[i].lower = std::min(bounds_[i].lower, byte);
      bounds_[i].upper = std::max(bounds_[i].upper, byte);
    }
  }

  void set(u32 index, u32 value) {
    std::memcpy(bytes_.data() + kChars + index * width_, &value, width_);
  }

  // Adds the table for byte number `level` of the characters in `part`, and answers its index.
  u32 add_level(const Mapping& part, u32 level) {
    u32 index = next_;
    next_ += bounds_[level].upper - bounds_[level].lower + 1u;
    std::map<u8, Mapping> by_byte;
    for (const auto& [from, to] : part) {
      by_byte[static_cast<u8>(from[level])].emplace(from, to);
    }
    for (const auto& [byte, rest] : by_byte) {
      const auto& [from, to] = *rest.begin();
      bool is_last = level + 1 == from.size();
      set(index + byte - bounds_[level].lower, is_last ? code_of(to) : add_level(rest, level + 1));
    }
    return index;
  }

  static u32 code_of(const std::string& bytes) {
    u32 code = 0;
    for (char byte : bytes) code = code << 8 | static_cast<u8>(byte);
    return code;
  }

  u32 width_;
  u32 next_ = 256;  // zeros come first, so that following a zero leads to zeros
  std::vector<Bounds> bounds_;
  std::vector<u8> bytes_ = std::vector<u8>(8 << 20);
};

std::string utf8_of(u32 code_point) {
  auto byte = [](u32 value) { return static_cast<char>(value); };
  if (code_point < 0x800) {
    return {byte(0xc0 | code_point >> 6), byte(0x80 | (code_point & 0x3f))};
  }
  return {byte(0xe0 | code_point >> 12), byte(0x80 | (code_point >> 6 & 0x3f)),
          byte(0x80 | (code_point & 0x3f))};
}

// Every character of the basic plane that `name` has, from UTF-8; empty if iconv does not know the
// encoding.
Mapping mapping_of(const char* name) {
  Mapping mapping;
  iconv_t converter = iconv_open(name, "UTF-8");
  if (converter == iconv_t(-1)) return mapping;
  for (u32 code_point = 0xa0; code_point < 0x10000; code_point++) {
    std::string from = utf8_of(code_point);
    std::array<char, 16> out{};
    char* input = from.data();
    char* output = out.data();
    size_t input_left = from.size();
    size_t output_left = out.size();
    size_t irreversible = iconv(converter, &input, &input_left, &output, &output_left);
    bool is_exact = irreversible == 0 && out[0] < 0;
    if (is_exact) mapping[from] = std::string(out.data(), output);
    iconv(converter, nullptr, nullptr, nullptr, nullptr);
  }
  iconv_close(converter);
  return mapping;
}

std::span<const u8> span_of(const std::string& text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

struct Case {
  const char* iconv_name;
  Encoding encoding;
  u32 local_width;
};

class IconvAgreement : public testing::TestWithParam<Case> {};

TEST_P(IconvAgreement, holds_for_every_character_both_ways) {
  Mapping to_local = mapping_of(GetParam().iconv_name);
  if (to_local.empty()) GTEST_SKIP() << "iconv has no " << GetParam().iconv_name;
  // PostgreSQL does not know all that iconv has: planes 8 and above of EUC_TW, the single byte 0x80
  // of GBK.
  std::erase_if(to_local, [](const auto& entry) {
    return verify_character(GetParam().encoding, span_of(entry.second)) < 0;
  });
  ASSERT_GT(to_local.size(), 90u);
  Mapping to_utf8;
  for (const auto& [utf8, local] : to_local) to_utf8[local] = utf8;
  RadixTree local_tree(to_local, GetParam().local_width);
  RadixTree utf8_tree(to_utf8, 4);

  for (const auto& [utf8, local] : to_local) {
    std::array<u8, 16> out{};
    Outcome there = convert_utf8_to_local(local_tree.map(), span_of(utf8), out.data());
    ASSERT_EQ(std::string(reinterpret_cast<char*>(out.data()), there.produced), local);
  }
  for (const auto& [local, utf8] : to_utf8) {
    std::array<u8, 16> out{};
    Outcome back =
        convert_local_to_utf8(utf8_tree.map(), GetParam().encoding, span_of(local), out.data());
    ASSERT_EQ(back.stop, Stop::kEnd) << testing::PrintToString(local);
    ASSERT_EQ(std::string(reinterpret_cast<char*>(out.data()), back.produced), utf8);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Encodings, IconvAgreement,
    testing::Values(Case{"EUC-JP", Encoding::kEucJp, 4}, Case{"EUC-KR", Encoding::kEucKr, 2},
                    Case{"EUC-TW", Encoding::kEucTw, 4}, Case{"GB2312", Encoding::kEucCn, 2},
                    Case{"CP932", Encoding::kSjis, 2}, Case{"BIG5", Encoding::kBig5, 2},
                    Case{"GBK", Encoding::kGbk, 2}, Case{"CP949", Encoding::kUhc, 2},
                    Case{"GB18030", Encoding::kGb18030, 4}, Case{"KOI8-R", Encoding::kKoi8r, 2},
                    Case{"CP1252", Encoding::kWin1252, 2},
                    Case{"ISO-8859-2", Encoding::kLatin2, 2}),
    [](const auto& info) { return std::string(encoding_name(info.param.encoding)); });

TEST(KnownVectors, japanese_in_the_encodings_of_east_asia) {
  const std::string text = "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e";  // 日本語
  const std::map<const char*, std::string> expected = {
      {"CP932", "\x93\xfa\x96\x7b\x8c\xea"}, {"EUC-JP", "\xc6\xfc\xcb\xdc\xb8\xec"},
      {"BIG5", "\xa4\xe9\xa5\xbb\xbb\x79"},  {"GBK", "\xc8\xd5\xb1\xbe\xd5\x5a"},
      {"CP949", "\xec\xed\xdc\xe2\xe5\xde"},
  };
  for (const auto& [name, bytes] : expected) {
    Mapping mapping = mapping_of(name);
    if (mapping.empty()) continue;
    RadixTree tree(mapping, 4);
    std::array<u8, 64> out{};
    Outcome outcome = convert_utf8_to_local(tree.map(), span_of(text), out.data());
    EXPECT_EQ(std::string(reinterpret_cast<char*>(out.data()), outcome.produced), bytes) << name;
  }
}

}  // namespace
}  // namespace calf::supplies
