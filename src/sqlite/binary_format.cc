// The binary forms of values: PostgreSQL's receive and send functions.
#include <bit>
#include <cmath>
#include <cstring>

#include "pgwire/wire.h"
#include "sqlite/array_text.h"
#include "sqlite/datum.h"
#include "sqlite/decimal.h"
#include "sqlite/json.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

[[noreturn]] void malformed() {
  raise("22P03", "incorrect binary data format in bind parameter");
}

std::uint64_t load(std::string_view bytes, std::size_t size) {
  if (bytes.size() != size) malformed();
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    out += static_cast<char>(value >> shift);
  }
}

std::string to_bytes(std::uint64_t value, int bytes) {
  std::string out;
  put(out, value, bytes);
  return out;
}

constexpr int kGroupDigits = 4;
constexpr std::uint16_t kNegative = 0x4000;

// Digits of base 10000 with the weight of the first, a sign and the display scale.
std::string numeric_to_binary(const Decimal& value) {
  std::string out;
  if (!value.finite()) {
    put(out, 0, 4);
    put(out, value.kind() == Decimal::Kind::kNaN ? 0xc000 : value.sign() > 0 ? 0xd000 : 0xf000, 2);
    put(out, 0, 2);
    return out;
  }
  std::string text = value.to_string();
  if (value.sign() < 0) text.erase(0, 1);
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string whole = text.substr(0, point);
  std::string fraction = point < text.size() ? text.substr(point + 1) : "";
  whole.insert(0, (kGroupDigits - whole.size() % kGroupDigits) % kGroupDigits, '0');
  fraction.append((kGroupDigits - fraction.size() % kGroupDigits) % kGroupDigits, '0');
  std::vector<std::uint16_t> groups;
  const std::string digits = whole + fraction;
  for (std::size_t i = 0; i < digits.size(); i += kGroupDigits) {
    groups.push_back(static_cast<std::uint16_t>(std::stoi(digits.substr(i, kGroupDigits))));
  }
  int weight = static_cast<int>(whole.size()) / kGroupDigits - 1;
  while (!groups.empty() && groups.front() == 0) {
    groups.erase(groups.begin());
    --weight;
  }
  while (!groups.empty() && groups.back() == 0) groups.pop_back();
  if (groups.empty()) weight = 0;
  put(out, groups.size(), 2);
  put(out, static_cast<std::uint16_t>(weight), 2);
  put(out, value.sign() < 0 ? kNegative : 0, 2);
  put(out, static_cast<std::uint16_t>(value.scale()), 2);
  for (const std::uint16_t group : groups) put(out, group, 2);
  return out;
}

Decimal numeric_from_binary(std::string_view bytes) {
  pgwire::Reader reader(std::as_bytes(std::span(bytes.data(), bytes.size())));
  const int count = reader.u16();
  const int weight = reader.i16();
  const std::uint16_t sign = reader.u16();
  const int scale = reader.u16();
  if (sign == 0xc000) return Decimal::read("NaN");
  if (sign == 0xd000) return Decimal::read("Infinity");
  if (sign == 0xf000) return Decimal::read("-Infinity");
  if ((sign != 0 && sign != kNegative) || reader.left() != static_cast<std::size_t>(count) * 2)
    malformed();
  std::string digits = sign == kNegative ? "-" : "";
  for (int i = 0; i < count; ++i) {
    const int group = reader.u16();
    if (group > 9999) malformed();
    digits += std::to_string(group + 10000).substr(1);
  }
  if (count == 0) digits += "0";
  const int exponent = (weight + 1 - std::max(count, 0)) * kGroupDigits;
  return Decimal::read(digits + "e" + std::to_string(count == 0 ? 0 : exponent)).rounded(scale);
}

Interval interval_from_binary(std::string_view bytes) {
  if (bytes.size() != 16) malformed();
  return {.months = static_cast<std::int32_t>(load(bytes.substr(12), 4)),
          .days = static_cast<std::int32_t>(load(bytes.substr(8, 4), 4)),
          .micros = static_cast<std::int64_t>(load(bytes.substr(0, 8), 8))};
}

constexpr std::int64_t kEpochMicros = kPostgresEpochDays * kMicrosPerDay;

std::int64_t moment_from_binary(std::string_view bytes) {
  const auto value = static_cast<std::int64_t>(load(bytes, 8));
  if (value == kInfinity || value == kMinusInfinity) return value;
  std::int64_t micros = 0;
  if (__builtin_add_overflow(value, kEpochMicros, &micros))
    raise("22008", "timestamp out of range");
  return check_timestamp(micros);
}

std::string moment_to_binary(std::int64_t micros) {
  const bool infinite = micros == kInfinity || micros == kMinusInfinity;
  return to_bytes(static_cast<std::uint64_t>(infinite ? micros : micros - kEpochMicros), 8);
}

std::int64_t date_from_binary(std::string_view bytes) {
  const auto days = static_cast<std::int32_t>(load(bytes, 4));
  if (days == INT32_MAX) return kInfinity;
  if (days == INT32_MIN) return kMinusInfinity;
  return days + kPostgresEpochDays;
}

std::string date_to_binary(std::int64_t days) {
  const std::int64_t value = days == kInfinity        ? INT32_MAX
                             : days == kMinusInfinity ? INT32_MIN
                                                      : days - kPostgresEpochDays;
  return to_bytes(static_cast<std::uint32_t>(value), 4);
}

std::string uuid_to_binary(std::string_view text) {
  std::string out;
  std::string digits;
  for (const char c : text) {
    if (c != '-') digits += c;
  }
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return out;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

Datum array_from_binary(std::string_view bytes, Type array, const ConversionContext& context) {
  pgwire::Reader reader(std::as_bytes(std::span(bytes.data(), bytes.size())));
  const std::int32_t dimensions = reader.i32();
  reader.i32();  // whether there are NULLs
  const Oid element = reader.u32();
  if (dimensions > 1) unsupported("an array of more than one dimension");
  if (element != element_of(array.oid)) malformed();
  std::vector<Datum> elements;
  if (dimensions == 1) {
    const std::int32_t count = reader.i32();
    reader.i32();  // the lower bound
    for (std::int32_t i = 0; i < count && reader.ok(); ++i) {
      const std::int32_t size = reader.i32();
      if (size < 0) {
        elements.emplace_back();
      } else {
        const std::string_view value = reader.text(static_cast<std::size_t>(size));
        if (!reader.ok()) malformed();
        elements.push_back(from_binary(value, {element}, context));
      }
    }
  }
  if (!reader.finished()) malformed();
  return Datum::of(store_array(elements, element));
}

std::string array_to_binary(std::string_view stored, Oid element,
                            const ConversionContext& context) {
  const std::vector<Datum> elements = array_elements(stored, element);
  bool nulls = false;
  for (const Datum& value : elements) nulls = nulls || value.null();
  std::string out;
  put(out, elements.empty() ? 0 : 1, 4);
  put(out, nulls ? 1 : 0, 4);
  put(out, element, 4);
  if (elements.empty()) return out;
  put(out, elements.size(), 4);
  put(out, 1, 4);
  for (const Datum& value : elements) {
    if (value.null()) {
      put(out, 0xffffffff, 4);
      continue;
    }
    const std::string bytes = to_binary(value, element, context);
    put(out, bytes.size(), 4);
    out += bytes;
  }
  return out;
}

}  // namespace

Datum from_binary(std::string_view bytes, Type type, const ConversionContext& context) {
  if (is_array(type.oid)) return array_from_binary(bytes, type, context);
  switch (type.oid) {
    case oid::kBool:
      return Datum::of_bool(load(bytes, 1) != 0);
    case oid::kInt2:
      return Datum::of(std::int64_t{static_cast<std::int16_t>(load(bytes, 2))});
    case oid::kInt4:
      return Datum::of(std::int64_t{static_cast<std::int32_t>(load(bytes, 4))});
    case oid::kInt8:
      return Datum::of(static_cast<std::int64_t>(load(bytes, 8)));
    case oid::kOid:
    case oid::kXid:
      return Datum::of(static_cast<std::int64_t>(load(bytes, 4)));
    case oid::kFloat4: {
      const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(load(bytes, 4)));
      if (std::isnan(value)) unsupported("NaN of a floating-point type");
      return Datum::of(double{value});
    }
    case oid::kFloat8: {
      const auto value = std::bit_cast<double>(load(bytes, 8));
      if (std::isnan(value)) unsupported("NaN of a floating-point type");
      return Datum::of(value);
    }
    case oid::kNumeric:
      return Datum::of(numeric_from_binary(bytes).to_string());
    case oid::kDate:
      return Datum::of(date_from_binary(bytes));
    case oid::kTime:
      return Datum::of(static_cast<std::int64_t>(load(bytes, 8)));
    case oid::kTimestamp:
    case oid::kTimestamptz:
      return Datum::of(moment_from_binary(bytes));
    case oid::kInterval:
      return Datum::of(interval_from_binary(bytes).to_string());
    case oid::kBytea:
      return Datum::blob(std::string(bytes));
    case oid::kUuid:
      if (bytes.size() != 16) malformed();
      return from_text(hex(bytes), type, context);
    case oid::kJsonb:
      if (!bytes.starts_with('\1')) malformed();
      return from_text(bytes.substr(1), type, context);
    default:
      break;
  }
  if (is_reg(type.oid)) return Datum::of(static_cast<std::int64_t>(load(bytes, 4)));
  return from_text(bytes, type, context);
}

std::string to_binary(const Datum& value, Oid type, const ConversionContext& context) {
  if (is_array(type)) return array_to_binary(value.text, element_of(type), context);
  switch (type) {
    case oid::kBool:
      return to_bytes(value.integer != 0 ? 1 : 0, 1);
    case oid::kInt2:
      return to_bytes(static_cast<std::uint64_t>(value.integer), 2);
    case oid::kInt4:
    case oid::kOid:
    case oid::kXid:
      return to_bytes(static_cast<std::uint64_t>(value.integer), 4);
    case oid::kInt8:
    case oid::kTime:
      return to_bytes(static_cast<std::uint64_t>(value.integer), 8);
    case oid::kFloat4:
      return to_bytes(std::bit_cast<std::uint32_t>(static_cast<float>(value.as_real())), 4);
    case oid::kFloat8:
      return to_bytes(std::bit_cast<std::uint64_t>(value.as_real()), 8);
    case oid::kNumeric:
      return numeric_to_binary(Decimal::read(value.text));
    case oid::kDate:
      return date_to_binary(value.integer);
    case oid::kTimestamp:
    case oid::kTimestamptz:
      return moment_to_binary(value.integer);
    case oid::kInterval: {
      const Interval interval = Interval::read(value.text);
      return to_bytes(static_cast<std::uint64_t>(interval.micros), 8) +
             to_bytes(static_cast<std::uint32_t>(interval.days), 4) +
             to_bytes(static_cast<std::uint32_t>(interval.months), 4);
    }
    case oid::kUuid:
      return uuid_to_binary(value.text);
    case oid::kJsonb:
      return "\1" + value.text;
    case oid::kVoid:
      return "";
    case oid::kBytea:
      return value.text;
    case oid::kInt2Vector:
    case oid::kOidVector:
    case oid::kRecord:
      unsupported("the binary format of " + format_type({type}));
    default:
      break;
  }
  if (is_reg(type)) return to_bytes(static_cast<std::uint64_t>(value.integer), 4);
  return to_text(value, type, context);
}

}  // namespace calf::sqlite
