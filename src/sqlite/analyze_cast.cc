// Conversions between types inside of expressions.
#include <cmath>

#include "sqlite/analyzer.h"
#include "sqlite/decimal.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

std::string literal_sql(const Datum& value) {
  switch (value.kind) {
    case Datum::Kind::kNull:
      return "NULL";
    case Datum::Kind::kInteger:
      return value.integer == INT64_MIN ? "(-9223372036854775807 - 1)"
                                        : std::to_string(value.integer);
    case Datum::Kind::kReal: {
      if (std::isinf(value.real)) return value.real > 0 ? "9e999" : "-9e999";
      char text[64];
      std::snprintf(text, sizeof text, "%.17g", value.real);
      const std::string digits = text;
      return digits.find_first_of(".e") == std::string::npos ? digits + ".0" : digits;
    }
    case Datum::Kind::kText:
      return quote_text(value.text);
    case Datum::Kind::kBlob: {
      std::string out = "X'";
      for (const char c : value.text) {
        out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
        out += "0123456789abcdef"[c & 15];
      }
      return out + "'";
    }
  }
  return "NULL";
}

// Both lie the same way in SQLite, and every value of the one is a value of the other as it is.
bool same_representation(Oid from, Oid to) {
  if (from == to) return true;
  const auto small = [](Oid type) { return is_integer(type) || type == oid::kOid || is_reg(type); };
  if (small(from) && small(to)) {
    const bool wider = to == oid::kInt8 || (to == oid::kInt4 && from == oid::kInt2);
    return wider || to == oid::kOid || (is_reg(to) && from == oid::kOid);
  }
  if (to == oid::kFloat8 && from == oid::kFloat4) return true;
  if (is_string(from) && is_string(to))
    return from != oid::kBpchar && (to == oid::kText || to == oid::kVarchar || to == oid::kBpchar);
  if ((from == oid::kText || from == oid::kVarchar) && to == oid::kUnknown) return true;
  return (from == oid::kJsonb && (to == oid::kJson || to == oid::kText)) ||
         (from == oid::kJson && to == oid::kText) ||
         ((from == oid::kUuid || from == oid::kNumeric || from == oid::kInterval ||
           from == oid::kNodeTree) &&
          to == oid::kText) ||
         (from == oid::kBool && to == oid::kInt4);
}

bool has_modifier(Type type) {
  return type.typmod >= 0;
}

int preference(Oid type) {
  switch (type) {
    case oid::kInt2:
      return 1;
    case oid::kInt4:
      return 2;
    case oid::kInt8:
      return 3;
    case oid::kNumeric:
      return 4;
    case oid::kFloat4:
      return 5;
    case oid::kFloat8:
      return 6;
    default:
      return 0;
  }
}

}  // namespace

Expr Analyzer::literal(const Datum& value, Type type) {
  return {.sql = literal_sql(value),
          .type = type,
          .form = value.null() ? Expr::Form::kNull : Expr::Form::kPlain,
          .not_null = !value.null()};
}

std::string Analyzer::collated(const Expr& value) {
  const std::string_view collation = collation_of(value.type.oid);
  return collation.empty() ? value.sql : value.sql + " COLLATE " + std::string(collation);
}

Expr Analyzer::coerce(Expr value, Type target, CastContext context, int location) {
  if (location < 0) location = value.location;
  const std::string name = value.name;
  const auto renamed = [&](Expr made) {
    made.name = name;
    made.location = location;
    return made;
  };
  if (value.form == Expr::Form::kNull)
    return renamed({.sql = "NULL", .type = target, .form = Expr::Form::kNull});
  if (value.form == Expr::Form::kParameter && value.unknown()) {
    Oid& known = options_.parameter_types[static_cast<std::size_t>(value.parameter - 1)];
    if (known == 0) known = target.oid;
    value.type = {known};
    value.form = Expr::Form::kPlain;
    if (known == target.oid && !has_modifier(target)) return value;
  }
  if (value.form == Expr::Form::kLiteral && value.unknown()) {
    try {
      const Type plain{target.oid, context == CastContext::kExplicit && is_string(target.oid)
                                       ? -1
                                       : target.typmod};
      Datum datum = from_text(value.literal, plain, *options_.conversion);
      if (context == CastContext::kExplicit && is_string(target.oid))
        datum = cast_datum(datum, oid::kText, target, true, *options_.conversion);
      return renamed(literal(datum, target));
    } catch (SqlError& error) {
      if (error.report.position == 0)
        error.report.position = static_cast<std::uint32_t>(value.location + 1);
      throw;
    }
  }
  const Oid from = value.unknown() ? oid::kText : value.type.oid;
  if (!can_cast(value.type.oid, target.oid, context)) {
    raise_at(location, "42846",
             "cannot cast type " + format_type({from}) + " to " + format_type({target.oid}));
  }
  if (target.oid == oid::kAny || target.oid == oid::kUnknown) return value;
  const bool modified = has_modifier(target) && !(value.type == target);
  if (same_representation(from, target.oid) && !modified) {
    value.type = target;
    if (from != target.oid) value.form = Expr::Form::kPlain;
    return value;
  }
  // Constants are converted here, so that indexes can be used.
  if (value.form == Expr::Form::kLiteral && !value.unknown()) {
    return renamed(
        literal(cast_datum(from_text(value.literal, value.type, *options_.conversion), from, target,
                           context == CastContext::kExplicit, *options_.conversion),
                target));
  }
  if ((is_integer(from)) && target.oid == oid::kFloat8) {
    return renamed(
        {.sql = "CAST(" + value.sql + " AS REAL)", .type = target, .not_null = value.not_null});
  }
  if ((is_integer(from)) &&
      ((is_string(target.oid) && !modified) || (target.oid == oid::kNumeric && !modified))) {
    return renamed(
        {.sql = "CAST(" + value.sql + " AS TEXT)", .type = target, .not_null = value.not_null});
  }
  const std::string sql = "\"calf_cast(any,int4,int4,int4,int4)\"(" + value.sql + ", " +
                          std::to_string(from) + ", " + std::to_string(target.oid) + ", " +
                          std::to_string(target.typmod) + ", " +
                          (context == CastContext::kExplicit ? "1" : "0") + ")";
  return renamed({.sql = sql, .type = target, .not_null = value.not_null && from != oid::kJsonb});
}

Expr Analyzer::to_text(Expr value) {
  return coerce(std::move(value), {oid::kText}, CastContext::kExplicit);
}

// UNION, CASE, COALESCE, ARRAY[]: PostgreSQL's select_common_type.
Type Analyzer::common_type(const std::vector<const Expr*>& values, const char* what) {
  Type chosen{oid::kUnknown};
  bool same_modifier = true;
  for (const Expr* value : values) {
    if (value->unknown()) continue;
    if (chosen.oid == oid::kUnknown) {
      chosen = value->type;
      continue;
    }
    if (value->type.oid == chosen.oid) {
      same_modifier = same_modifier && value->type.typmod == chosen.typmod;
      continue;
    }
    same_modifier = false;
    const bool numbers = is_number(value->type.oid) && is_number(chosen.oid);
    const TypeInfo* a = find_type(chosen.oid);
    const TypeInfo* b = find_type(value->type.oid);
    if (numbers) {
      if (preference(value->type.oid) > preference(chosen.oid)) chosen = value->type;
      continue;
    }
    if (a == nullptr || b == nullptr || a->category != b->category) {
      raise_at(value->location, "42804",
               std::string(what) + " types " + format_type({chosen.oid}) + " and " +
                   format_type({value->type.oid}) + " cannot be matched");
    }
    if (!a->preferred && can_cast(chosen.oid, value->type.oid, CastContext::kImplicit) &&
        !can_cast(value->type.oid, chosen.oid, CastContext::kImplicit)) {
      chosen = value->type;
    } else if (!a->preferred && b->preferred) {
      chosen = value->type;
    }
  }
  if (chosen.oid == oid::kUnknown) chosen.oid = oid::kText;
  if (!same_modifier) chosen.typmod = -1;
  return chosen;
}

}  // namespace calf::sqlite
