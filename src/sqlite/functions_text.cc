// Strings: as characters, not bytes, in UTF-8.
#include <locale.h>
#include <openssl/evp.h>
#include <wctype.h>

#include <algorithm>

#include "sqlite/functions.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

constexpr std::size_t kMaxStringBytes = 256U << 20;

bool starts_character(char c) {
  return (c & 0xc0) != 0x80;
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i + 1;
    while (end < text.size() && !starts_character(text[end])) ++end;
    out.push_back(text.substr(i, end - i));
    i = end;
  }
  return out;
}

std::int64_t length(std::string_view text) {
  return std::count_if(text.begin(), text.end(), starts_character);
}

// Characters [first, first + count) from 1, as substring() counts: what lies outside is not there.
std::string slice(std::string_view text, std::int64_t first, std::int64_t count) {
  std::int64_t last = 0;
  if (__builtin_add_overflow(first, count, &last)) last = INT64_MAX;
  std::size_t begin = text.size();
  std::size_t end = text.size();
  std::int64_t position = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!starts_character(text[i])) continue;
    ++position;
    if (position == std::max<std::int64_t>(first, 1)) begin = i;
    if (position == last) {
      end = i;
      break;
    }
  }
  if (last <= 1 || begin >= end) return {};
  return std::string(text.substr(begin, end - begin));
}

unsigned decode(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]) & 63U; };
  const auto first = static_cast<unsigned char>(character[0]);
  switch (character.size()) {
    case 1:
      return first;
    case 2:
      return (first & 31U) << 6 | byte(1);
    case 3:
      return (first & 15U) << 12 | byte(1) << 6 | byte(2);
    default:
      return (first & 7U) << 18 | byte(1) << 12 | byte(2) << 6 | byte(3);
  }
}

std::string encode(unsigned c) {
  std::string out;
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 63));
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
  return out;
}

locale_t unicode_locale() {
  static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

std::string map_case(std::string_view text, bool upper) {
  const locale_t locale = unicode_locale();
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i + 1;
    while (end < text.size() && !starts_character(text[end])) ++end;
    if (end == i + 1) {
      const auto c = static_cast<unsigned char>(text[i]);
      out += static_cast<char>(upper ? (c >= 'a' && c <= 'z' ? c - 32 : c)
                                     : (c >= 'A' && c <= 'Z' ? c + 32 : c));
    } else if (locale == nullptr) {
      out += text.substr(i, end - i);
    } else {
      const wint_t c = decode(text.substr(i, end - i));
      out += encode(upper ? ::towupper_l(c, locale) : ::towlower_l(c, locale));
    }
    i = end;
  }
  return out;
}

std::string initcap(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (const std::string_view character : characters(text)) {
    out += map_case(character, !in_word);
    in_word = character.size() > 1 ? ::iswalnum_l(decode(character), unicode_locale()) != 0
                                   : std::isalnum(static_cast<unsigned char>(character[0])) != 0;
  }
  return out;
}

void check_size(std::int64_t size) {
  if (size > static_cast<std::int64_t>(kMaxStringBytes))
    raise("54000", "requested length too large");
}

std::string repeat(std::string_view text, std::int64_t times) {
  if (times <= 0) return {};
  check_size(static_cast<std::int64_t>(text.size()) * times);
  std::string out;
  for (std::int64_t i = 0; i < times; ++i) out += text;
  return out;
}

std::string pad(std::string_view text, std::int64_t width, std::string_view fill, bool left) {
  check_size(width);
  const std::int64_t size = length(text);
  if (width <= size || fill.empty()) return slice(text, 1, std::max<std::int64_t>(width, 0));
  const auto fills = characters(fill);
  std::string padding;
  for (std::int64_t i = 0; i < width - size; ++i)
    padding += fills[static_cast<std::size_t>(i) % fills.size()];
  return left ? padding + std::string(text) : std::string(text) + padding;
}

std::string trim(std::string_view text, std::string_view set, bool left, bool right) {
  const auto set_characters = characters(set);
  const auto in_set = [&](std::string_view c) {
    return std::find(set_characters.begin(), set_characters.end(), c) != set_characters.end();
  };
  const auto all = characters(text);
  std::size_t begin = 0;
  std::size_t end = all.size();
  while (left && begin < end && in_set(all[begin])) ++begin;
  while (right && end > begin && in_set(all[end - 1])) --end;
  if (begin == end) return {};
  return {all[begin].data(),
          static_cast<std::size_t>(all[end - 1].data() + all[end - 1].size() - all[begin].data())};
}

std::int64_t position(std::string_view whole, std::string_view part) {
  const std::size_t at = whole.find(part);
  return at == std::string_view::npos ? 0 : length(whole.substr(0, at)) + 1;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to) {
  if (from.empty()) return std::string(text);
  std::string out;
  for (std::size_t at = 0;;) {
    const std::size_t found = text.find(from, at);
    out += text.substr(at, found - at);
    if (found == std::string_view::npos) return out;
    out += to;
    at = found + from.size();
  }
}

std::string translate(std::string_view text, std::string_view from, std::string_view to) {
  const auto sources = characters(from);
  const auto targets = characters(to);
  std::string out;
  for (const std::string_view c : characters(text)) {
    const auto at =
        static_cast<std::size_t>(std::find(sources.begin(), sources.end(), c) - sources.begin());
    if (at == sources.size()) {
      out += c;
    } else if (at < targets.size()) {
      out += targets[at];
    }
  }
  return out;
}

std::string reverse(std::string_view text) {
  std::string out;
  auto all = characters(text);
  for (auto it = all.rbegin(); it != all.rend(); ++it) out += *it;
  return out;
}

std::string split_part(std::string_view text, std::string_view delimiter, std::int64_t n) {
  if (n == 0) raise("22023", "field position must not be zero");
  std::vector<std::string_view> parts;
  if (text.empty()) return {};
  if (delimiter.empty()) return n == 1 || n == -1 ? std::string(text) : "";
  for (std::size_t at = 0;;) {
    const std::size_t found = text.find(delimiter, at);
    parts.push_back(text.substr(at, found - at));
    if (found == std::string_view::npos) break;
    at = found + delimiter.size();
  }
  const auto count = static_cast<std::int64_t>(parts.size());
  const std::int64_t index = n > 0 ? n - 1 : count + n;
  return index >= 0 && index < count ? std::string(parts[static_cast<std::size_t>(index)]) : "";
}

// PostgreSQL's LIKE: % and _, `escape` before either of them (0: none).
bool like(std::string_view text, std::string_view pattern, char escape) {
  while (!pattern.empty()) {
    if (pattern[0] == '%') {
      while (!pattern.empty() && pattern[0] == '%') pattern.remove_prefix(1);
      if (pattern.empty()) return true;
      for (std::size_t i = 0; i <= text.size(); ++i) {
        if (i < text.size() && !starts_character(text[i])) continue;
        if (pattern[0] != '_' && pattern[0] != escape &&
            (i == text.size() || text[i] != pattern[0]))
          continue;
        if (like(text.substr(i), pattern, escape)) return true;
      }
      return false;
    }
    const bool any = pattern[0] == '_';
    if (escape != 0 && pattern[0] == escape) {
      pattern.remove_prefix(1);
      if (pattern.empty()) raise("22025", "LIKE pattern must not end with escape character");
    }
    if (text.empty()) return false;
    if (any) {
      std::size_t n = 1;
      while (n < text.size() && !starts_character(text[n])) ++n;
      text.remove_prefix(n);
    } else {
      if (text[0] != pattern[0]) return false;
      text.remove_prefix(1);
    }
    pattern.remove_prefix(1);
  }
  return text.empty();
}

char escape_of(std::string_view text) {
  if (text.empty()) return 0;
  if (length(text) > 1) {
    raise("22025", "invalid escape string", "Escape string must be empty or one character.");
  }
  return text[0];
}

std::string quote_identifier(std::string_view name) {
  const bool plain = !name.empty() &&
                     (std::islower(static_cast<unsigned char>(name[0])) != 0 || name[0] == '_') &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) {
                       return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_';
                     });
  static const std::vector<std::string_view> kReserved = {
      "all",      "and",    "any",     "array",   "as",         "asc",    "both",    "case",
      "cast",     "check",  "collate", "column",  "constraint", "create", "default", "desc",
      "distinct", "do",     "else",    "end",     "except",     "false",  "for",     "foreign",
      "from",     "grant",  "group",   "having",  "in",         "into",   "limit",   "not",
      "null",     "offset", "on",      "only",    "or",         "order",  "primary", "references",
      "select",   "some",   "table",   "then",    "to",         "true",   "union",   "unique",
      "user",     "using",  "when",    "where",   "window",     "with",   "left",    "right",
      "full",     "inner",  "join",    "natural", "outer",      "is",     "like"};
  if (plain && std::find(kReserved.begin(), kReserved.end(), name) == kReserved.end())
    return std::string(name);
  return "\"" + replace(name, "\"", "\"\"") + "\"";
}

std::string quote_literal(std::string_view text) {
  const bool escapes = text.find('\\') != std::string_view::npos;
  return (escapes ? " E'" : "'") + replace(replace(text, "'", "''"), "\\", "\\\\") + "'";
}

std::string format(const Call& c) {
  std::string out;
  const std::string& pattern = c.text(0);
  std::size_t next = 1;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      out += pattern[i];
      continue;
    }
    if (++i == pattern.size()) raise("22023", "unterminated format() type specifier");
    if (pattern[i] == '%') {
      out += '%';
      continue;
    }
    std::size_t digits = i;
    while (digits < pattern.size() &&
           std::isdigit(static_cast<unsigned char>(pattern[digits])) != 0)
      ++digits;
    if (digits > i && digits < pattern.size() && pattern[digits] == '$') {
      next = static_cast<std::size_t>(std::atol(pattern.c_str() + i));
      i = digits + 1;
    }
    if (i >= pattern.size()) raise("22023", "unterminated format() type specifier");
    if (next == 0 || next >= c.size()) raise("22023", "too few arguments for format()");
    const Datum& value = c.arguments[next++];
    switch (pattern[i]) {
      case 's':
        out += value.text;
        break;
      case 'I':
        if (value.null()) raise("22004", "null values cannot be formatted as an SQL identifier");
        out += quote_identifier(value.text);
        break;
      case 'L':
        out += value.null() ? "NULL" : quote_literal(value.text);
        break;
      default:
        unsupported("the format() specifier \"" + std::string(1, pattern[i]) + "\"");
    }
  }
  return out;
}

std::string digest(const char* name, std::string_view data) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(data.data(), data.size(), bytes, &size, EVP_get_digestbyname(name), nullptr);
  return {reinterpret_cast<char*>(bytes), size};
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

std::string encode_bytes(std::string_view bytes, std::string_view format_name) {
  if (format_name == "hex") return hex(bytes);
  if (format_name != "base64")
    raise("22023", "unrecognized encoding: \"" + std::string(format_name) + "\"");
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  out.resize(static_cast<std::size_t>(EVP_EncodeBlock(
      reinterpret_cast<unsigned char*>(out.data()),
      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()))));
  std::string lines;  // of 76 characters, as PostgreSQL breaks them
  for (std::size_t i = 0; i < out.size(); i += 76) lines += (i > 0 ? "\n" : "") + out.substr(i, 76);
  return lines;
}

std::string decode_bytes(const Call& c) {
  if (c.text(1) == "hex")
    return from_text("\\x" + c.text(0), {oid::kBytea}, c.host.conversion()).text;
  if (c.text(1) != "base64") raise("22023", "unrecognized encoding: \"" + c.text(1) + "\"");
  std::string clean;
  for (const char x : c.text(0)) {
    if (std::isspace(static_cast<unsigned char>(x)) == 0) clean += x;
  }
  std::string out(clean.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(clean.data()),
                                   static_cast<int>(clean.size()));
  if (size < 0) raise("22023", "invalid base64 end sequence");
  const auto padding = static_cast<std::size_t>(std::count(
      clean.end() - std::min<std::ptrdiff_t>(2, static_cast<std::ptrdiff_t>(clean.size())),
      clean.end(), '='));
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

Datum concat(const Call& c) {
  std::string out;
  for (const Datum& value : c.arguments) out += value.text;
  return Datum::of(std::move(out));
}

Datum concat_ws(const Call& c) {
  if (c.null(0)) return {};
  std::string out;
  bool first = true;
  for (std::size_t i = 1; i < c.size(); ++i) {
    if (c.null(i)) continue;
    if (!first) out += c.text(0);
    out += c.text(i);
    first = false;
  }
  return Datum::of(std::move(out));
}

void add_searching(FunctionTable& t) {
  t.scalar("like(text,text) bool",
           [](const Call& c) { return Datum::of_bool(like(c.text(0), c.text(1), '\\')); });
  t.scalar("like(text,text,text) bool", [](const Call& c) {
    return Datum::of_bool(like(c.text(0), c.text(1), escape_of(c.text(2))));
  });
  t.scalar("ilike(text,text) bool", [](const Call& c) {
    return Datum::of_bool(like(lower_text(c.text(0)), lower_text(c.text(1)), '\\'));
  });
  t.scalar("ilike(text,text,text) bool", [](const Call& c) {
    return Datum::of_bool(like(lower_text(c.text(0)), lower_text(c.text(1)), escape_of(c.text(2))));
  });
  t.native("~~(text,text) bool", "\"like(text,text)\"($1, $2)");
  t.native("!~~(text,text) bool", "(NOT \"like(text,text)\"($1, $2))");
  t.native("~~*(text,text) bool", "\"ilike(text,text)\"($1, $2)");
  t.native("!~~*(text,text) bool", "(NOT \"ilike(text,text)\"($1, $2))");
  t.scalar("position(text,text) int4",
           [](const Call& c) { return Datum::of(position(c.text(0), c.text(1))); });
  t.scalar("strpos(text,text) int4",
           [](const Call& c) { return Datum::of(position(c.text(0), c.text(1))); });
  t.scalar("starts_with(text,text) bool",
           [](const Call& c) { return Datum::of_bool(c.text(0).starts_with(c.text(1))); });
  t.scalar("^@(text,text) bool",
           [](const Call& c) { return Datum::of_bool(c.text(0).starts_with(c.text(1))); });
}

void add_trimming(FunctionTable& t) {
  struct Side {
    const char* name;
    Implementation spaces;
    Implementation set;
  };
  const Side sides[] = {
      {"btrim", [](const Call& c) { return Datum::of(trim(c.text(0), " ", true, true)); },
       [](const Call& c) { return Datum::of(trim(c.text(0), c.text(1), true, true)); }},
      {"ltrim", [](const Call& c) { return Datum::of(trim(c.text(0), " ", true, false)); },
       [](const Call& c) { return Datum::of(trim(c.text(0), c.text(1), true, false)); }},
      {"rtrim", [](const Call& c) { return Datum::of(trim(c.text(0), " ", false, true)); },
       [](const Call& c) { return Datum::of(trim(c.text(0), c.text(1), false, true)); }}};
  for (const Side& side : sides) {
    t.scalar(std::string(side.name) + "(text) text", side.spaces);
    t.scalar(std::string(side.name) + "(text,text) text", side.set);
  }
  t.scalar("lpad(text,int4) text",
           [](const Call& c) { return Datum::of(pad(c.text(0), c.integer(1), " ", true)); });
  t.scalar("lpad(text,int4,text) text",
           [](const Call& c) { return Datum::of(pad(c.text(0), c.integer(1), c.text(2), true)); });
  t.scalar("rpad(text,int4) text",
           [](const Call& c) { return Datum::of(pad(c.text(0), c.integer(1), " ", false)); });
  t.scalar("rpad(text,int4,text) text",
           [](const Call& c) { return Datum::of(pad(c.text(0), c.integer(1), c.text(2), false)); });
}

void add_slicing(FunctionTable& t) {
  const Implementation from = [](const Call& c) {
    return Datum::of(slice(c.text(0), c.integer(1), INT64_MAX));
  };
  const Implementation from_for = [](const Call& c) {
    if (c.integer(2) < 0) raise("22011", "negative substring length not allowed");
    return Datum::of(slice(c.text(0), c.integer(1), c.integer(2)));
  };
  for (const char* name : {"substring", "substr"}) {
    t.scalar(std::string(name) + "(text,int4) text", from);
    t.scalar(std::string(name) + "(text,int4,int4) text", from_for);
  }
  t.scalar("left(text,int4) text", [](const Call& c) {
    const std::int64_t n = c.integer(1) < 0 ? length(c.text(0)) + c.integer(1) : c.integer(1);
    return Datum::of(slice(c.text(0), 1, std::max<std::int64_t>(n, 0)));
  });
  t.scalar("right(text,int4) text", [](const Call& c) {
    const std::int64_t size = length(c.text(0));
    const std::int64_t n = c.integer(1) < 0 ? size + c.integer(1) : c.integer(1);
    return Datum::of(slice(c.text(0), size - std::max<std::int64_t>(n, 0) + 1, INT64_MAX));
  });
  t.scalar("overlay(text,text,int4) text", [](const Call& c) {
    return Datum::of(slice(c.text(0), 1, c.integer(2) - 1) + c.text(1) +
                     slice(c.text(0), c.integer(2) + length(c.text(1)), INT64_MAX));
  });
  t.scalar("overlay(text,text,int4,int4) text", [](const Call& c) {
    return Datum::of(slice(c.text(0), 1, c.integer(2) - 1) + c.text(1) +
                     slice(c.text(0), c.integer(2) + c.integer(3), INT64_MAX));
  });
  t.scalar("split_part(text,text,int4) text",
           [](const Call& c) { return Datum::of(split_part(c.text(0), c.text(1), c.integer(2))); });
}

void add_bytes(FunctionTable& t) {
  t.native("||(bytea,bytea) bytea", "CAST($1 || $2 AS BLOB)");
  t.native("length(bytea) int4", "length($1)");
  t.native("octet_length(bytea) int4", "length($1)");
  t.scalar("encode(bytea,text) text",
           [](const Call& c) { return Datum::of(encode_bytes(c.text(0), c.text(1))); });
  t.scalar("decode(text,text) bytea", [](const Call& c) { return Datum::blob(decode_bytes(c)); });
  t.scalar("md5(text) text",
           [](const Call& c) { return Datum::of(hex(digest("md5", c.text(0)))); });
  t.scalar("md5(bytea) text",
           [](const Call& c) { return Datum::of(hex(digest("md5", c.text(0)))); });
  t.scalar("sha256(bytea) bytea",
           [](const Call& c) { return Datum::blob(digest("sha256", c.text(0))); });
  t.scalar("sha512(bytea) bytea",
           [](const Call& c) { return Datum::blob(digest("sha512", c.text(0))); });
  t.native("convert_to(text,name) bytea", "CAST($1 AS BLOB)");
  t.native("convert_from(bytea,name) text", "CAST($1 AS TEXT)");
}

}  // namespace

std::string lower_text(std::string_view text) {
  return map_case(text, false);
}
std::string upper_text(std::string_view text) {
  return map_case(text, true);
}

void add_text_functions(FunctionTable& t) {
  add_searching(t);
  add_trimming(t);
  add_slicing(t);
  add_bytes(t);
  t.native("||(text,text) text", "($1 || $2)");
  t.scalar("lower(text) text", [](const Call& c) { return Datum::of(lower_text(c.text(0))); });
  t.scalar("upper(text) text", [](const Call& c) { return Datum::of(upper_text(c.text(0))); });
  t.scalar("initcap(text) text", [](const Call& c) { return Datum::of(initcap(c.text(0))); });
  t.native("length(text) int4", "length($1)");
  t.native("length(bpchar) int4", "length(rtrim($1, ' '))");
  t.native("char_length(text) int4", "length($1)");
  t.native("character_length(text) int4", "length($1)");
  t.native("octet_length(text) int4", "length(CAST($1 AS BLOB))");
  t.native("bit_length(text) int4", "(length(CAST($1 AS BLOB)) * 8)");
  t.scalar("repeat(text,int4) text",
           [](const Call& c) { return Datum::of(repeat(c.text(0), c.integer(1))); });
  t.scalar("replace(text,text,text) text",
           [](const Call& c) { return Datum::of(replace(c.text(0), c.text(1), c.text(2))); });
  t.scalar("translate(text,text,text) text",
           [](const Call& c) { return Datum::of(translate(c.text(0), c.text(1), c.text(2))); });
  t.scalar("reverse(text) text", [](const Call& c) { return Datum::of(reverse(c.text(0))); });
  t.scalar("ascii(text) int4", [](const Call& c) {
    return Datum::of(std::int64_t{c.text(0).empty() ? 0 : decode(characters(c.text(0))[0])});
  });
  t.scalar("chr(int4) text", [](const Call& c) {
    if (c.integer(0) == 0) raise("54000", "null character not permitted");
    if (c.integer(0) < 0) raise("54000", "character number must be positive");
    if (c.integer(0) > 0x10ffff)
      raise("54000", "requested character too large for encoding: " + std::to_string(c.integer(0)));
    return Datum::of(encode(static_cast<unsigned>(c.integer(0))));
  });
  t.scalar("quote_ident(text) text",
           [](const Call& c) { return Datum::of(quote_identifier(c.text(0))); });
  t.scalar("quote_literal(text) text",
           [](const Call& c) { return Datum::of(quote_literal(c.text(0))); });
  t.nullable("quote_nullable(text) text", [](const Call& c) {
    return Datum::of(c.null(0) ? std::string("NULL") : quote_literal(c.text(0)));
  });
  // Their arguments are cast to text by the rewriter.
  t.nullable("concat(any...) text", concat);
  t.nullable("concat_ws(text,any...) text", concat_ws);
  t.nullable("format(text,any...) text",
             [](const Call& c) { return c.null(0) ? Datum{} : Datum::of(format(c)); });
  t.native("format(text) text", "\"format(text,any...)\"($1)");
  t.native("to_hex(int4) text", "printf('%x', $1 & 4294967295)");
  t.native("to_hex(int8) text", "printf('%llx', $1)");
}

}  // namespace calf::sqlite
