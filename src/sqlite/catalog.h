// What is in the database, seen as PostgreSQL sees it: read from SQLite's schema, and for tables
// made through this engine from what it wrote down of their declaration (table calf_catalog).
// Values.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sqlite/types.h"

struct sqlite3;

namespace calf::sqlite {

constexpr const char* kCatalogTable = "calf_catalog";

struct Column {
  std::string name;
  Type type{};
  bool not_null = false;
  std::string default_text{};    // PostgreSQL's SQL; empty: none
  char identity = 0;             // 'a' always, 'd' by default
  std::string generated_text{};  // PostgreSQL's SQL of a stored generated column
  std::string comment{};
  std::string sql{};  // how to read it when it isn't simply its name (foreign tables)
};

struct TableConstraint {
  std::string name;
  char kind = 'c';  // p primary key, u unique, c check, f foreign key
  std::vector<std::string> columns{};
  std::string check_text{};  // PostgreSQL's SQL
  std::string foreign_schema{};
  std::string foreign_table{};
  std::vector<std::string> foreign_columns{};
  char on_update = 'a';  // a no action, r restrict, c cascade, n set null, d set default
  char on_delete = 'a';
  bool deferrable = false;
  bool deferred = false;
};

struct IndexColumn {
  std::string text;  // a column's name, or an expression in PostgreSQL's SQL
  bool expression = false;
  bool descending = false;
  bool nulls_first = false;
};

struct Index {
  std::string name;
  std::string schema = "public";
  Oid oid = 0;
  bool unique = false;
  bool primary = false;
  bool constraint = false;  // made for a constraint of the same name
  std::vector<IndexColumn> columns{};
  std::string predicate_text{};
  std::string comment{};
};

struct Relation {
  Oid oid = 0;
  std::string schema = "public";
  std::string name;
  std::string sqlite_name;  // name, or schema.name
  char kind = 'r';          // r table, v view, m materialized view, S sequence
  bool foreign = false;     // not made by this engine: declared types are SQLite's
  bool system = false;      // of pg_catalog or information_schema
  bool temporary = false;
  char on_commit = 'p';    // of a temporary table: p keep, d delete rows, D drop
  bool rowid_key = false;  // its primary key is INTEGER PRIMARY KEY
  std::vector<Column> columns{};
  std::vector<TableConstraint> constraints{};
  std::vector<Index> indexes{};
  std::string view_text{};                // PostgreSQL's SQL
  bool populated = true;                  // a materialized view's query has been run
  std::vector<std::string> depends_on{};  // sqlite names that a view reads
  std::string comment{};

  [[nodiscard]] const Column* column(std::string_view name) const;
  [[nodiscard]] int column_number(std::string_view name) const;  // from 1; 0: none
  [[nodiscard]] const TableConstraint* primary_key() const;
};

struct Sequence {
  std::string schema = "public";
  std::string name;
  Oid oid = 0;
  Oid type = 20;
  std::int64_t start = 1;
  std::int64_t increment = 1;
  std::int64_t minimum = 1;
  std::int64_t maximum = INT64_MAX;
  std::int64_t cache = 1;
  bool cycle = false;
  std::string owner_table{};  // sqlite name; empty: nobody's
  std::string owner_column{};
  bool identity = false;
};

struct EnumType {
  struct Label {
    std::string text;
    std::int64_t value = 0;  // rising, above 0; what is stored
  };
  std::string schema = "public";
  std::string name;
  Oid oid = 0;
  std::vector<Label> labels{};  // in order
  std::string comment{};
};

// What names without a schema mean in a session.
struct NameRules {
  std::vector<std::string> path{"public"};
  std::string temporary_schema = "pg_temp";  // where this session's own temporary tables are
};

class Catalog {
 public:
  // Reads the connection's schema. `names` says what names without a schema mean. Raises what
  // SQLite says.
  static std::shared_ptr<const Catalog> load(sqlite3* connection, NameRules names = {});

  // By PostgreSQL's rules; empty schema: temporary ones, pg_catalog, then the search path. nullptr:
  // none.
  [[nodiscard]] const Relation* find(std::string_view schema, std::string_view name) const;
  [[nodiscard]] const Relation* by_oid(Oid oid) const;
  [[nodiscard]] const Relation* by_sqlite_name(std::string_view name) const;
  [[nodiscard]] const Sequence* sequence(std::string_view schema, std::string_view name) const;
  [[nodiscard]] const Sequence* sequence_by_oid(Oid oid) const;
  [[nodiscard]] const Index* index(std::string_view schema, std::string_view name,
                                   const Relation** owner = nullptr) const;
  [[nodiscard]] bool has_schema(std::string_view name) const;
  // Where something new without a schema goes. Raises 3F000 when no schema of the path exists.
  [[nodiscard]] const std::string& creation_schema() const;
  // A schema as it is known here: pg_temp is the session's own.
  [[nodiscard]] std::string schema_named(std::string_view schema) const;
  [[nodiscard]] bool is_temporary(std::string_view schema) const {
    return schema == names.temporary_schema;
  }

  [[nodiscard]] const EnumType* enumeration(std::string_view schema, std::string_view name) const;
  [[nodiscard]] const EnumType* enum_by_oid(Oid oid) const;

  std::map<std::string, Relation> relations;   // by sqlite name
  std::map<std::string, Sequence> sequences;   // by sqlite name
  std::map<std::string, EnumType> enums;       // by sqlite name
  std::map<std::string, std::string> schemas;  // name -> comment
  NameRules names;
  bool initialized = false;            // has the catalog table
  bool temporary_initialized = false;  // the same for what is temporary

 private:
  [[nodiscard]] std::vector<std::string> places(std::string_view schema) const;
  [[nodiscard]] const Relation* find_in(const std::string& schema, std::string_view name) const;
};

// "users" or "app.users".
std::string sqlite_name_of(std::string_view schema, std::string_view name);
// Stable over restarts, above PostgreSQL's own. `what`: "table", "index", …
Oid oid_of(std::string_view what, std::string_view name);
constexpr Oid kPublicNamespace = 2200;
constexpr Oid kCatalogNamespace = 11;
Oid namespace_oid(std::string_view schema);

std::string quote_name(std::string_view name);     // "name", for SQLite
std::string quote_text(std::string_view text);     // 'text'
std::string pg_quote_name(std::string_view name);  // only where PostgreSQL needs it

// What is written down of a relation and a sequence, and back.
std::string to_json(const Relation& relation);
std::string to_json(const Sequence& sequence);
std::string to_json(const EnumType& type);

// The relations of pg_catalog and information_schema (pg_catalog.cc).
const std::vector<Relation>& system_relations();

}  // namespace calf::sqlite
