// Casts between types, as PostgreSQL's pg_cast and its input and output functions do them.
#include <cmath>

#include "sqlite/array_text.h"
#include "sqlite/datum.h"
#include "sqlite/decimal.h"
#include "sqlite/json.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

[[noreturn]] void out_of_range(Oid type) {
  raise("22003", std::string(type_info(type).sql_name) + " out of range");
}

std::int64_t float_to_integer(double value, Oid type) {
  const double rounded = std::nearbyint(value);
  if (!(rounded >= -9223372036854775808.0 && rounded < 9223372036854775808.0)) out_of_range(type);
  return check_integer(static_cast<std::int64_t>(rounded), type);
}

double to_float(double value, Oid type) {
  if (type == oid::kFloat8) return value;
  const auto narrow = static_cast<float>(value);
  if (std::isinf(narrow) && !std::isinf(value)) raise("22003", "value out of range: overflow");
  if (narrow == 0 && value != 0) raise("22003", "value out of range: underflow");
  return narrow;
}

Decimal to_decimal(const Datum& value, Oid from) {
  if (value.kind == Datum::Kind::kInteger) return Decimal::of(value.integer);
  if (value.kind == Datum::Kind::kReal)
    return Decimal::of(value.real, from == oid::kFloat4 ? 6 : 15);
  return Decimal::read(value.text);
}

Datum cast_number(const Datum& value, Oid from, Type to) {
  if (to.oid == oid::kNumeric) {
    const Decimal number = to_decimal(value, from);
    const auto modifier = numeric_modifier(to.typmod);
    return Datum::of((modifier ? number.fit(*modifier) : number).to_string());
  }
  if (is_integer(to.oid)) {
    if (from == oid::kNumeric) {
      const Decimal number = Decimal::read(value.text);
      if (!number.finite()) {
        unsupported(std::string("a cast of ") + number.to_string() + " to " +
                    type_info(to.oid).sql_name);
      }
      const auto integer = number.to_int64();
      if (!integer) out_of_range(to.oid);
      return Datum::of(check_integer(*integer, to.oid));
    }
    if (is_integer(from)) return Datum::of(check_integer(value.integer, to.oid));
    return Datum::of(float_to_integer(value.as_real(), to.oid));
  }
  if (from == oid::kNumeric) return from_text(value.text, {to.oid}, {});
  return Datum::of(to_float(value.as_real(), to.oid));
}

std::int64_t day_of(std::int64_t micros) {
  if (micros == kInfinity || micros == kMinusInfinity) return micros;
  return micros / kMicrosPerDay - (micros % kMicrosPerDay < 0 ? 1 : 0);
}

std::int64_t midnight(std::int64_t days) {
  if (days == kInfinity || days == kMinusInfinity) return days;
  std::int64_t micros = 0;
  if (__builtin_mul_overflow(days, kMicrosPerDay, &micros)) {
    raise("22008", "date out of range for timestamp");
  }
  return micros;
}

bool finite(std::int64_t micros) {
  return micros != kInfinity && micros != kMinusInfinity;
}

Datum cast_moment(const Datum& value, Oid from, Type to, const ConversionContext& context) {
  const Zone& zone = *context.clock.zone;
  const auto local = [&](std::int64_t utc) { return finite(utc) ? zone.to_local(utc) : utc; };
  const auto utc = [&](std::int64_t micros) {
    return finite(micros) ? zone.to_utc(micros) : micros;
  };
  // First to a local timestamp, then on.
  std::int64_t micros = value.integer;
  if (from == oid::kDate) micros = midnight(micros);
  if (from == oid::kTimestamptz && to.oid != oid::kTimestamptz) micros = local(micros);
  switch (to.oid) {
    case oid::kDate:
      return Datum::of(day_of(micros));
    case oid::kTime:
      return Datum::of(
          round_micros(micros - day_of(micros) * kMicrosPerDay, to.typmod >= 0 ? to.typmod : 6));
    case oid::kTimestamptz:
      if (from != oid::kTimestamptz) micros = utc(micros);
      break;
    default:
      break;
  }
  return Datum::of(round_micros(micros, to.typmod >= 0 ? to.typmod : 6));
}

bool is_moment(Oid type) {
  return type == oid::kDate || type == oid::kTimestamp || type == oid::kTimestamptz;
}

Datum cast_array(const Datum& value, Oid from, Type to, bool explicitly,
                 const ConversionContext& context) {
  std::vector<Datum> elements = array_elements(value.text, element_of(from));
  const Type element{element_of(to.oid), to.typmod};
  for (Datum& item : elements)
    item = cast_datum(item, element_of(from), element, explicitly, context);
  return Datum::of(store_array(elements, element.oid));
}

Datum cast_jsonb(const Datum& value, Type to, const ConversionContext& context) {
  const Json json = Json::parse(value.text);
  if (to.oid == oid::kBool && (json.kind == Json::Kind::kTrue || json.kind == Json::Kind::kFalse)) {
    return Datum::of_bool(json.kind == Json::Kind::kTrue);
  }
  if (json.kind == Json::Kind::kNull) return {};
  if (to.oid == oid::kBool || json.kind != Json::Kind::kNumber) {
    raise("22023", std::string("cannot cast jsonb ") +
                       (json.kind == Json::Kind::kTrue || json.kind == Json::Kind::kFalse
                            ? "boolean"
                            : json.type_name()) +
                       " to type " + type_info(to.oid).sql_name);
  }
  return cast_datum(Datum::of(json.text), oid::kNumeric, to, true, context);
}

// "1 2 3" of a vector type as an array's JSON.
std::string vector_to_array(std::string_view text) {
  std::string out = "[";
  for (const char c : text) out += c == ' ' ? ',' : c;
  return out + "]";
}

std::string strip_trailing_spaces(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace

Datum cast_datum(const Datum& value, Oid from, Type to, bool explicitly,
                 const ConversionContext& context) {
  if (value.null()) return {};
  if (is_number(from) && is_number(to.oid)) return cast_number(value, from, to);
  if (is_string(from) && is_string(to.oid)) {
    const bool padded = from == oid::kBpchar && to.oid != oid::kBpchar;
    return Datum::of(
        fit_string(padded ? strip_trailing_spaces(value.text) : value.text, to, explicitly));
  }
  if (is_moment(from) && (is_moment(to.oid) || to.oid == oid::kTime)) {
    return cast_moment(value, from, to, context);
  }
  if ((from == oid::kOidVector || from == oid::kInt2Vector) && is_array(to.oid)) {
    return Datum::of(vector_to_array(value.text));
  }
  if (is_array(from) && is_array(to.oid)) return cast_array(value, from, to, explicitly, context);
  if (from == oid::kInterval && to.oid == oid::kTime) {
    const std::int64_t rest = Interval::read(value.text).micros % kMicrosPerDay;
    return Datum::of(rest < 0 ? rest + kMicrosPerDay : rest);
  }
  if (from == oid::kTime && to.oid == oid::kInterval) {
    return Datum::of(Interval{.micros = value.integer}.to_string());
  }
  if (from == oid::kJsonb && to.oid != oid::kJson && !is_string(to.oid))
    return cast_jsonb(value, to, context);
  if (from == oid::kBool && is_integer(to.oid)) return value;
  if (is_integer(from) && to.oid == oid::kBool) return Datum::of_bool(value.integer != 0);
  const bool from_number =
      is_integer(from) || from == oid::kOid || is_reg(from) || from == oid::kXid;
  if (from_number && (to.oid == oid::kOid || is_reg(to.oid) || is_integer(to.oid))) {
    if (to.oid != oid::kInt8 && (value.integer < INT32_MIN || value.integer > UINT32_MAX))
      out_of_range(to.oid == oid::kInt4 ? oid::kInt4 : oid::kOid);
    return value;
  }
  if (from == oid::kBool && is_string(to.oid)) {
    return Datum::of(fit_string(value.integer != 0 ? "true" : "false", to, explicitly));
  }
  if (is_string(to.oid)) {
    return Datum::of(fit_string(to_text(value, from, context), to, explicitly));
  }
  if (is_string(from) || from == oid::kUnknown) return from_text(value.text, to, context);
  return from_text(to_text(value, from, context), to, context);
}

}  // namespace calf::sqlite
