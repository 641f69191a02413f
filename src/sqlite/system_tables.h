// pg_catalog: its relations' rows, names behind oids, and the functions that ask about them.
#pragma once

#include <memory>

#include "sqlite/session.h"
#include "sqlite/virtual_tables.h"

namespace calf::sqlite {

// For one statement of one session, on its thread.
class SystemTables {
 public:
  explicit SystemTables(Session& session) : session_(session) {}

  // Empty for a relation that has no rows here.
  std::unique_ptr<RowSource> rows(const Relation& relation);

  // system_names.cc
  // "users" for a regclass, …; empty and 0: no such thing.
  std::string name_of(Oid type, Oid object);
  Oid object_named(Oid type, std::string_view name);

  Datum relation_is_visible(Oid object);

  // system_questions.cc
  // What pg_get_indexdef and its like answer. NULL for what is not known.
  Datum ask(std::string_view question, std::span<const Datum> arguments);

 private:
  struct Questions;
  using Values = std::vector<std::vector<Datum>>;

  // system_tables.cc
  Values databases();
  Values roles();
  Values role_passwords();
  Values users();
  Values settings();
  Values activity();
  Values tablespaces();
  Values time_zones();

  // system_schema.cc
  Values classes();
  Values attributes();
  Values defaults();
  Values indexes();
  Values constraints();
  Values descriptions();
  Values namespaces();
  Values sequences();
  Values sequence_list();
  Values dependencies();
  Values table_list();
  Values view_list();
  Values matview_list();
  Values index_list();

  // system_types.cc
  Values types();
  Values operator_classes();
  Values enum_labels();
  Values functions();
  Values access_methods();
  Values collations();
  Values languages();

  Session& session_;
};

// "CREATE INDEX …", as pg_get_indexdef writes it. Pretty: without the schema and parentheses.
enum class IndexStyle { kFull, kPretty };
std::string index_definition(const Relation& table, const Index& index,
                             IndexStyle style = IndexStyle::kFull);

}  // namespace calf::sqlite
