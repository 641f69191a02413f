#include "sqlite/type_functions.h"

#include <algorithm>

namespace calf::sqlite {
namespace {

// From pg_type of PostgreSQL 18.
constexpr TypeFunctions kFunctions[] = {
    {oid::kBool, "bool", {1242, 1243, 2436, 2437}},
    {oid::kBytea, "bytea", {1244, 31, 2412, 2413}},
    {oid::kChar, "char", {1245, 33, 2434, 2435}},
    {oid::kName, "name", {34, 35, 2422, 2423}},
    {oid::kInt8, "int8", {460, 461, 2408, 2409}},
    {oid::kInt2, "int2", {38, 39, 2404, 2405}},
    {oid::kInt2Vector, "int2vector", {40, 41, 2410, 2411}},
    {oid::kInt4, "int4", {42, 43, 2406, 2407}},
    {oid::kRegproc, "regproc", {44, 45, 2444, 2445}},
    {oid::kText, "text", {46, 47, 2414, 2415}},
    {oid::kOid, "oid", {1798, 1799, 2418, 2419}},
    {oid::kTid, "tid", {48, 49, 2438, 2439}},
    {oid::kXid, "xid", {50, 51, 2440, 2441}},
    {oid::kOidVector, "oidvector", {54, 55, 2420, 2421}},
    {oid::kJson, "json_", {321, 322, 323, 324}},
    {oid::kNodeTree, "pg_node_tree_", {195, 196, 197, 198}},
    {oid::kFloat4, "float4", {200, 201, 2424, 2425}},
    {oid::kFloat8, "float8", {214, 215, 2426, 2427}},
    {oid::kUnknown, "unknown", {109, 110, 2416, 2417}},
    {oid::kAclItem, "aclitem", {1031, 1032, 0, 0}},
    {oid::kBpchar, "bpchar", {1044, 1045, 2430, 2431}},
    {oid::kVarchar, "varchar", {1046, 1047, 2432, 2433}},
    {oid::kDate, "date_", {1084, 1085, 2468, 2469}},
    {oid::kTime, "time_", {1143, 1144, 2470, 2471}},
    {oid::kTimestamp, "timestamp_", {1312, 1313, 2474, 2475}},
    {oid::kTimestamptz, "timestamptz_", {1150, 1151, 2476, 2477}},
    {oid::kInterval, "interval_", {1160, 1161, 2478, 2479}},
    {oid::kNumeric, "numeric_", {1701, 1702, 2460, 2461}},
    {oid::kRegprocedure, "regprocedure", {2212, 2213, 2446, 2447}},
    {oid::kRegclass, "regclass", {2218, 2219, 2452, 2453}},
    {oid::kRegtype, "regtype", {2220, 2221, 2454, 2455}},
    {oid::kRecord, "record_", {2290, 2291, 2402, 2403}},
    {oid::kAny, "any_", {2294, 2295, 0, 0}},
    {oid::kAnyArray, "anyarray_", {2296, 2297, 2502, 2503}},
    {oid::kVoid, "void_", {2298, 2299, 3120, 3121}},
    {oid::kTrigger, "trigger_", {2300, 2301, 0, 0}},
    {oid::kAnyElement, "anyelement_", {2312, 2313, 0, 0}},
    {oid::kAnyNonArray, "anynonarray_", {2777, 2778, 0, 0}},
    {oid::kUuid, "uuid_", {2952, 2953, 2961, 2962}},
    {oid::kJsonb, "jsonb_", {3806, 3804, 3805, 3803}},
    {oid::kRegnamespace, "regnamespace", {4084, 4085, 4087, 4088}},
    {oid::kRegrole, "regrole", {4098, 4092, 4094, 4095}},
};
constexpr TypeFunctions kArrays = {0, "array_", {750, 751, 2400, 2401}};
constexpr TypeFunctions kEnums = {0, "enum_", {3506, 3507, 3532, 3533}};
constexpr TypeFunctions kNone = {0, "", {0, 0, 0, 0}};

const std::vector<TypeFunctions>& all() {
  static const std::vector<TypeFunctions> functions = [] {
    std::vector<TypeFunctions> made(std::begin(kFunctions), std::end(kFunctions));
    made.push_back(kArrays);
    made.push_back(kEnums);
    return made;
  }();
  return functions;
}

}  // namespace

std::span<const TypeFunctions> all_type_functions() {
  return all();
}

const TypeFunctions& functions_of_type(Oid type) {
  if (is_array(type)) return kArrays;
  if (is_enum(type)) return kEnums;
  const auto* found = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                   [&](const TypeFunctions& f) { return f.type == type; });
  return found == std::end(kFunctions) ? kNone : *found;
}

std::string type_function_name(Oid function) {
  for (const TypeFunctions& functions : all()) {
    for (std::size_t i = 0; i < functions.oids.size(); ++i) {
      if (function != 0 && functions.oids[i] == function)
        return std::string(functions.stem) + kTypeFunctionSuffixes[i];
    }
  }
  return {};
}

Oid type_function(std::string_view name) {
  for (const TypeFunctions& functions : all()) {
    for (std::size_t i = 0; i < functions.oids.size(); ++i) {
      if (functions.oids[i] != 0 && name.starts_with(functions.stem) &&
          name.substr(std::string_view(functions.stem).size()) == kTypeFunctionSuffixes[i])
        return functions.oids[i];
    }
  }
  return 0;
}

}  // namespace calf::sqlite
