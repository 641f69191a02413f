// PostgreSQL's character encodings: their numbers, names, and what one character of each looks like
// in bytes. The rules are those of PostgreSQL 18 (src/common/wchar.c, src/common/encnames.c), also
// where they are laxer than the encoding's own standard. Not here: conversions between encodings
// (conversion.h, mule_conversion.h).
#pragma once

#include <span>

#include "wasm/abi/calf_abi.h"

namespace calf::supplies {

// The numbers are part of the guest's ABI (enum pg_enc).
enum class Encoding : u32 {
  kSqlAscii,
  kEucJp,
  kEucCn,
  kEucKr,
  kEucTw,
  kEucJis2004,
  kUtf8,
  kMuleInternal,
  kLatin1,
  kLatin2,
  kLatin3,
  kLatin4,
  kLatin5,
  kLatin6,
  kLatin7,
  kLatin8,
  kLatin9,
  kLatin10,
  kWin1256,
  kWin1258,
  kWin866,
  kWin874,
  kKoi8r,
  kWin1251,
  kWin1252,
  kIso8859_5,
  kIso8859_6,
  kIso8859_7,
  kIso8859_8,
  kWin1250,
  kWin1253,
  kWin1254,
  kWin1255,
  kWin1257,
  kKoi8u,
  kSjis,
  kBig5,
  kGbk,
  kUhc,
  kGb18030,
  kJohab,
  kShiftJis2004,
};
inline constexpr u32 kEncodingCount = 42;

[[nodiscard]] constexpr bool is_valid(Encoding encoding) {
  return static_cast<u32>(encoding) < kEncodingCount;
}

// PostgreSQL's name of an encoding, e.g. "SHIFT_JIS_2004"; "unknown" for a number that is none.
// Static storage.
[[nodiscard]] const char* encoding_name(Encoding encoding);

// Too few bytes to tell how long the character is.
inline constexpr u32 kIncomplete = 0x7fffffff;

// How many bytes the first character of `text` takes, judged by its first byte (GB18030: two bytes)
// only; may be more than `text` has. kIncomplete when that cannot be told. Invalid encodings count
// as single-byte ones.
[[nodiscard]] u32 character_length(Encoding encoding, std::span<const u8> text);

// The length in bytes of the first character of `text` if it is complete and validly encoded,
// otherwise -1. The first byte must not be 0: callers tell the end of text themselves. Invalid
// encodings count as single-byte ones.
[[nodiscard]] s32 verify_character(Encoding encoding, std::span<const u8> text);

// Whether the bytes are one character of UTF-8 by RFC 3629: no surrogate, nothing overlong, nothing
// above U+10FFFF. 1 to 4 bytes, as many as character_length says; any other size is not legal.
[[nodiscard]] bool is_legal_utf8(std::span<const u8> character);

}  // namespace calf::supplies
