#include "wasm/supplies/conversion.h"

namespace calf::supplies {
namespace {

// pg_mb_radix_tree on wasm32: two pointers, then for each character length n the root of its tree,
// followed by n pairs of the least and the greatest allowed byte.
constexpr u32 kChars16 = 0;
constexpr u32 kChars32 = 4;
constexpr u32 kRoot[] = {0, 8, 16, 24, 36};

constexpr u32 kCombinedSize = 12;

// A character's bytes as one number, first byte highest.
u32 code_of(std::span<const u8> character) {
  u32 code = 0;
  for (u8 byte : character) code = code << 8 | byte;
  return code;
}

// Appends a code's bytes; bytes that are 0 are left out wherever they stand.
u32 store_code(u8* out, u32 code) {
  u32 size = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    u8 byte = static_cast<u8>(code >> shift);
    if (byte != 0) out[size++] = byte;
  }
  return size;
}

// Finds the entry whose first word (or first two words, as one number) is `key`; answers its
// address or 0.
template <typename KeyAt>
u32 find_combined(const CodeMap& map, u64 key, KeyAt key_at) {
  u32 low = 0;
  u32 high = map.combined_count;
  while (low < high) {
    u32 middle = low + (high - low) / 2;
    u32 address = map.combined + middle * kCombinedSize;
    u64 found = key_at(address);
    if (found == key) return address;
    if (found < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return 0;
}

u32 find_combined_utf8(const CodeMap& map, u32 first, u32 second) {
  auto key_at = [&](u32 address) {
    return u64{map.memory.load_u32(address)} << 32 | map.memory.load_u32(address + 4);
  };
  u32 entry = find_combined(map, u64{first} << 32 | second, key_at);
  return entry == 0 ? 0 : map.memory.load_u32(entry + 8);
}

u32 find_combined_local(const CodeMap& map, u32 code) {
  return find_combined(map, code, [&](u32 address) { return map.memory.load_u32(address); });
}

u32 call_function(const CodeMap& map, u32 code) {
  return map.function.call == nullptr ? 0 : map.function.call(map.function.context, code);
}

// Length of the UTF-8 character at the start of `text`, or 0 if it is cut short or not legal.
u32 legal_utf8_length(std::span<const u8> text) {
  u32 length = character_length(Encoding::kUtf8, text);
  if (length > text.size() || !is_legal_utf8(text.first(length))) return 0;
  return length;
}

Outcome stopped(Outcome outcome, Stop stop, std::span<const u8> text) {
  outcome.stop = stop;
  outcome.error_offset = outcome.consumed;
  outcome.error_length = static_cast<u32>(text.size()) - outcome.consumed;
  return outcome;
}

// What looking at a pair of characters found.
enum class Pair { kNone, kConverted, kBroken };

// Tries the character of `length` bytes at outcome.consumed together with the next one. kBroken
// leaves the error in `outcome`: PostgreSQL blames the second character if it is not legal, but the
// first one, cut to the length of what follows it, if the second one is cut short.
Pair convert_pair(const CodeMap& map, std::span<const u8> rest, u32 length, u8* out,
                  Outcome& outcome) {
  std::span<const u8> next = rest.subspan(length);
  u32 next_length = character_length(Encoding::kUtf8, next);
  bool is_short = next_length > next.size();
  if (is_short || !is_legal_utf8(next.first(next_length))) {
    outcome.stop = Stop::kInvalid;
    outcome.error_offset = outcome.consumed + (is_short ? 0 : length);
    outcome.error_length = static_cast<u32>(next.size());
    return Pair::kBroken;
  }
  if (next_length == 1) return Pair::kNone;  // ASCII is never the second half
  u32 code = find_combined_utf8(map, code_of(rest.first(length)), code_of(next.first(next_length)));
  if (code == 0) return Pair::kNone;
  outcome.produced += store_code(out + outcome.produced, code);
  outcome.consumed += length + next_length;
  return Pair::kConverted;
}

}  // namespace

u32 find_in_radix_tree(const LinearMemory& memory, u32 tree, std::span<const u8> character) {
  if (character.empty() || character.size() > 4) return 0;
  u32 root = tree + kRoot[character.size()];
  u32 bounds = root + 4;
  for (u8 byte : character) {
    if (byte < memory.load_u8(bounds) || byte > memory.load_u8(bounds + 1)) return 0;
    bounds += 2;
  }
  u32 chars32 = memory.load_u32(tree + kChars32);
  u32 chars16 = memory.load_u32(tree + kChars16);
  u32 index = memory.load_u32(root);
  bounds = root + 4;
  for (u8 byte : character) {
    u32 slot = byte + index - memory.load_u8(bounds);
    index =
        chars32 != 0 ? memory.load_u32(chars32 + slot * 4) : memory.load_u16(chars16 + slot * 2);
    bounds += 2;
  }
  return index;
}

Outcome convert_utf8_to_local(const CodeMap& map, std::span<const u8> text, u8* out) {
  Outcome outcome;
  while (outcome.consumed < text.size()) {
    std::span<const u8> rest = text.subspan(outcome.consumed);
    u32 length = rest[0] == 0 ? 0 : legal_utf8_length(rest);
    if (length == 0) return stopped(outcome, Stop::kInvalid, text);
    if (length == 1) {
      out[outcome.produced++] = rest[0];
      outcome.consumed++;
      continue;
    }
    if (map.combined != 0 && rest.size() > length) {
      Pair pair = convert_pair(map, rest, length, out, outcome);
      if (pair == Pair::kBroken) return outcome;
      if (pair == Pair::kConverted) continue;
    }
    std::span<const u8> character = rest.first(length);
    u32 code = map.tree == 0 ? 0 : find_in_radix_tree(map.memory, map.tree, character);
    if (code == 0) code = call_function(map, code_of(character));
    if (code == 0) return stopped(outcome, Stop::kUntranslatable, text);
    outcome.produced += store_code(out + outcome.produced, code);
    outcome.consumed += length;
  }
  return outcome;
}

Outcome convert_local_to_utf8(const CodeMap& map, Encoding local, std::span<const u8> text,
                              u8* out) {
  Outcome outcome;
  while (outcome.consumed < text.size()) {
    std::span<const u8> rest = text.subspan(outcome.consumed);
    if (rest[0] == 0) return stopped(outcome, Stop::kInvalid, text);
    if (rest[0] < 0x80) {  // every encoding has ASCII where it is
      out[outcome.produced++] = rest[0];
      outcome.consumed++;
      continue;
    }
    s32 length = verify_character(local, rest);
    if (length < 0) return stopped(outcome, Stop::kInvalid, text);
    std::span<const u8> character = rest.first(static_cast<u32>(length));
    u32 code = map.tree == 0 ? 0 : find_in_radix_tree(map.memory, map.tree, character);
    u32 second = 0;
    if (code == 0 && map.tree != 0 && map.combined != 0) {
      u32 entry = find_combined_local(map, code_of(character));
      code = entry == 0 ? 0 : map.memory.load_u32(entry + 4);
      second = entry == 0 ? 0 : map.memory.load_u32(entry + 8);
    }
    if (code == 0) code = call_function(map, code_of(character));
    if (code == 0) return stopped(outcome, Stop::kUntranslatable, text);
    outcome.produced += store_code(out + outcome.produced, code);
    outcome.produced += store_code(out + outcome.produced, second);
    outcome.consumed += static_cast<u32>(length);
  }
  return outcome;
}

}  // namespace calf::supplies
