// The rows of pg_catalog about what is built in: types, functions, collations, access methods.
#include <cctype>

#include "sqlite/system_rows.h"
#include "sqlite/system_tables.h"
#include "sqlite/type_functions.h"

namespace calf::sqlite {

namespace {

struct OperatorClass {
  Oid oid;
  const char* name;
  Oid family;
  Oid type;
};
// The defaults of btree, from pg_opclass of PostgreSQL 18.
constexpr OperatorClass kOperatorClasses[] = {
    {10003, "bool_ops", 424, oid::kBool},
    {10004, "bpchar_ops", 426, oid::kBpchar},
    {10006, "bytea_ops", 428, oid::kBytea},
    {10007, "char_ops", 429, oid::kChar},
    {10012, "float4_ops", 1970, oid::kFloat4},
    {10022, "interval_ops", 1982, oid::kInterval},
    {10028, "name_ops", 1994, oid::kName},
    {10038, "time_ops", 1996, oid::kTime},
    {10065, "uuid_ops", 2968, oid::kUuid},
    {10088, "jsonb_ops", 4033, oid::kJsonb},
    {1978, "int4_ops", 1976, oid::kInt4},
    {1979, "int2_ops", 1976, oid::kInt2},
    {1981, "oid_ops", 1989, oid::kOid},
    {3122, "date_ops", 434, oid::kDate},
    {3123, "float8_ops", 1970, oid::kFloat8},
    {3124, "int8_ops", 1976, oid::kInt8},
    {3125, "numeric_ops", 1988, oid::kNumeric},
    {3126, "text_ops", 1994, oid::kText},
    {3127, "timestamptz_ops", 434, oid::kTimestamptz},
    {3128, "timestamp_ops", 434, oid::kTimestamp},
    {10000, "array_ops", 397, oid::kAnyArray},
    {10069, "enum_ops", 3522, 3500},
};

}  // namespace

Oid operator_class(Oid type) {
  constexpr Oid kAnyEnum = 3500;
  if (type == oid::kVarchar) type = oid::kText;
  if (is_array(type)) type = oid::kAnyArray;
  if (is_enum(type)) type = kAnyEnum;
  for (const OperatorClass& known : kOperatorClasses) {
    if (known.type == type) return known.oid;
  }
  return 0;
}

SystemTables::Values SystemTables::operator_classes() {
  Values rows;
  for (const OperatorClass& known : kOperatorClasses)
    rows.push_back({number(known.oid), number(kBtree), text(known.name), number(kCatalogNamespace),
                    number(kOwner), number(known.family), number(known.type), flag(true),
                    number(0)});
  return rows;
}

SystemTables::Values SystemTables::types() {
  Values rows;
  const auto add = [&](Oid oid, const std::string& name, int size, char category, bool preferred,
                       Oid element, Oid array, Oid schema, Oid relation = 0) {
    const bool pseudo = category == 'P';
    rows.push_back({number(oid),
                    text(name),
                    number(schema),
                    number(kOwner),
                    number(size),
                    flag(size > 0 && size <= 8),
                    letter(pseudo            ? 'p'
                           : category == 'E' ? 'e'
                           : category == 'C' ? 'c'
                                             : 'b'),
                    letter(category),
                    flag(preferred),
                    flag(true),
                    letter(','),
                    number(relation),
                    number(0),
                    number(element),
                    number(array),
                    number(functions_of_type(oid).oids[0]),
                    number(functions_of_type(oid).oids[1]),
                    number(functions_of_type(oid).oids[2]),
                    number(functions_of_type(oid).oids[3]),
                    number(0),
                    number(0),
                    number(0),
                    letter(size == 8 ? 'd' : 'i'),
                    letter(attribute_storage(oid)),
                    flag(false),
                    number(0),
                    number(-1),
                    number(0),
                    number(collation_of_type(oid)),
                    {},
                    {},
                    {}});
  };
  for (const TypeInfo& type : all_types()) {
    const Oid element = type.oid == oid::kInt2Vector  ? oid::kInt2
                        : type.oid == oid::kOidVector ? oid::kOid
                                                      : 0;
    add(type.oid, type.name, type.size, type.category, type.preferred, element, type.array,
        kCatalogNamespace);
    if (type.array != 0)
      add(type.array, std::string("_") + type.name, -1, 'A', false, type.oid, 0, kCatalogNamespace);
  }
  for (const auto& [key, r] : session_.catalog().relations) {
    const Oid schema = namespace_oid(r.schema);
    add(row_type_oid(r), r.name, -1, 'C', false, 0, row_array_oid(r), schema, r.oid);
    add(row_array_oid(r), "_" + r.name, -1, 'A', false, row_type_oid(r), 0, schema);
  }
  for (const auto& [key, type] : session_.catalog().enums) {
    const Oid schema = namespace_oid(type.schema);
    add(type.oid, type.name, 4, 'E', false, 0, array_of(type.oid), schema);
    add(array_of(type.oid), "_" + type.name, -1, 'A', false, type.oid, 0, schema);
  }
  return rows;
}

SystemTables::Values SystemTables::enum_labels() {
  Values rows;
  for (const auto& [key, type] : session_.catalog().enums) {
    double order = 0;
    for (const EnumType::Label& label : type.labels)
      rows.push_back({number(oid_of("label", key + ":" + std::to_string(label.value))),
                      number(type.oid), Datum::of(++order), text(label.text)});
  }
  return rows;
}

SystemTables::Values SystemTables::functions() {
  Values rows;
  const auto add = [&](Oid oid, const std::string& name, char kind, bool strict, bool rows_kind,
                       bool immutable, std::size_t count, Oid result, std::string types) {
    rows.push_back({number(oid),
                    text(name),
                    number(kCatalogNamespace),
                    number(kOwner),
                    number(12),
                    Datum::of(1.0),
                    Datum::of(0.0),
                    number(0),
                    number(0),
                    letter(kind),
                    flag(false),
                    flag(false),
                    flag(strict),
                    flag(rows_kind),
                    letter(immutable ? 'i' : 'v'),
                    letter('s'),
                    number(static_cast<std::int64_t>(count)),
                    number(0),
                    number(result),
                    text(std::move(types)),
                    {},
                    {},
                    {},
                    text(name),
                    {},
                    {},
                    {}});
  };
  for (const auto& function : FunctionTable::get().all()) {
    if (std::isalpha(static_cast<unsigned char>(function->name[0])) == 0 ||
        function->name.starts_with("calf_"))
      continue;
    std::string types;
    for (const Oid type : function->arguments)
      types += (types.empty() ? "" : " ") + std::to_string(type);
    const char kind = function->kind == Function::Kind::kAggregate ? 'a'
                      : function->kind == Function::Kind::kWindow  ? 'w'
                                                                   : 'f';
    add(function_oid(*function), function->name, kind, function->strict,
        function->kind == Function::Kind::kRows, function->stable, function->arguments.size(),
        function->result, std::move(types));
  }
  // What pg_type names: from cstring and internal, to cstring and bytea.
  constexpr Oid kCstring = 2275;
  constexpr Oid kInternal = 2281;
  for (const TypeFunctions& functions : all_type_functions()) {
    const Oid of_in_and_out[] = {kCstring, functions.type, kInternal, functions.type};
    const Oid results[] = {functions.type, kCstring, functions.type, oid::kBytea};
    for (std::size_t i = 0; i < functions.oids.size(); ++i) {
      if (functions.oids[i] != 0)
        add(functions.oids[i], std::string(functions.stem) + kTypeFunctionSuffixes[i], 'f', true,
            false, true, 1, results[i], std::to_string(of_in_and_out[i]));
    }
  }
  return rows;
}

SystemTables::Values SystemTables::access_methods() {
  Values rows;
  rows.push_back({number(kHeap), text("heap"), number(0), letter('t')});
  rows.push_back({number(kBtree), text("btree"), number(0), letter('i')});
  return rows;
}

SystemTables::Values SystemTables::collations() {
  Values rows;
  rows.push_back({number(kDefaultCollation),
                  text("default"),
                  number(kCatalogNamespace),
                  number(kOwner),
                  letter('d'),
                  flag(true),
                  number(-1),
                  {},
                  {},
                  {},
                  {},
                  {}});
  rows.push_back({number(kCCollation),
                  text("C"),
                  number(kCatalogNamespace),
                  number(kOwner),
                  letter('c'),
                  flag(true),
                  number(-1),
                  text("C"),
                  text("C"),
                  {},
                  {},
                  {}});
  return rows;
}

SystemTables::Values SystemTables::languages() {
  Values rows;
  rows.push_back({number(14),
                  text("sql"),
                  number(kOwner),
                  flag(false),
                  flag(true),
                  number(0),
                  number(0),
                  number(0),
                  {}});
  return rows;
}

}  // namespace calf::sqlite
