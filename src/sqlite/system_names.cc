// Names behind oids, and oids behind names: regclass, regtype and their like.
#include <cctype>

#include "sqlite/sql_error.h"
#include "sqlite/system_rows.h"
#include "sqlite/system_tables.h"
#include "sqlite/type_functions.h"

namespace calf::sqlite {
namespace {

Oid oid_in(const Catalog& catalog, std::string_view schema, std::string_view name) {
  if (const Relation* r = catalog.find(schema, name); r != nullptr) return r->oid;
  if (const Sequence* s = catalog.sequence(schema, name); s != nullptr) return s->oid;
  const Index* index = catalog.index(schema, name);
  return index == nullptr ? 0 : index->oid;
}

// Schema and name of a table, view, sequence or index.
std::optional<std::pair<std::string, std::string>> relation_name(const Catalog& catalog,
                                                                 Oid object) {
  if (const Relation* r = catalog.by_oid(object); r != nullptr)
    return std::pair(r->schema, r->name);
  if (const Sequence* s = catalog.sequence_by_oid(object); s != nullptr)
    return std::pair(s->schema, s->name);
  for (const auto& [key, r] : catalog.relations) {
    for (const Index& index : r.indexes) {
      if (index.oid == object) return std::pair(r.schema, index.name);
    }
  }
  return std::nullopt;
}

}  // namespace

std::string SystemTables::name_of(Oid type, Oid object) {
  const Catalog& catalog = session_.catalog();
  if (is_enum(type)) {
    if (const EnumType* found = catalog.enum_by_oid(type); found != nullptr) {
      for (const EnumType::Label& label : found->labels) {
        if (label.value == static_cast<std::int64_t>(object)) return label.text;
      }
    }
    raise("XX000", "invalid internal value for enum: " + std::to_string(object));
  }
  if (type == oid::kRegtype) {
    const Oid element = element_of(object);
    return find_type(element != 0 ? element : object) == nullptr ? "" : format_type({object});
  }
  if (type == oid::kRegnamespace) {
    for (const auto& [name, comment] : catalog.schemas) {
      if (namespace_oid(name) == object) return pg_quote_name(name);
    }
    return {};
  }
  if (type == oid::kRegrole) return object == kOwner ? pg_quote_name(session_.options_.user) : "";
  if (type == oid::kRegproc) {
    for (const auto& function : FunctionTable::get().all()) {
      if (function_oid(*function) == object) return pg_quote_name(function->name);
    }
    return type_function_name(object);
  }
  if (type != oid::kRegclass) return {};
  const auto found = relation_name(catalog, object);
  if (!found) return {};
  return (oid_in(catalog, "", found->second) == object ? "" : pg_quote_name(found->first) + ".") +
         pg_quote_name(found->second);
}

// NULL: no such relation. Visible: found without its schema.
Datum SystemTables::relation_is_visible(Oid object) {
  const auto found = relation_name(session_.catalog(), object);
  if (!found) return {};
  return flag(oid_in(session_.catalog(), "", found->second) == object);
}

Oid SystemTables::object_named(Oid type, std::string_view name) {
  const Catalog& catalog = session_.catalog();
  if (is_enum(type)) {
    if (const EnumType* found = catalog.enum_by_oid(type); found != nullptr) {
      for (const EnumType::Label& label : found->labels) {
        if (label.text == name) return static_cast<Oid>(label.value);
      }
    }
    return 0;
  }
  // schema.name, with quotes or without.
  std::vector<std::string> parts{""};
  bool quoted = false;
  for (const char c : name) {
    if (c == '"')
      quoted = !quoted;
    else if (c == '.' && !quoted)
      parts.emplace_back();
    else
      parts.back() += quoted ? c : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const std::string schema = parts.size() > 1 ? parts[parts.size() - 2] : "";
  const std::string& last = parts.back();
  if (type == oid::kRegtype) {
    const bool array = last.ends_with("[]");
    const std::string base = array ? last.substr(0, last.size() - 2) : last;
    const TypeInfo* found = schema.empty() || schema == "pg_catalog" ? find_type(base) : nullptr;
    if (found == nullptr) {
      const EnumType* declared = catalog.enumeration(schema, base);
      if (declared == nullptr) return 0;
      found = find_type(declared->oid);
    }
    return array ? found->array : found->oid;
  }
  if (type == oid::kRegnamespace) return catalog.has_schema(last) ? namespace_oid(last) : 0;
  if (type == oid::kRegrole) return last == session_.options_.user ? kOwner : 0;
  if (type == oid::kRegproc || type == oid::kRegprocedure) {
    // With its arguments' types for a regprocedure, which tell overloads apart.
    const std::string called = last.substr(0, last.find('('));
    if (const Oid found = type_function(called); found != 0) return found;
    const auto& functions = FunctionTable::get().named(called);
    if (functions.empty()) return 0;
    if (type == oid::kRegprocedure) unsupported("this regprocedure");
    return function_oid(*functions[0]);
  }
  return oid_in(catalog, schema, last);
}

}  // namespace calf::sqlite
