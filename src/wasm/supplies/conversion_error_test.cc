#include "wasm/supplies/conversion_error.h"

#include <gtest/gtest.h>

#include <string>

namespace calf::supplies {
namespace {

std::span<const u8> span_of(const std::string& text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

TEST(ConversionError, shows_one_character_of_invalid_text) {
  ConversionError error = invalid_encoding_error(Encoding::kUtf8, span_of("\xe3\x81\x28zz"));
  EXPECT_STREQ(error.sqlstate, "22021");
  EXPECT_STREQ(error.message, "invalid byte sequence for encoding \"UTF8\": 0xe3 0x81 0x28");
}

TEST(ConversionError, shows_what_is_left_of_a_character_cut_short) {
  EXPECT_STREQ(invalid_encoding_error(Encoding::kSjis, span_of("\x93")).message,
               "invalid byte sequence for encoding \"SJIS\": 0x93");
  EXPECT_STREQ(invalid_encoding_error(Encoding::kGb18030, span_of("\x81")).message,
               "invalid byte sequence for encoding \"GB18030\": 0x81");
}

TEST(ConversionError, names_both_encodings_of_an_untranslatable_character) {
  ConversionError error =
      untranslatable_error(Encoding::kUtf8, Encoding::kLatin1, span_of("\xe2\x82\xac 5"));
  EXPECT_STREQ(error.sqlstate, "22P05");
  EXPECT_STREQ(error.message,
               "character with byte sequence 0xe2 0x82 0xac in encoding \"UTF8\" has no "
               "equivalent in encoding \"LATIN1\"");
}

TEST(ConversionError, has_room_for_the_longest_names) {
  ConversionError error = untranslatable_error(Encoding::kMuleInternal, Encoding::kShiftJis2004,
                                               span_of("\x9d\xf5\xa1\xa1"));
  EXPECT_TRUE(std::string(error.message).ends_with("in encoding \"SHIFT_JIS_2004\""));
}

TEST(ConversionError, shows_wrong_encoding_numbers_signed) {
  EXPECT_STREQ(encoding_number_error(Encoding{static_cast<u32>(-1)}).message,
               "invalid encoding number: -1");
}

}  // namespace
}  // namespace calf::supplies
