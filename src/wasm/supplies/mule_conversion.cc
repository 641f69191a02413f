#include "wasm/supplies/mule_conversion.h"

namespace calf::supplies {
namespace {

Outcome stopped(Outcome outcome, Stop stop, std::span<const u8> text) {
  outcome.stop = stop;
  outcome.error_offset = outcome.consumed;
  outcome.error_length = static_cast<u32>(text.size()) - outcome.consumed;
  return outcome;
}

// From a single-byte encoding; `charset` is written before each byte of the upper half unless it is
// 0.
Outcome convert_bytes(UpperHalf upper, u8 charset, std::span<const u8> text, u8* out) {
  Outcome outcome;
  for (u8 byte : text) {
    if (byte == 0) return stopped(outcome, Stop::kInvalid, text);
    if (byte >= 0x80) {
      byte = upper.map(byte);
      if (byte == 0) return stopped(outcome, Stop::kUntranslatable, text);
      if (charset != 0) out[outcome.produced++] = charset;
    }
    out[outcome.produced++] = byte;
    outcome.consumed++;
  }
  return outcome;
}

}  // namespace

Outcome convert_single_byte(UpperHalf upper, std::span<const u8> text, u8* out) {
  return convert_bytes(upper, 0, text, out);
}

Outcome convert_single_byte_to_mule(UpperHalf upper, u8 charset, std::span<const u8> text,
                                    u8* out) {
  return convert_bytes(upper, charset, text, out);
}

Outcome convert_mule_to_single_byte(UpperHalf upper, u8 charset, std::span<const u8> text,
                                    u8* out) {
  Outcome outcome;
  while (outcome.consumed < text.size()) {
    std::span<const u8> rest = text.subspan(outcome.consumed);
    if (rest[0] == 0) return stopped(outcome, Stop::kInvalid, text);
    if (rest[0] < 0x80) {
      out[outcome.produced++] = rest[0];
      outcome.consumed++;
      continue;
    }
    u32 length = character_length(Encoding::kMuleInternal, rest);
    if (length > rest.size()) return stopped(outcome, Stop::kInvalid, text);
    bool is_of_charset = length == 2 && rest[0] == charset && rest[1] >= 0x80;
    u8 byte = is_of_charset ? upper.map(rest[1]) : 0;
    if (byte == 0) return stopped(outcome, Stop::kUntranslatable, text);
    out[outcome.produced++] = byte;
    outcome.consumed += 2;
  }
  return outcome;
}

}  // namespace calf::supplies
