// Conversion between single-byte encodings, and between them and PostgreSQL's Mule internal code.
// Semantics of local2local, latin2mic, mic2latin and their forms with a table, PostgreSQL 18
// src/backend/utils/mb/conv.c. Not here: UTF-8 (conversion.h).
#pragma once

#include <span>

#include "wasm/supplies/conversion.h"

namespace calf::supplies {

// How the upper half of a single-byte encoding maps: 128 bytes for 0x80 to 0xff, 0 where there is
// no equivalent; a null table maps every byte to itself. Owns nothing.
class UpperHalf {
 public:
  constexpr UpperHalf() = default;
  explicit constexpr UpperHalf(const u8* table) : table_(table) {}

  [[nodiscard]] u8 map(u8 byte) const { return table_ == nullptr ? byte : table_[byte & 0x7f]; }

 private:
  const u8* table_ = nullptr;
};

// Each converts `text` until the end or the first character that cannot be converted; `out` has
// room for kMaxConversionGrowth * text.size() bytes; nothing is terminated. `charset` is the Mule
// charset of the single-byte encoding. Any thread.
[[nodiscard]] Outcome convert_single_byte(UpperHalf upper, std::span<const u8> text, u8* out);
[[nodiscard]] Outcome convert_single_byte_to_mule(UpperHalf upper, u8 charset,
                                                  std::span<const u8> text, u8* out);
[[nodiscard]] Outcome convert_mule_to_single_byte(UpperHalf upper, u8 charset,
                                                  std::span<const u8> text, u8* out);

}  // namespace calf::supplies
