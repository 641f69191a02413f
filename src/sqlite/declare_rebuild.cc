// A primary key for a table that exists: SQLite knows no such change, so the table is made anew.
#include <algorithm>

#include "sqlite/declarations.h"

namespace calf::sqlite {

void Declarations::check_can_be_key(const Relation& table, const TableConstraint& key) {
  const std::string name = quote_name(table.sqlite_name);
  std::string columns;
  for (const std::string& column : key.columns) {
    bool nulls = false;
    db_.query("SELECT 1 FROM " + name + " WHERE " + quote_name(column) + " IS NULL LIMIT 1",
              [&](const Row&) { nulls = true; });
    if (nulls)
      raise("23502",
            "column \"" + column + "\" of relation \"" + table.name + "\" contains null values");
    columns += (columns.empty() ? "" : ", ") + quote_name(column);
  }
  bool twice = false;
  db_.query("SELECT 1 FROM " + name + " GROUP BY " + columns + " HAVING count(*) > 1 LIMIT 1",
            [&](const Row&) { twice = true; });
  if (twice) raise("23505", "could not create unique index \"" + key.name + "\"");
}

// `table` has the new key already, its copy in the database not yet.
void Declarations::add_primary_key(Relation& table) {
  const TableConstraint& key = *table.primary_key();
  check_can_be_key(table, key);
  for (const auto& [name, other] : session_.catalog().relations) {
    for (const TableConstraint& constraint : other.constraints) {
      if (constraint.kind == 'f' && name != table.sqlite_name &&
          sqlite_name_of(constraint.foreign_schema, constraint.foreign_table) == table.sqlite_name)
        unsupported("adding a primary key to a table that others refer to");
    }
  }
  std::string columns;
  for (Column& column : table.columns) {
    if (std::find(key.columns.begin(), key.columns.end(), column.name) != key.columns.end())
      column.not_null = true;
    if (column.generated_text.empty())
      columns += (columns.empty() ? "" : ", ") + quote_name(column.name);
  }
  table.rowid_key = key.columns.size() == 1 && is_integer(table.column(key.columns[0])->type.oid);
  Relation made = table;
  made.sqlite_name = "calf_catalog_rebuilt";
  make_table(made);
  const std::string name = quote_name(table.sqlite_name);
  const std::string other = quote_name(made.sqlite_name);
  session_.raw("INSERT INTO " + other + " (" + columns + ") SELECT " + columns + " FROM " + name);
  session_.raw("DROP TABLE " + name);
  // Views that name the table are not looked at while it is gone.
  session_.raw("PRAGMA legacy_alter_table = ON");
  try {
    session_.raw("ALTER TABLE " + other + " RENAME TO " + name);
  } catch (...) {
    session_.raw("PRAGMA legacy_alter_table = OFF");
    throw;
  }
  session_.raw("PRAGMA legacy_alter_table = OFF");
  for (const Index& index : table.indexes) {
    if (!index.primary) session_.raw(index_sql(table, index));
  }
}

}  // namespace calf::sqlite
