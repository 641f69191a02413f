#include "wasm/supplies/encodings.h"

namespace calf::supplies {
namespace {

constexpr const char* kNames[] = {
    "SQL_ASCII", "EUC_JP",        "EUC_CN",     "EUC_KR",     "EUC_TW",     "EUC_JIS_2004",
    "UTF8",      "MULE_INTERNAL", "LATIN1",     "LATIN2",     "LATIN3",     "LATIN4",
    "LATIN5",    "LATIN6",        "LATIN7",     "LATIN8",     "LATIN9",     "LATIN10",
    "WIN1256",   "WIN1258",       "WIN866",     "WIN874",     "KOI8R",      "WIN1251",
    "WIN1252",   "ISO_8859_5",    "ISO_8859_6", "ISO_8859_7", "ISO_8859_8", "WIN1250",
    "WIN1253",   "WIN1254",       "WIN1255",    "WIN1257",    "KOI8U",      "SJIS",
    "BIG5",      "GBK",           "UHC",        "GB18030",    "JOHAB",      "SHIFT_JIS_2004",
};
static_assert(sizeof kNames / sizeof kNames[0] == kEncodingCount);

// Encodings whose characters are built alike.
enum class Family {
  kSingleByte,
  kEucJp,
  kEucCn,
  kEucKr,
  kEucTw,
  kUtf8,
  kMule,
  kSjis,
  kDoubleByte,
  kGb18030,
  kJohab,
};

Family family_of(Encoding encoding) {
  switch (encoding) {
    case Encoding::kEucJp:
    case Encoding::kEucJis2004:
      return Family::kEucJp;
    case Encoding::kEucCn:
      return Family::kEucCn;
    case Encoding::kEucKr:
      return Family::kEucKr;
    case Encoding::kEucTw:
      return Family::kEucTw;
    case Encoding::kUtf8:
      return Family::kUtf8;
    case Encoding::kMuleInternal:
      return Family::kMule;
    case Encoding::kSjis:
    case Encoding::kShiftJis2004:
      return Family::kSjis;
    case Encoding::kBig5:
    case Encoding::kGbk:
    case Encoding::kUhc:
      return Family::kDoubleByte;
    case Encoding::kGb18030:
      return Family::kGb18030;
    case Encoding::kJohab:
      return Family::kJohab;
    default:
      return Family::kSingleByte;
  }
}

constexpr u8 kSingleShift2 = 0x8e;
constexpr u8 kSingleShift3 = 0x8f;

constexpr bool within(u8 byte, u8 first, u8 last) {
  return byte >= first && byte <= last;
}
constexpr bool is_high(u8 byte) {
  return (byte & 0x80) != 0;
}
constexpr bool is_euc(u8 byte) {
  return within(byte, 0xa1, 0xfe);
}

// Length after a lead byte that is not ASCII, for the EUC family: code sets 2, 3 and 1.
u32 euc_length(u8 lead, u32 set2, u32 set3) {
  if (lead == kSingleShift2) return set2;
  if (lead == kSingleShift3) return set3;
  return 2;
}

u32 utf8_length(u8 lead) {
  if ((lead & 0xe0) == 0xc0) return 2;
  if ((lead & 0xf0) == 0xe0) return 3;
  if ((lead & 0xf8) == 0xf0) return 4;
  return 1;
}

// Lead bytes of PostgreSQL's flavour of the Mule internal code (src/include/mb/pg_wchar.h):
// official single-byte sets, private single-byte sets and official multi-byte sets, private
// multi-byte sets.
u32 mule_length(u8 lead) {
  if (within(lead, 0x81, 0x8d)) return 2;
  if (within(lead, 0x90, 0x99) || within(lead, 0x9a, 0x9b)) return 3;
  if (within(lead, 0x9c, 0x9d)) return 4;
  return 1;
}

bool all_euc(std::span<const u8> bytes) {
  for (u8 byte : bytes) {
    if (!is_euc(byte)) return false;
  }
  return true;
}

bool all_high(std::span<const u8> bytes) {
  for (u8 byte : bytes) {
    if (!is_high(byte)) return false;
  }
  return true;
}

// The checks below get exactly the bytes of one character whose lead byte is not ASCII.
bool is_euc_jp(std::span<const u8> c) {
  if (c[0] == kSingleShift2) return within(c[1], 0xa1, 0xdf);
  if (c[0] == kSingleShift3) return all_euc(c.subspan(1));
  return all_euc(c);
}

bool is_euc_tw(std::span<const u8> c) {
  if (c[0] == kSingleShift3) return false;
  if (c[0] == kSingleShift2) return within(c[1], 0xa1, 0xa7) && all_euc(c.subspan(2));
  return is_euc(c[1]);  // the lead byte is not looked at
}

bool is_sjis(std::span<const u8> c) {
  if (c.size() == 1) return true;
  bool head = within(c[0], 0x81, 0x9f) || within(c[0], 0xe0, 0xfc);
  return head && (within(c[1], 0x40, 0x7e) || within(c[1], 0x80, 0xfc));
}

bool is_gb18030(std::span<const u8> c) {
  if (!within(c[0], 0x81, 0xfe)) return false;
  if (c.size() == 2) return within(c[1], 0x40, 0x7e) || within(c[1], 0x80, 0xfe);
  return within(c[2], 0x81, 0xfe) && within(c[3], 0x30, 0x39);
}

// Big5, GBK and UHC accept any pair but one, which PostgreSQL keeps as "invalid in every encoding".
bool is_double_byte(std::span<const u8> c) {
  return c[1] != 0 && !(c[0] == 0x8d && c[1] == ' ');
}

u32 length_by_lead(Family family, u8 lead) {
  if (!is_high(lead)) return 1;
  switch (family) {
    case Family::kSingleByte:
      return 1;
    case Family::kEucJp:
    case Family::kEucKr:
    case Family::kJohab:
      return euc_length(lead, 2, 3);
    case Family::kEucCn:
      return euc_length(lead, 3, 3);
    case Family::kEucTw:
      return euc_length(lead, 4, 3);
    case Family::kUtf8:
      return utf8_length(lead);
    case Family::kMule:
      return mule_length(lead);
    case Family::kSjis:
      return within(lead, 0xa1, 0xdf) ? 1 : 2;
    case Family::kDoubleByte:
    case Family::kGb18030:
      return 2;
  }
  return 1;
}

bool is_valid_character(Family family, std::span<const u8> c) {
  switch (family) {
    case Family::kSingleByte:
      return true;
    case Family::kEucJp:
      return is_euc_jp(c);
    case Family::kEucCn:
    case Family::kEucKr:
      return all_euc(c);
    case Family::kEucTw:
      return is_euc_tw(c);
    case Family::kUtf8:
      return is_legal_utf8(c);
    case Family::kMule:
      return all_high(c);
    case Family::kSjis:
      return is_sjis(c);
    case Family::kDoubleByte:
      return is_double_byte(c);
    case Family::kGb18030:
      return is_gb18030(c);
    case Family::kJohab:
      return all_euc(c.subspan(1));
  }
  return false;
}

// A second byte that is a digit makes a GB18030 character one of four bytes.
u32 gb18030_length(std::span<const u8> text) {
  if (!is_high(text[0])) return 1;
  return within(text[1], 0x30, 0x39) ? 4 : 2;
}

}  // namespace

const char* encoding_name(Encoding encoding) {
  return is_valid(encoding) ? kNames[static_cast<u32>(encoding)] : "unknown";
}

u32 character_length(Encoding encoding, std::span<const u8> text) {
  if (text.empty()) return kIncomplete;
  Family family = family_of(encoding);
  if (family != Family::kGb18030) return length_by_lead(family, text[0]);
  if (is_high(text[0]) && text.size() < 2) return kIncomplete;
  return gb18030_length(text);
}

s32 verify_character(Encoding encoding, std::span<const u8> text) {
  if (text.empty()) return -1;
  Family family = family_of(encoding);
  if (!is_high(text[0])) return family == Family::kUtf8 && text[0] == 0 ? -1 : 1;
  u32 length = character_length(encoding, text);
  if (length > text.size()) return -1;
  return is_valid_character(family, text.first(length)) ? static_cast<s32>(length) : -1;
}

bool is_legal_utf8(std::span<const u8> c) {
  if (c.empty() || c.size() > 4) return false;
  u8 lead = c[0];
  if (lead > 0xf4 || within(lead, 0x80, 0xc1)) return false;
  if (c.size() == 1) return true;
  // Only the second byte has a range that depends on the lead byte.
  u8 first = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  u8 last = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (!within(c[1], first, last)) return false;
  for (u8 byte : c.subspan(2)) {
    if (!within(byte, 0x80, 0xbf)) return false;
  }
  return true;
}

}  // namespace calf::supplies
