#include "wasm/supplies/encodings.h"

#include <gtest/gtest.h>

#include <string>

namespace calf::supplies {
namespace {

s32 verify(Encoding encoding, const std::string& bytes) {
  return verify_character(encoding, {reinterpret_cast<const u8*>(bytes.data()), bytes.size()});
}

u32 length(Encoding encoding, const std::string& bytes) {
  return character_length(encoding, {reinterpret_cast<const u8*>(bytes.data()), bytes.size()});
}

TEST(Encodings, numbers_and_names_are_those_of_postgresql) {
  EXPECT_STREQ(encoding_name(Encoding{0}), "SQL_ASCII");
  EXPECT_STREQ(encoding_name(Encoding{6}), "UTF8");
  EXPECT_STREQ(encoding_name(Encoding{8}), "LATIN1");
  EXPECT_STREQ(encoding_name(Encoding{24}), "WIN1252");
  EXPECT_STREQ(encoding_name(Encoding{34}), "KOI8U");
  EXPECT_STREQ(encoding_name(Encoding{35}), "SJIS");
  EXPECT_STREQ(encoding_name(Encoding{41}), "SHIFT_JIS_2004");
}

TEST(Encodings, numbers_out_of_range_are_invalid) {
  EXPECT_TRUE(is_valid(Encoding::kShiftJis2004));
  EXPECT_FALSE(is_valid(Encoding{42}));
  EXPECT_FALSE(is_valid(Encoding{static_cast<u32>(-1)}));
  EXPECT_STREQ(encoding_name(Encoding{42}), "unknown");
  EXPECT_EQ(verify(Encoding{42}, "\xff"), 1);
}

TEST(Encodings, verifies_utf8_by_rfc_3629) {
  EXPECT_EQ(verify(Encoding::kUtf8, "a"), 1);
  EXPECT_EQ(verify(Encoding::kUtf8, "\xc3\xa9"), 2);
  EXPECT_EQ(verify(Encoding::kUtf8, "\xe2\x82\xac!"), 3);
  EXPECT_EQ(verify(Encoding::kUtf8, "\xf0\x9f\x98\x80"), 4);
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xe2(\xa1", "\xc3("}) {
    EXPECT_EQ(verify(Encoding::kUtf8, bad), -1) << bad;
  }
  EXPECT_EQ(verify(Encoding::kUtf8, std::string(1, '\0')), -1);
}

TEST(Encodings, verifies_the_extended_unix_codes) {
  EXPECT_EQ(verify(Encoding::kEucJp, "\xc6\xfc"), 2);
  EXPECT_EQ(verify(Encoding::kEucJp, "\x8e\xb1"), 2);
  EXPECT_EQ(verify(Encoding::kEucJp, "\x8e\xe0"), -1);
  EXPECT_EQ(verify(Encoding::kEucJis2004, "\x8f\xb0\xa1"), 3);
  EXPECT_EQ(verify(Encoding::kEucJp, "\x8f\xb0"), -1);
  EXPECT_EQ(verify(Encoding::kEucCn, "\x8e\xb0\xa1"), -1);
  EXPECT_EQ(verify(Encoding::kEucKr, "\xb0\xa1"), 2);
  EXPECT_EQ(verify(Encoding::kEucTw, "\x8e\xa2\xa1\xa1"), 4);
  EXPECT_EQ(verify(Encoding::kEucTw, "\x8e\xa8\xa1\xa1"), -1);
  EXPECT_EQ(verify(Encoding::kEucTw, "\x8f\xa1\xa1"), -1);
  EXPECT_EQ(verify(Encoding::kJohab, "\x80\xa1"), 2);
}

TEST(Encodings, verifies_shift_jis_and_the_double_byte_encodings) {
  EXPECT_EQ(verify(Encoding::kSjis, "\xb1"), 1);
  EXPECT_EQ(verify(Encoding::kSjis, "\x93\xfa"), 2);
  EXPECT_EQ(verify(Encoding::kSjis, "\x93\x7f"), -1);
  EXPECT_EQ(verify(Encoding::kSjis, "\xa0\x40"), -1);
  EXPECT_EQ(verify(Encoding::kBig5, "\xa4\x40"), 2);
  EXPECT_EQ(verify(Encoding::kUhc, "\x8d "), -1);
  EXPECT_EQ(verify(Encoding::kGbk, std::string("\x81\0", 2)), -1);
  EXPECT_EQ(verify(Encoding::kGbk, "\x81"), -1);
}

TEST(Encodings, tells_gb18030_lengths_by_the_second_byte) {
  EXPECT_EQ(length(Encoding::kGb18030, "\x81\x30"), 4u);
  EXPECT_EQ(length(Encoding::kGb18030, "\x81\x40"), 2u);
  EXPECT_EQ(length(Encoding::kGb18030, "\x81"), kIncomplete);
  EXPECT_EQ(verify(Encoding::kGb18030, "\x81\x30\x81\x30"), 4);
  EXPECT_EQ(verify(Encoding::kGb18030, "\x81\x30\x81\x3a"), -1);
  EXPECT_EQ(verify(Encoding::kGb18030, "\x81\x30\x81"), -1);
  EXPECT_EQ(verify(Encoding::kGb18030, "\x81\x7f"), -1);
}

TEST(Encodings, tells_mule_lengths_by_the_charset) {
  EXPECT_EQ(length(Encoding::kMuleInternal, "\x81"), 2u);
  EXPECT_EQ(length(Encoding::kMuleInternal, "\x92"), 3u);
  EXPECT_EQ(length(Encoding::kMuleInternal, "\x9a"), 3u);
  EXPECT_EQ(length(Encoding::kMuleInternal, "\x9d"), 4u);
  EXPECT_EQ(length(Encoding::kMuleInternal, "\x8e"), 1u);
  EXPECT_EQ(verify(Encoding::kMuleInternal, "\x81\x20"), -1);
  EXPECT_EQ(length(Encoding::kMuleInternal, ""), kIncomplete);
}

}  // namespace
}  // namespace calf::supplies
