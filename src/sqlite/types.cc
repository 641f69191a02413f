#include "sqlite/types.h"

#include <array>
#include <unordered_map>

#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

using enum Storage;

const std::vector<TypeInfo>& table() {
  static const std::vector<TypeInfo> types = {
      {oid::kBool, "bool", "boolean", 1000, 1, 'B', true, kInteger, ""},
      {oid::kBytea, "bytea", "bytea", 1001, -1, 'U', false, kBlob, ""},
      {oid::kChar, "char", "\"char\"", 1002, 1, 'Z', false, kText, ""},
      {oid::kName, "name", "name", 1003, 64, 'S', false, kText, ""},
      {oid::kInt8, "int8", "bigint", 1016, 8, 'N', false, kInteger, ""},
      {oid::kInt2, "int2", "smallint", 1005, 2, 'N', false, kInteger, ""},
      {oid::kInt2Vector, "int2vector", "int2vector", 1006, -1, 'A', false, kText, ""},
      {oid::kInt4, "int4", "integer", 1007, 4, 'N', false, kInteger, ""},
      {oid::kRegproc, "regproc", "regproc", 1008, 4, 'N', false, kInteger, ""},
      {oid::kText, "text", "text", 1009, -1, 'S', true, kText, ""},
      {oid::kOid, "oid", "oid", 1028, 4, 'N', true, kInteger, ""},
      {oid::kTid, "tid", "tid", 1010, 6, 'U', false, kText, ""},
      {oid::kXid, "xid", "xid", 1011, 4, 'U', false, kInteger, ""},
      {oid::kOidVector, "oidvector", "oidvector", 1013, -1, 'A', false, kText, ""},
      {oid::kJson, "json", "json", 199, -1, 'U', false, kText, "", false},
      {oid::kNodeTree, "pg_node_tree", "pg_node_tree", 0, -1, 'Z', false, kText, "", false},
      {oid::kFloat4, "float4", "real", 1021, 4, 'N', false, kReal, ""},
      {oid::kFloat8, "float8", "double precision", 1022, 8, 'N', true, kReal, ""},
      {oid::kUnknown, "unknown", "unknown", 0, -2, 'X', false, kText, ""},
      {oid::kAclItem, "aclitem", "aclitem", 1034, 16, 'U', false, kText, "", false},
      {oid::kBpchar, "bpchar", "character", 1014, -1, 'S', false, kText, "RTRIM"},
      {oid::kVarchar, "varchar", "character varying", 1015, -1, 'S', false, kText, ""},
      {oid::kDate, "date", "date", 1182, 4, 'D', false, kInteger, ""},
      {oid::kTime, "time", "time without time zone", 1183, 8, 'D', false, kInteger, ""},
      {oid::kTimestamp, "timestamp", "timestamp without time zone", 1115, 8, 'D', false, kInteger,
       ""},
      {oid::kTimestamptz, "timestamptz", "timestamp with time zone", 1185, 8, 'D', true, kInteger,
       ""},
      {oid::kInterval, "interval", "interval", 1187, 16, 'T', true, kText, "pg_interval"},
      {oid::kNumeric, "numeric", "numeric", 1231, -1, 'N', false, kText, "pg_numeric"},
      {oid::kRegclass, "regclass", "regclass", 2210, 4, 'N', false, kInteger, ""},
      {oid::kRegtype, "regtype", "regtype", 2211, 4, 'N', false, kInteger, ""},
      {oid::kUuid, "uuid", "uuid", 2951, 16, 'U', false, kText, ""},
      {oid::kJsonb, "jsonb", "jsonb", 3807, -1, 'U', false, kText, "pg_jsonb"},
      {oid::kRegnamespace, "regnamespace", "regnamespace", 4090, 4, 'N', false, kInteger, ""},
      {oid::kRegrole, "regrole", "regrole", 4097, 4, 'N', false, kInteger, ""},
      {oid::kRecord, "record", "record", 2287, -1, 'P', false, kText, "", false},
      {oid::kAny, "any", "\"any\"", 0, 4, 'P', false, kText, ""},
      {oid::kAnyArray, "anyarray", "anyarray", 0, -1, 'P', false, kText, ""},
      {oid::kVoid, "void", "void", 0, 4, 'P', false, kText, ""},
      {oid::kTrigger, "trigger", "trigger", 0, 4, 'P', false, kText, ""},
      {oid::kAnyElement, "anyelement", "anyelement", 0, 4, 'P', false, kText, ""},
      {oid::kAnyNonArray, "anynonarray", "anynonarray", 0, 4, 'P', false, kText, ""},
  };
  return types;
}

struct Indexes {
  std::unordered_map<Oid, const TypeInfo*> by_oid;
  std::unordered_map<std::string_view, const TypeInfo*> by_name;
  std::unordered_map<Oid, Oid> element;
};

const Indexes& indexes() {
  static const Indexes made = [] {
    Indexes indexes;
    for (const TypeInfo& type : table()) {
      indexes.by_oid[type.oid] = &type;
      indexes.by_name[type.name] = &type;
      indexes.by_name.emplace(type.sql_name, &type);
      if (type.array != 0) indexes.element[type.array] = type.oid;
    }
    return indexes;
  }();
  return made;
}

// The order of implicit casts among numbers.
int number_rank(Oid type) {
  constexpr std::array kOrder = {oid::kInt2,    oid::kInt4,   oid::kInt8,
                                 oid::kNumeric, oid::kFloat4, oid::kFloat8};
  for (std::size_t i = 0; i < kOrder.size(); ++i) {
    if (kOrder[i] == type) return static_cast<int>(i);
  }
  return -1;
}

bool cast_numbers(Oid from, Oid to, CastContext context) {
  return context != CastContext::kImplicit || number_rank(from) < number_rank(to);
}

// Moments: implicitly to the wider ones, by assignment to the narrower ones.
std::optional<bool> cast_moments(Oid from, Oid to, CastContext context) {
  const auto is = [&](Oid a, Oid b) { return from == a && to == b; };
  using namespace oid;
  if (is(kDate, kTimestamp) || is(kDate, kTimestamptz) || is(kTimestamp, kTimestamptz) ||
      is(kTime, kInterval)) {
    return true;
  }
  if (is(kTimestamp, kDate) || is(kTimestamptz, kDate) || is(kTimestamptz, kTimestamp) ||
      is(kTimestamp, kTime) || is(kTimestamptz, kTime) || is(kInterval, kTime)) {
    return context != CastContext::kImplicit;
  }
  return std::nullopt;
}

std::optional<bool> cast_oids(Oid from, Oid to, CastContext context) {
  const bool from_oid = from == oid::kOid || is_reg(from);
  const bool to_oid = to == oid::kOid || is_reg(to);
  if (from_oid && to_oid) return from == oid::kOid || to == oid::kOid;
  if (is_integer(from) && to_oid) return true;
  if (from_oid && to == oid::kInt8) return true;
  if (from_oid && to == oid::kInt4) return context != CastContext::kImplicit;
  if (to == oid::kRegclass && is_string(from)) return true;
  return std::nullopt;
}

std::string with_modifier(const TypeInfo& type, std::int32_t typmod) {
  std::string name = type.sql_name;
  if (typmod < 0) return name;
  if (const auto numeric = numeric_modifier(typmod); type.oid == oid::kNumeric && numeric) {
    return name + "(" + std::to_string(numeric->precision) + "," + std::to_string(numeric->scale) +
           ")";
  }
  if (type.oid == oid::kVarchar || type.oid == oid::kBpchar) {
    return name + "(" + std::to_string(typmod - 4) + ")";
  }
  if (type.category == 'D' || type.oid == oid::kInterval) {
    const std::string precision = "(" + std::to_string(typmod & 0xffff) + ")";
    const std::size_t space = std::min(name.find(' '), name.size());
    return name.insert(space, precision);
  }
  return name;
}

}  // namespace

const TypeInfo* find_type(Oid type) {
  const auto& map = indexes().by_oid;
  const auto found = map.find(type);
  return found == map.end() ? nullptr : found->second;
}

const TypeInfo* find_type(std::string_view name) {
  const auto& map = indexes().by_name;
  const auto found = map.find(name);
  return found == map.end() ? nullptr : found->second;
}

const TypeInfo& type_info(Oid type) {
  const TypeInfo* info = find_type(type);
  if (info == nullptr) unsupported("the type with oid " + std::to_string(type));
  return *info;
}

const std::vector<TypeInfo>& all_types() {
  return table();
}

Oid element_of(Oid array) {
  const auto& map = indexes().element;
  const auto found = map.find(array);
  return found == map.end() ? 0 : found->second;
}

Oid array_of(Oid element) {
  const TypeInfo& info = type_info(element == oid::kUnknown ? oid::kText : element);
  if (info.array == 0) unsupported(std::string("an array of ") + info.sql_name);
  return info.array;
}

bool is_string(Oid type) {
  return type == oid::kText || type == oid::kVarchar || type == oid::kBpchar ||
         type == oid::kName || type == oid::kChar;
}
bool is_integer(Oid type) {
  return type == oid::kInt2 || type == oid::kInt4 || type == oid::kInt8;
}
bool is_number(Oid type) {
  return number_rank(type) >= 0;
}
bool is_reg(Oid type) {
  return type == oid::kRegclass || type == oid::kRegtype || type == oid::kRegproc ||
         type == oid::kRegnamespace || type == oid::kRegrole;
}

Storage storage_of(Oid type) {
  return is_array(type) ? kText : type_info(type).storage;
}

std::int16_t size_of(Oid type) {
  const TypeInfo* info = find_type(type);
  return info == nullptr ? std::int16_t{-1} : info->size;
}

std::string_view collation_of(Oid type) {
  const TypeInfo* info = find_type(type);
  return info == nullptr ? "" : info->collation;
}

std::string format_type(Type type) {
  if (const Oid element = element_of(type.oid); element != 0) {
    return format_type({element, type.typmod}) + "[]";
  }
  const TypeInfo* info = find_type(type.oid);
  return info == nullptr ? "???" : with_modifier(*info, type.typmod);
}

std::optional<NumericModifier> numeric_modifier(std::int32_t typmod) {
  if (typmod < 4) return std::nullopt;
  const std::int32_t packed = typmod - 4;
  const int scale = ((packed & 0x7ff) ^ 1024) - 1024;
  return NumericModifier{.precision = (packed >> 16) & 0xffff, .scale = scale};
}

bool can_cast(Oid from, Oid to, CastContext context) {
  const bool explicitly = context == CastContext::kExplicit;
  if (from == to || from == oid::kUnknown || to == oid::kAny) return true;
  if (is_number(from) && is_number(to)) return cast_numbers(from, to, context);
  if (is_string(from) && is_string(to)) {
    return from != oid::kChar || to != oid::kName || explicitly;
  }
  if (const auto known = cast_moments(from, to, context)) return *known;
  if (const auto known = cast_oids(from, to, context)) return *known;
  if ((from == oid::kJson && to == oid::kJsonb) || (from == oid::kJsonb && to == oid::kJson)) {
    return context != CastContext::kImplicit;
  }
  if (from == oid::kJsonb && (is_number(to) || to == oid::kBool)) return explicitly;
  if ((from == oid::kBool && to == oid::kInt4) || (from == oid::kInt4 && to == oid::kBool)) {
    return explicitly;
  }
  if (is_array(from) && is_array(to)) return can_cast(element_of(from), element_of(to), context);
  if (from == oid::kNodeTree || from == oid::kOidVector || from == oid::kInt2Vector) {
    return is_string(to) || to == oid::kTextArray || is_array(to);
  }
  // Anything has a text: out of it by assignment, into it explicitly.
  if (is_string(to)) return context != CastContext::kImplicit;
  return is_string(from) && explicitly;
}

}  // namespace calf::sqlite
