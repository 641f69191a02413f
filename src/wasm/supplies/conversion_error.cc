#include "wasm/supplies/conversion_error.h"

#include <algorithm>
#include <cstdio>

namespace calf::supplies {
namespace {

constexpr u32 kShownBytes = 8;

// "0xe3 0x81 0x82": the first character of a text, as far as it is there.
struct HexBytes {
  char text[kShownBytes * 5 + 1] = "";

  HexBytes(Encoding encoding, std::span<const u8> from) {
    u32 shown = std::min(character_length(encoding, from), static_cast<u32>(from.size()));
    shown = std::min(shown, kShownBytes);
    char* end = text;
    for (u32 i = 0; i < shown; i++) {
      end += std::snprintf(end, 6, i == 0 ? "0x%02x" : " 0x%02x", from[i]);
    }
  }
};

}  // namespace

ConversionError invalid_encoding_error(Encoding encoding, std::span<const u8> text) {
  ConversionError error{.sqlstate = "22021", .message = ""};
  std::snprintf(error.message, sizeof error.message,
                "invalid byte sequence for encoding \"%s\": %s", encoding_name(encoding),
                HexBytes(encoding, text).text);
  return error;
}

ConversionError untranslatable_error(Encoding source, Encoding destination,
                                     std::span<const u8> text) {
  ConversionError error{.sqlstate = "22P05", .message = ""};
  std::snprintf(error.message, sizeof error.message,
                "character with byte sequence %s in encoding \"%s\" has no equivalent in "
                "encoding \"%s\"",
                HexBytes(source, text).text, encoding_name(source), encoding_name(destination));
  return error;
}

ConversionError encoding_number_error(Encoding encoding) {
  ConversionError error{.sqlstate = "22023", .message = ""};
  std::snprintf(error.message, sizeof error.message, "invalid encoding number: %d",
                static_cast<s32>(encoding));
  return error;
}

}  // namespace calf::supplies
