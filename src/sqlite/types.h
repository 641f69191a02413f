// PostgreSQL's types as far as this engine has them: names, oids, and how SQLite stores them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace calf::sqlite {

using Oid = std::uint32_t;

namespace oid {
constexpr Oid kBool = 16, kBytea = 17, kChar = 18, kName = 19, kInt8 = 20, kInt2 = 21,
              kInt2Vector = 22, kInt4 = 23, kRegproc = 24, kText = 25, kOid = 26, kTid = 27,
              kXid = 28, kOidVector = 30, kJson = 114, kNodeTree = 194, kFloat4 = 700,
              kFloat8 = 701, kUnknown = 705, kAclItem = 1033, kBpchar = 1042, kVarchar = 1043,
              kDate = 1082, kTime = 1083, kTimestamp = 1114, kTimestamptz = 1184, kInterval = 1186,
              kNumeric = 1700, kRegclass = 2205, kRegtype = 2206, kRecord = 2249, kAny = 2276,
              kAnyArray = 2277, kVoid = 2278, kAnyElement = 2283, kUuid = 2950, kJsonb = 3802,
              kRegnamespace = 4089, kRegrole = 4096, kTextArray = 1009, kInt4Array = 1007,
              kAnyNonArray = 2776, kTrigger = 2279;
}  // namespace oid

// How a value lies in SQLite. Text types also say by which collation they compare.
enum class Storage { kInteger, kReal, kText, kBlob };

struct TypeInfo {
  Oid oid;
  const char* name;      // of pg_type: int4
  const char* sql_name;  // of format_type: integer
  Oid array;             // 0: none here
  std::int16_t size;     // typlen
  char category;         // typcategory
  bool preferred;        // typispreferred
  Storage storage;
  const char* collation;  // of SQLite; "": BINARY
  bool ordered = true;    // has < and =
};

struct Type {
  Oid oid = oid::kUnknown;
  std::int32_t typmod = -1;
  bool operator==(const Type&) const = default;
};

// nullptr: no such type here. Any thread.
const TypeInfo* find_type(Oid oid);
const TypeInfo* find_type(std::string_view name);  // int4 or integer
// The one that must be there. Raises 0A000 with the oid otherwise.
const TypeInfo& type_info(Oid oid);
const std::vector<TypeInfo>& all_types();  // scalars, then pseudo-types; no arrays

// The element's type of an array type; 0: not an array.
Oid element_of(Oid array);
// The array type of a type. Raises 0A000 when there is none here.
Oid array_of(Oid element);
inline bool is_array(Oid type) {
  return element_of(type) != 0;
}
bool is_string(Oid type);   // text, varchar, bpchar, name, "char"
bool is_integer(Oid type);  // int2, int4, int8
bool is_number(Oid type);   // those, numeric, float4, float8
bool is_reg(Oid type);      // regclass, regtype, …: a number that prints as a name
Storage storage_of(Oid type);
std::int16_t size_of(Oid type);
// "": BINARY. Arrays: BINARY.
std::string_view collation_of(Oid type);

// "character varying(10)", "numeric(8,2)", "timestamp(3) with time zone", "integer[]".
std::string format_type(Type type);

// numeric(p,s): the modifier's parts; nothing when unconstrained.
struct NumericModifier {
  int precision;
  int scale;
};
std::optional<NumericModifier> numeric_modifier(std::int32_t typmod);

enum class CastContext { kImplicit, kAssignment, kExplicit };
// Whether PostgreSQL casts `from` to `to` in this context (pg_cast, and text by input and output).
bool can_cast(Oid from, Oid to, CastContext context);

}  // namespace calf::sqlite
