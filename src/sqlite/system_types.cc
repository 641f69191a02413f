// The rows of pg_catalog about what is built in: types, functions, collations, access methods.
#include <cctype>

#include "sqlite/system_rows.h"
#include "sqlite/system_tables.h"

namespace calf::sqlite {

SystemTables::Values SystemTables::types() {
  Values rows;
  const auto add = [&](Oid oid, const std::string& name, int size, char category, bool preferred,
                       Oid element, Oid array, Oid schema) {
    const bool pseudo = category == 'P';
    rows.push_back({number(oid),
                    text(name),
                    number(schema),
                    number(kOwner),
                    number(size),
                    flag(size > 0 && size <= 8),
                    letter(pseudo            ? 'p'
                           : category == 'E' ? 'e'
                                             : 'b'),
                    letter(category),
                    flag(preferred),
                    flag(true),
                    letter(','),
                    number(0),
                    number(0),
                    number(element),
                    number(array),
                    number(oid),
                    number(oid),
                    number(oid),
                    number(oid),
                    number(0),
                    number(0),
                    number(0),
                    letter(size == 8 ? 'd' : 'i'),
                    letter(size == -1 ? 'x' : 'p'),
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
    rows.push_back({number(function_oid(*function)),
                    text(function->name),
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
                    flag(function->strict),
                    flag(function->kind == Function::Kind::kRows),
                    letter(function->stable ? 'i' : 'v'),
                    letter('s'),
                    number(static_cast<std::int64_t>(function->arguments.size())),
                    number(0),
                    number(function->result),
                    text(types),
                    {},
                    {},
                    {},
                    text(function->name),
                    {},
                    {},
                    {}});
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
