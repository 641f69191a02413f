// Conversion between UTF-8 and another encoding by the tables of PostgreSQL's conversion modules,
// which lie in linear memory. Semantics of UtfToLocal and LocalToUtf, PostgreSQL 18
// src/backend/utils/mb/conv.c; the layout of the tables is that of src/include/mb/pg_wchar.h on
// wasm32. Not here: raising errors (guest_error.h), Mule conversions (mule_conversion.h).
#pragma once

#include <span>

#include "wasm/supplies/encodings.h"
#include "wasm/supplies/linear_memory.h"

namespace calf::supplies {

// The room a caller must leave for converting `n` bytes: kMaxConversionGrowth * n
// (MAX_CONVERSION_GROWTH).
inline constexpr u32 kMaxConversionGrowth = 4;

// Why a conversion ended.
enum class Stop {
  kEnd,             // everything is converted
  kInvalid,         // the text is not valid in its encoding
  kUntranslatable,  // a valid character has no equivalent in the other encoding
};

// How far a conversion came. `error_offset` and `error_length` are the part of the text that
// PostgreSQL shows in its message; they differ from `consumed` in one case of combined characters.
struct Outcome {
  u32 consumed = 0;  // bytes of the text that are converted
  u32 produced = 0;  // bytes written
  Stop stop = Stop::kEnd;
  u32 error_offset = 0;
  u32 error_length = 0;
};

// An algorithmic conversion of the module: `call(context, code)` answers 0 if it does not know the
// code. It may not jump away.
struct CodeFunction {
  u32 (*call)(u32 context, u32 code) = nullptr;
  u32 context = 0;
};

// The tables of one direction of one encoding. Addresses are linear ones; 0 means that there is no
// such table.
struct CodeMap {
  LinearMemory memory;
  u32 tree = 0;  // pg_mb_radix_tree
  u32 combined =
      0;  // sorted array of {utf1, utf2, code} (to local) or {code, utf1, utf2} (to UTF-8)
  u32 combined_count = 0;
  CodeFunction function;
};

// Looks a character of 1 to 4 bytes up in the pg_mb_radix_tree at `tree`; 0 if it is not there.
[[nodiscard]] u32 find_in_radix_tree(const LinearMemory& memory, u32 tree,
                                     std::span<const u8> character);

// Converts UTF-8 to a local encoding, or a local encoding to UTF-8, until the end or the first
// character that cannot be converted. `out` has room for kMaxConversionGrowth * text.size() bytes;
// nothing is terminated. Cluster thread.
[[nodiscard]] Outcome convert_utf8_to_local(const CodeMap& map, std::span<const u8> text, u8* out);
[[nodiscard]] Outcome convert_local_to_utf8(const CodeMap& map, Encoding local,
                                            std::span<const u8> text, u8* out);

}  // namespace calf::supplies
