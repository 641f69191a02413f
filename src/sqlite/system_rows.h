// How rows of pg_catalog are written down, and the oids that are the same in every database.
#pragma once

#include <string>

#include "sqlite/catalog.h"
#include "sqlite/datum.h"
#include "sqlite/functions.h"

namespace calf::sqlite {

constexpr Oid kOwner = 10;
constexpr Oid kDatabase = 5;
constexpr Oid kDefaultCollation = 100;
constexpr Oid kCCollation = 950;
constexpr Oid kBtree = 403;
constexpr Oid kHeap = 2;
constexpr Oid kClassTable = 1259;      // pg_class as a classid
constexpr Oid kNamespaceTable = 2615;  // pg_namespace

inline Datum number(std::int64_t value) {
  return Datum::of(value);
}
inline Datum flag(bool value) {
  return Datum::of_bool(value);
}
inline Datum text(std::string value) {
  return Datum::of(std::move(value));
}
inline Datum letter(char c) {
  return Datum::of(std::string(1, c));
}

inline Oid constraint_oid(const Relation& table, const TableConstraint& constraint) {
  return oid_of("constraint", table.sqlite_name + "." + constraint.name);
}
// The type of a table's or a view's rows, and its array.
inline Oid row_type_oid(const Relation& relation) {
  return oid_of("row type", relation.sqlite_name);
}
inline Oid row_array_oid(const Relation& relation) {
  return oid_of("row array", relation.sqlite_name);
}
// The class of operators that an index on a column of this type has (pg_opclass); 0: not known.
Oid operator_class(Oid type);
// attstorage: how long values are kept.
inline char attribute_storage(Oid type) {
  return type == oid::kNumeric ? 'm' : size_of(type) == -1 ? 'x' : 'p';
}
inline Oid function_oid(const Function& function) {
  return oid_of("function", function.internal) % 8000 + 4000;
}
inline Oid collation_of_type(Oid type) {
  const Oid base = is_array(type) ? element_of(type) : type;
  return base == oid::kText || base == oid::kVarchar || base == oid::kBpchar ? kDefaultCollation
         : base == oid::kName                                                ? kCCollation
                                                                             : 0;
}

}  // namespace calf::sqlite
