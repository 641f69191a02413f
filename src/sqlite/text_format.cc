// The text forms of values: PostgreSQL's input and output functions.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "sqlite/array_text.h"
#include "sqlite/datum.h"
#include "sqlite/decimal.h"
#include "sqlite/json.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\n\r\v\f";
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

[[noreturn]] void bad_syntax(std::string_view type, std::string_view text) {
  raise("22P02",
        "invalid input syntax for type " + std::string(type) + ": \"" + std::string(text) + "\"");
}

std::int64_t read_integer(std::string_view text, Oid type) {
  const char* name = type_info(type).sql_name;
  std::string_view digits = trim(text);
  if (digits.starts_with('+') && digits.size() > 1 && digits[1] != '-') digits.remove_prefix(1);
  // PostgreSQL 16's spellings: 0x1F, 0o17, 0b11, 1_000.
  std::string plain;
  int base = 10;
  const bool negative = digits.starts_with('-');
  std::string_view body = negative ? digits.substr(1) : digits;
  if (body.size() > 2 && body[0] == '0') {
    const char kind = static_cast<char>(std::tolower(static_cast<unsigned char>(body[1])));
    base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
    if (base != 10) body.remove_prefix(2);
  }
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] == '_' && i > 0 && i + 1 < body.size() && body[i + 1] != '_') continue;
    plain += body[i];
  }
  if (negative) plain.insert(0, "-");
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value, base);
  if (plain.empty() || end != plain.data() + plain.size() || error == std::errc::invalid_argument) {
    bad_syntax(name, text);
  }
  const bool fits = type == oid::kInt2   ? value >= INT16_MIN && value <= INT16_MAX
                    : type == oid::kInt4 ? value >= INT32_MIN && value <= INT32_MAX
                    : type == oid::kInt8 ? true
                                         : value >= INT32_MIN && value <= UINT32_MAX;
  if (error == std::errc::result_out_of_range || !fits) {
    raise("22003", "value \"" + std::string(text) + "\" is out of range for type " + name);
  }
  return type == oid::kOid ? static_cast<std::uint32_t>(value) : value;
}

double read_float(std::string_view text, Oid type) {
  const char* name = type_info(type).sql_name;
  const std::string trimmed(trim(text));
  char* end = nullptr;
  errno = 0;
  double value = type == oid::kFloat4 ? std::strtof(trimmed.c_str(), &end)
                                      : std::strtod(trimmed.c_str(), &end);
  if (trimmed.empty() || *end != '\0' || trimmed.find_first_of("xXpP") != std::string::npos)
    bad_syntax(name, text);
  if (errno == ERANGE && (value == 0 || std::isinf(value))) {
    raise("22003", "\"" + trimmed + "\" is out of range for type " + name);
  }
  if (std::isnan(value)) unsupported("NaN of a floating-point type");
  return value;
}

bool read_bool(std::string_view text) {
  std::string word(trim(text));
  std::transform(word.begin(), word.end(), word.begin(), ::tolower);
  const auto begins = [&](std::string_view full, std::size_t least) {
    return word.size() >= least && full.starts_with(word);
  };
  if (begins("true", 1) || begins("yes", 1) || word == "on" || word == "1") return true;
  if (begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0") return false;
  bad_syntax("boolean", text);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string read_hex_bytea(std::string_view text) {
  std::string out;
  int high = -1;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) continue;
    const int digit = hex_digit(c);
    if (digit < 0) raise("22023", "invalid hexadecimal digit: \"" + std::string(1, c) + "\"");
    if (high < 0) {
      high = digit;
    } else {
      out += static_cast<char>(high << 4 | digit);
      high = -1;
    }
  }
  if (high >= 0) raise("22023", "invalid hexadecimal data: odd number of digits");
  return out;
}

std::string read_bytea(std::string_view text) {
  if (text.starts_with("\\x")) return read_hex_bytea(text.substr(2));
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == '\\') {
      out += '\\';
      ++i;
    } else if (i + 3 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '3' &&
               text[i + 2] >= '0' && text[i + 2] <= '7' && text[i + 3] >= '0' &&
               text[i + 3] <= '7') {
      out += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 |
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      bad_syntax("bytea", text);
    }
  }
  return out;
}

std::string bytea_text(std::string_view bytes, bool escape) {
  std::string out = escape ? "" : "\\x";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (!escape) {
      out += "0123456789abcdef"[byte >> 4];
      out += "0123456789abcdef"[byte & 15];
    } else if (c == '\\') {
      out += "\\\\";
    } else if (byte < 0x20 || byte > 0x7e) {
      out += '\\';
      for (const int shift : {6, 3, 0}) out += static_cast<char>('0' + (byte >> shift & 7));
    } else {
      out += c;
    }
  }
  return out;
}

std::string read_uuid(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with('{') && rest.ends_with('}')) rest = rest.substr(1, rest.size() - 2);
  std::string out;
  int digits = 0;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '-' && digits > 0 && digits % 4 == 0 && i + 1 < rest.size() &&
        rest[i - 1] != '-')
      continue;
    if (hex_digit(rest[i]) < 0) bad_syntax("uuid", text);
    if (digits == 8 || digits == 12 || digits == 16 || digits == 20) out += '-';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(rest[i])));
    ++digits;
  }
  if (digits != 32) bad_syntax("uuid", text);
  return out;
}

Datum read_reg(std::string_view text, Type type, const ConversionContext& context) {
  const std::string trimmed(trim(text));
  if (!trimmed.empty() && std::all_of(trimmed.begin(), trimmed.end(), ::isdigit)) {
    return Datum::of(read_integer(trimmed, oid::kOid));
  }
  if (trimmed == "-") return Datum::of(std::int64_t{0});
  const Oid found = context.object_named ? context.object_named(type.oid, trimmed) : 0;
  if (found != 0) return Datum::of(static_cast<std::int64_t>(found));
  switch (type.oid) {
    case oid::kRegclass:
      raise("42P01", "relation \"" + trimmed + "\" does not exist");
    case oid::kRegtype:
      raise("42704", "type \"" + trimmed + "\" does not exist");
    case oid::kRegnamespace:
      raise("3F000", "schema \"" + trimmed + "\" does not exist");
    case oid::kRegrole:
      raise("42704", "role \"" + trimmed + "\" does not exist");
    default:
      raise("42883", "function \"" + trimmed + "\" does not exist");
  }
}

int second_digits(const Type& type) {
  return type.typmod >= 0 ? type.typmod & 0xffff : 6;
}

Datum apply_modifier(Datum value, Type type) {
  switch (type.oid) {
    case oid::kNumeric:
      if (const auto modifier = numeric_modifier(type.typmod)) {
        value.text = Decimal::read(value.text).fit(*modifier).to_string();
      }
      return value;
    case oid::kTime:
    case oid::kTimestamp:
    case oid::kTimestamptz:
      value.integer = round_micros(value.integer, second_digits(type));
      return value;
    case oid::kInterval:
      if (second_digits(type) < 6) {
        Interval interval = Interval::read(value.text);
        interval.micros = round_micros(interval.micros, second_digits(type));
        value.text = interval.to_string();
      }
      return value;
    default:
      return value;
  }
}

std::size_t character_count(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::size_t byte_of_character(std::string_view text, std::size_t characters) {
  std::size_t at = 0;
  while (at < text.size()) {
    if ((text[at] & 0xc0) != 0x80 && characters-- == 0) break;
    ++at;
  }
  return at;
}

}  // namespace

void check_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t size = first == 0     ? 0
                             : first < 0x80 ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
    bool good = size > 0 && i + size <= text.size();
    for (std::size_t k = 1; good && k < size; ++k) good = (text[i + k] & 0xc0) == 0x80;
    const auto second = good && size > 1 ? static_cast<unsigned char>(text[i + 1]) : 0x80;
    // Overlong forms, surrogates, and what is above U+10FFFF.
    good = good && !(first == 0xe0 && second < 0xa0) && !(first == 0xed && second > 0x9f) &&
           !(first == 0xf0 && second < 0x90) && !(first == 0xf4 && second > 0x8f);
    if (!good) {
      char byte[8];
      std::snprintf(byte, sizeof byte, "0x%02x", first);
      raise("22021", std::string("invalid byte sequence for encoding \"UTF8\": ") + byte);
    }
    i += size;
  }
}

std::string fit_string(std::string text, Type type, bool explicitly) {
  if (type.oid == oid::kName) {
    if (text.size() > 63) text.resize(byte_of_character(text, 63));
    return text;
  }
  if (type.oid == oid::kChar) return text.substr(0, 1);
  if (type.typmod < 4 || (type.oid != oid::kVarchar && type.oid != oid::kBpchar)) return text;
  const auto limit = static_cast<std::size_t>(type.typmod - 4);
  const std::size_t size = character_count(text);
  if (size > limit) {
    const std::size_t cut = byte_of_character(text, limit);
    if (!explicitly && text.find_first_not_of(' ', cut) != std::string::npos) {
      raise("22001", "value too long for type " + format_type(type));
    }
    text.resize(cut);
  } else if (type.oid == oid::kBpchar) {
    text.append(limit - size, ' ');
  }
  return text;
}

std::int64_t check_integer(std::int64_t value, Oid type) {
  const bool fits = type == oid::kInt2   ? value >= INT16_MIN && value <= INT16_MAX
                    : type == oid::kInt4 ? value >= INT32_MIN && value <= INT32_MAX
                                         : true;
  if (!fits) raise("22003", std::string(type_info(type).sql_name) + " out of range");
  return value;
}

std::string float_text(double value, Oid type) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  // The shortest digits that read back the same; positional between 1e-5 and 1e15 (1e6 for real).
  char text[64];
  const auto shortest = [&](std::chars_format format) {
    const auto end = type == oid::kFloat4 ? std::to_chars(text, text + sizeof text,
                                                          static_cast<float>(value), format)
                                          : std::to_chars(text, text + sizeof text, value, format);
    return std::string(text, end.ptr);
  };
  const std::string scientific = shortest(std::chars_format::scientific);
  const int exponent = std::atoi(scientific.c_str() + scientific.find('e') + 1);
  const int limit = type == oid::kFloat4 ? 6 : 15;
  if (exponent < -4 || exponent >= limit) return scientific;
  return shortest(std::chars_format::fixed);
}

Datum from_text(std::string_view text, Type type, const ConversionContext& context) {
  if (storage_of(type.oid) == Storage::kText) check_utf8(text);
  if (is_array(type.oid)) return Datum::of(read_array_text(text, type, context));
  switch (type.oid) {
    case oid::kBool:
      return Datum::of_bool(read_bool(text));
    case oid::kInt2:
    case oid::kInt4:
    case oid::kInt8:
    case oid::kOid:
    case oid::kXid:
      return Datum::of(read_integer(text, type.oid));
    case oid::kFloat4:
    case oid::kFloat8:
      return Datum::of(read_float(text, type.oid));
    case oid::kNumeric:
      return apply_modifier(Datum::of(Decimal::read(text).to_string()), type);
    case oid::kDate:
      return Datum::of(read_date(text, context.clock));
    case oid::kTime:
      return apply_modifier(Datum::of(read_time(text)), type);
    case oid::kTimestamp:
      return apply_modifier(Datum::of(read_timestamp(text, context.clock)), type);
    case oid::kTimestamptz:
      return apply_modifier(Datum::of(read_timestamptz(text, context.clock)), type);
    case oid::kInterval:
      return apply_modifier(Datum::of(Interval::read(text).to_string()), type);
    case oid::kBytea:
      return Datum::blob(read_bytea(text));
    case oid::kUuid:
      return Datum::of(read_uuid(text));
    case oid::kJson:
      check_json(text);
      return Datum::of(text);
    case oid::kJsonb:
      return Datum::of(canonical_jsonb(text));
    case oid::kRegclass:
    case oid::kRegtype:
    case oid::kRegproc:
    case oid::kRegnamespace:
    case oid::kRegrole:
      return read_reg(text, type, context);
    case oid::kRecord:
    case oid::kAny:
      raise("0A000", "input of anonymous composite types is not implemented");
    default:
      return Datum::of(fit_string(std::string(text), type, false));
  }
}

void append_text(std::string& out, const Datum& value, Oid type, const ConversionContext& context) {
  if (is_array(type)) {
    out += array_text(value.text, element_of(type), context);
    return;
  }
  switch (type) {
    case oid::kBool:
      out += value.integer != 0 ? 't' : 'f';
      return;
    case oid::kDate:
      out += date_text(value.integer);
      return;
    case oid::kTime:
      out += time_text(value.integer);
      return;
    case oid::kTimestamp:
      out += timestamp_text(value.integer);
      return;
    case oid::kTimestamptz:
      out += timestamptz_text(value.integer, *context.clock.zone);
      return;
    case oid::kFloat4:
    case oid::kFloat8:
      out += float_text(value.as_real(), type);
      return;
    case oid::kBytea:
      out += bytea_text(value.text, context.bytea_escape);
      return;
    default:
      break;
  }
  if (is_reg(type)) {
    const auto object = static_cast<Oid>(value.integer);
    const std::string name = object != 0 && context.name_of ? context.name_of(type, object) : "";
    out += object == 0 ? "-" : name.empty() ? std::to_string(object) : name;
  } else if (value.kind == Datum::Kind::kInteger) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value.integer);
    out.append(digits, end.ptr);
  } else if (value.kind == Datum::Kind::kReal) {
    out += float_text(value.real, oid::kFloat8);
  } else {
    out += value.text;
  }
}

std::string to_text(const Datum& value, Oid type, const ConversionContext& context) {
  std::string out;
  append_text(out, value, type, context);
  return out;
}

}  // namespace calf::sqlite
