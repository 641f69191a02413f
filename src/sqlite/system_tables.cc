// Which relation has which rows; those about the server and its roles.
#include "sqlite/system_tables.h"

#include <unordered_map>

#include "sqlite/system_rows.h"

namespace calf::sqlite {

std::unique_ptr<RowSource> SystemTables::rows(const Relation& relation) {
  // What is not here is empty: there are no triggers, policies, publications, ….
  static const std::unordered_map<std::string_view, Values (SystemTables::*)()> kTables = {
      {"pg_am", &SystemTables::access_methods},
      {"pg_attrdef", &SystemTables::defaults},
      {"pg_attribute", &SystemTables::attributes},
      {"pg_authid", &SystemTables::role_passwords},
      {"pg_class", &SystemTables::classes},
      {"pg_collation", &SystemTables::collations},
      {"pg_constraint", &SystemTables::constraints},
      {"pg_database", &SystemTables::databases},
      {"pg_depend", &SystemTables::dependencies},
      {"pg_description", &SystemTables::descriptions},
      {"pg_enum", &SystemTables::enum_labels},
      {"pg_index", &SystemTables::indexes},
      {"pg_indexes", &SystemTables::index_list},
      {"pg_language", &SystemTables::languages},
      {"pg_namespace", &SystemTables::namespaces},
      {"pg_opclass", &SystemTables::operator_classes},
      {"pg_proc", &SystemTables::functions},
      {"pg_roles", &SystemTables::roles},
      {"pg_sequence", &SystemTables::sequences},
      {"pg_sequences", &SystemTables::sequence_list},
      {"pg_settings", &SystemTables::settings},
      {"pg_stat_activity", &SystemTables::activity},
      {"pg_tables", &SystemTables::table_list},
      {"pg_tablespace", &SystemTables::tablespaces},
      {"pg_timezone_names", &SystemTables::time_zones},
      {"pg_type", &SystemTables::types},
      {"pg_user", &SystemTables::users},
      {"pg_views", &SystemTables::view_list},
      {"pg_matviews", &SystemTables::matview_list},
  };
  const auto found = kTables.find(relation.name);
  return make_rows(found == kTables.end() ? Values{} : (this->*found->second)());
}

SystemTables::Values SystemTables::databases() {
  Values rows;
  rows.push_back({number(kDatabase),
                  text(session_.options_.database),
                  number(kOwner),
                  number(6),
                  letter('b'),
                  flag(false),
                  flag(true),
                  flag(false),
                  number(-1),
                  number(0),
                  number(0),
                  number(1663),
                  text("C"),
                  text("C.UTF-8"),
                  text("C.UTF-8"),
                  {},
                  {},
                  {},
                  {}});
  return rows;
}

SystemTables::Values SystemTables::roles() {
  Values rows;
  const std::string& user = session_.options_.user;
  rows.push_back({text(user),
                  flag(true),
                  flag(true),
                  flag(true),
                  flag(true),
                  flag(true),
                  flag(false),
                  number(-1),
                  text("********"),
                  {},
                  flag(true),
                  {},
                  number(kOwner)});
  return rows;
}

SystemTables::Values SystemTables::role_passwords() {
  Values rows;
  const std::string& user = session_.options_.user;
  rows.push_back({number(kOwner),
                  text(user),
                  flag(true),
                  flag(true),
                  flag(true),
                  flag(true),
                  flag(true),
                  flag(false),
                  flag(true),
                  number(-1),
                  {},
                  {}});
  return rows;
}

SystemTables::Values SystemTables::users() {
  Values rows;
  const std::string& user = session_.options_.user;
  rows.push_back({text(user),
                  number(kOwner),
                  flag(true),
                  flag(true),
                  flag(false),
                  flag(true),
                  text("********"),
                  {},
                  {}});
  return rows;
}

SystemTables::Values SystemTables::settings() {
  Values rows;
  for (const auto& [info, value] : session_.settings_.all())
    rows.push_back({text(info.name),
                    text(value),
                    {},
                    text("Calf"),
                    text(info.description),
                    {},
                    text(info.read_only ? "internal" : "user"),
                    text("string"),
                    text("default"),
                    {},
                    {},
                    {},
                    text(info.value),
                    text(info.value),
                    {},
                    {},
                    flag(false)});
  return rows;
}

SystemTables::Values SystemTables::activity() {
  Values rows;
  rows.push_back({number(kDatabase),
                  text(session_.options_.database),
                  number(session_.pid_),
                  {},
                  number(kOwner),
                  text(session_.user_),
                  text(session_.setting("application_name", true)),
                  {},
                  {},
                  {},
                  {},
                  {},
                  {},
                  {},
                  {},
                  {},
                  text("active"),
                  {},
                  {},
                  {},
                  text(session_.current_sql_),
                  text("client backend")});
  return rows;
}

SystemTables::Values SystemTables::tablespaces() {
  Values rows;
  rows.push_back({number(1663), text("pg_default"), number(kOwner), {}, {}});
  return rows;
}

SystemTables::Values SystemTables::time_zones() {
  Values rows;
  rows.push_back({text("UTC"), text("UTC"), text("00:00:00"), flag(false)});
  return rows;
}

}  // namespace calf::sqlite
