// The words of PostgreSQL's errors about characters (src/backend/utils/mb/mbutils.c, PostgreSQL
// 18). Not here: raising them in the guest (guest_error.h).
#pragma once

#include <span>

#include "wasm/supplies/encodings.h"

namespace calf::supplies {

// An SQL error ready to be raised: trivially destructible, since raising it jumps over its owner.
struct ConversionError {
  const char* sqlstate;  // five characters, static storage
  char message[192];
};

// 22021: invalid byte sequence for encoding "UTF8": 0xe3 0x81. `text` is what remains from the bad
// character on.
[[nodiscard]] ConversionError invalid_encoding_error(Encoding encoding, std::span<const u8> text);

// 22P05: character with byte sequence 0xe2 0x82 0xac in encoding "UTF8" has no equivalent in
// encoding "LATIN1".
[[nodiscard]] ConversionError untranslatable_error(Encoding source, Encoding destination,
                                                   std::span<const u8> text);

// 22023: invalid encoding number: 99.
[[nodiscard]] ConversionError encoding_number_error(Encoding encoding);

}  // namespace calf::supplies
