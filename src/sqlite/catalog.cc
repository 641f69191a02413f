#include "sqlite/catalog.h"

#include <sqlite3.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sqlite/connection.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

using nlohmann::json;

json column_json(const Column& c) {
  return {{"name", c.name},
          {"type", c.type.oid},
          {"typmod", c.type.typmod},
          {"not_null", c.not_null},
          {"default", c.default_text},
          {"identity", std::string(c.identity != 0 ? 1 : 0, c.identity)},
          {"generated", c.generated_text},
          {"comment", c.comment}};
}
Column column_of(const json& j) {
  const std::string identity = j.value("identity", "");
  return {.name = j.at("name"),
          .type = {j.at("type"), j.at("typmod")},
          .not_null = j.at("not_null"),
          .default_text = j.value("default", ""),
          .identity = identity.empty() ? char{0} : identity[0],
          .generated_text = j.value("generated", ""),
          .comment = j.value("comment", "")};
}

json constraint_json(const TableConstraint& c) {
  return {{"name", c.name},
          {"kind", std::string(1, c.kind)},
          {"columns", c.columns},
          {"check", c.check_text},
          {"foreign_schema", c.foreign_schema},
          {"foreign_table", c.foreign_table},
          {"foreign_columns", c.foreign_columns},
          {"on_update", std::string(1, c.on_update)},
          {"on_delete", std::string(1, c.on_delete)},
          {"deferrable", c.deferrable},
          {"deferred", c.deferred}};
}
TableConstraint constraint_of(const json& j) {
  return {.name = j.at("name"),
          .kind = j.at("kind").get<std::string>().at(0),
          .columns = j.at("columns"),
          .check_text = j.value("check", ""),
          .foreign_schema = j.value("foreign_schema", ""),
          .foreign_table = j.value("foreign_table", ""),
          .foreign_columns = j.at("foreign_columns"),
          .on_update = j.at("on_update").get<std::string>().at(0),
          .on_delete = j.at("on_delete").get<std::string>().at(0),
          .deferrable = j.value("deferrable", false),
          .deferred = j.value("deferred", false)};
}

json index_json(const Index& i) {
  json columns = json::array();
  for (const IndexColumn& c : i.columns) {
    columns.push_back({{"text", c.text},
                       {"expression", c.expression},
                       {"descending", c.descending},
                       {"nulls_first", c.nulls_first}});
  }
  return {{"name", i.name},
          {"schema", i.schema},
          {"unique", i.unique},
          {"primary", i.primary},
          {"constraint", i.constraint},
          {"columns", columns},
          {"predicate", i.predicate_text},
          {"comment", i.comment}};
}
Index index_of(const json& j) {
  Index index{.name = j.at("name"),
              .schema = j.at("schema"),
              .unique = j.at("unique"),
              .primary = j.at("primary"),
              .constraint = j.value("constraint", false),
              .predicate_text = j.value("predicate", ""),
              .comment = j.value("comment", "")};
  for (const json& c : j.at("columns")) {
    index.columns.push_back({.text = c.at("text"),
                             .expression = c.at("expression"),
                             .descending = c.at("descending"),
                             .nulls_first = c.value("nulls_first", false)});
  }
  index.oid = oid_of("index", sqlite_name_of(index.schema, index.name));
  return index;
}

Relation relation_of(const std::string& text) {
  const json j = json::parse(text);
  Relation r{.schema = j.at("schema"),
             .name = j.at("name"),
             .kind = j.at("kind").get<std::string>().at(0),
             .on_commit = j.value("on_commit", "p").at(0),
             .rowid_key = j.value("rowid_key", false),
             .view_text = j.value("view", ""),
             .populated = j.value("populated", true),
             .depends_on = j.value("depends_on", std::vector<std::string>{}),
             .comment = j.value("comment", "")};
  for (const json& c : j.at("columns")) r.columns.push_back(column_of(c));
  for (const json& c : j.at("constraints")) r.constraints.push_back(constraint_of(c));
  for (const json& i : j.at("indexes")) r.indexes.push_back(index_of(i));
  r.sqlite_name = sqlite_name_of(r.schema, r.name);
  r.oid = oid_of("relation", r.sqlite_name);
  return r;
}

Sequence sequence_of(const std::string& text) {
  const json j = json::parse(text);
  Sequence s{.schema = j.at("schema"),
             .name = j.at("name"),
             .type = j.at("type"),
             .start = j.at("start"),
             .increment = j.at("increment"),
             .minimum = j.at("minimum"),
             .maximum = j.at("maximum"),
             .cache = j.at("cache"),
             .cycle = j.at("cycle"),
             .owner_table = j.value("owner_table", ""),
             .owner_column = j.value("owner_column", ""),
             .identity = j.value("identity", false)};
  s.oid = oid_of("relation", sqlite_name_of(s.schema, s.name));
  return s;
}

EnumType enum_of(const std::string& text) {
  const json j = json::parse(text);
  EnumType type{.schema = j.at("schema"), .name = j.at("name"), .comment = j.value("comment", "")};
  for (const json& label : j.at("labels"))
    type.labels.push_back({.text = label.at("text"), .value = label.at("value")});
  type.oid = declare_enum(sqlite_name_of(type.schema, type.name));
  return type;
}

// A declared type of an ordinary SQLite table as the type that clients see, by SQLite's own rules
// of affinity. Moments stay text: what such a column holds is the application's convention.
Type foreign_type(std::string declared) {
  std::transform(declared.begin(), declared.end(), declared.begin(), ::toupper);
  const auto has = [&](const char* part) { return declared.find(part) != std::string::npos; };
  if (declared.starts_with("BOOL")) return {oid::kBool};
  if (has("INT")) return {oid::kInt8};
  if (has("CHAR") || has("CLOB") || has("TEXT") || has("JSON") || has("UUID") || has("DATE") ||
      has("TIME"))
    return {oid::kText};
  if (has("BLOB")) return {oid::kBytea};
  if (has("REAL") || has("FLOA") || has("DOUB")) return {oid::kFloat8};
  if (declared.empty()) return {oid::kText};
  return {oid::kNumeric};
}

char action_of(std::string_view action) {
  if (action == "CASCADE") return 'c';
  if (action == "SET NULL") return 'n';
  if (action == "SET DEFAULT") return 'd';
  return action == "RESTRICT" ? 'r' : 'a';
}

void read_foreign_columns(Connection& db, Relation& r) {
  std::vector<std::pair<std::int64_t, std::string>> key;
  db.query("SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(" +
               quote_text(r.sqlite_name) + ")",
           [&](const Row& row) {
             if (row.integer(5) == 1) return;
             Column column{.name = row.text(0),
                           .type = foreign_type(row.text(1)),
                           .not_null = row.integer(2) != 0};
             const std::string name = quote_name(column.name);
             if (column.type.oid == oid::kNumeric ||
                 (column.type.oid == oid::kText && row.text(1).find("CHAR") == std::string::npos &&
                  row.text(1) != "TEXT")) {
               column.sql = "CAST($." + name + " AS TEXT)";
             }
             if (row.integer(4) > 0) key.emplace_back(row.integer(4), column.name);
             r.columns.push_back(std::move(column));
           });
  std::sort(key.begin(), key.end());
  if (key.empty()) return;
  TableConstraint primary{.name = r.name + "_pkey", .kind = 'p'};
  for (auto& [number, name] : key) primary.columns.push_back(name);
  if (key.size() == 1) {
    Column& column = r.columns[static_cast<std::size_t>(r.column_number(key[0].second) - 1)];
    r.rowid_key = column.type.oid == oid::kInt8;
    column.not_null = true;
  }
  r.indexes.push_back({.name = primary.name,
                       .oid = oid_of("index", primary.name),
                       .unique = true,
                       .primary = true,
                       .constraint = true});
  for (const std::string& name : primary.columns)
    r.indexes.back().columns.push_back({.text = name});
  r.constraints.push_back(std::move(primary));
}

void read_foreign_keys(Connection& db, Relation& r) {
  std::map<std::int64_t, TableConstraint> keys;
  db.query(
      "SELECT id, \"table\", \"from\", \"to\", on_update, on_delete FROM pragma_foreign_key_list(" +
          quote_text(r.sqlite_name) + ")",
      [&](const Row& row) {
        TableConstraint& key = keys[row.integer(0)];
        key.kind = 'f';
        key.foreign_schema = "public";
        key.foreign_table = row.text(1);
        key.columns.push_back(row.text(2));
        if (!row.null(3)) key.foreign_columns.push_back(row.text(3));
        key.on_update = action_of(row.text(4));
        key.on_delete = action_of(row.text(5));
      });
  for (auto& [id, key] : keys) {
    key.name = r.name + "_" + key.columns[0] + "_fkey";
    r.constraints.push_back(std::move(key));
  }
}

void read_foreign_indexes(Connection& db, Relation& r) {
  db.query(
      "SELECT name, \"unique\", origin FROM pragma_index_list(" + quote_text(r.sqlite_name) + ")",
      [&](const Row& row) {
        if (row.text(2) == "pk") return;
        Index index{.name = row.text(0),
                    .oid = oid_of("index", row.text(0)),
                    .unique = row.integer(1) != 0,
                    .constraint = row.text(2) == "u"};
        db.query("SELECT name FROM pragma_index_info(" + quote_text(index.name) + ")",
                 [&](const Row& c) {
                   index.columns.push_back({.text = c.text(0), .expression = c.null(0)});
                 });
        if (index.constraint) {
          TableConstraint unique{.name = index.name, .kind = 'u'};
          for (const IndexColumn& c : index.columns) unique.columns.push_back(c.text);
          r.constraints.push_back(std::move(unique));
        }
        r.indexes.push_back(std::move(index));
      });
}

void read_foreign(Connection& db, const std::string& name, const std::string& kind,
                  Catalog& catalog) {
  Relation r{.oid = oid_of("relation", name),
             .name = name,
             .sqlite_name = name,
             .kind = kind == "view" ? 'v' : 'r',
             .foreign = true};
  read_foreign_columns(db, r);
  if (r.kind == 'r') {
    read_foreign_keys(db, r);
    read_foreign_indexes(db, r);
  }
  catalog.relations.emplace(name, std::move(r));
}

// What is read while it lives is of one state of the database.
class OneSnapshot {
 public:
  explicit OneSnapshot(sqlite3* connection) {
    if (sqlite3_txn_state(connection, "main") != SQLITE_TXN_NONE ||
        sqlite3_get_autocommit(connection) == 0)
      return;
    Connection(connection).execute("BEGIN");
    began_ = connection;
  }
  ~OneSnapshot() {
    if (began_ != nullptr) sqlite3_exec(began_, "COMMIT", nullptr, nullptr, nullptr);
  }
  OneSnapshot(const OneSnapshot&) = delete;
  OneSnapshot& operator=(const OneSnapshot&) = delete;

 private:
  sqlite3* began_ = nullptr;
};

bool hidden_table(std::string_view name) {
  return name.starts_with("sqlite_") || name.starts_with("calf_catalog") ||
         name.starts_with("calf_sequence");
}

}  // namespace

const Column* Relation::column(std::string_view wanted) const {
  const int number = column_number(wanted);
  return number == 0 ? nullptr : &columns[static_cast<std::size_t>(number - 1)];
}

int Relation::column_number(std::string_view wanted) const {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == wanted) return static_cast<int>(i) + 1;
  }
  // Names of SQLite's own tables were not folded when they were declared.
  if (foreign) {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (sqlite3_stricmp(columns[i].name.c_str(), std::string(wanted).c_str()) == 0)
        return static_cast<int>(i) + 1;
    }
  }
  return 0;
}

const TableConstraint* Relation::primary_key() const {
  for (const TableConstraint& constraint : constraints) {
    if (constraint.kind == 'p') return &constraint;
  }
  return nullptr;
}

std::string to_json(const Relation& r) {
  json columns = json::array();
  for (const Column& c : r.columns) columns.push_back(column_json(c));
  json constraints = json::array();
  for (const TableConstraint& c : r.constraints) constraints.push_back(constraint_json(c));
  json indexes = json::array();
  for (const Index& i : r.indexes) indexes.push_back(index_json(i));
  return json{{"schema", r.schema},
              {"name", r.name},
              {"kind", std::string(1, r.kind)},
              {"rowid_key", r.rowid_key},
              {"columns", columns},
              {"constraints", constraints},
              {"indexes", indexes},
              {"view", r.view_text},
              {"populated", r.populated},
              {"depends_on", r.depends_on},
              {"comment", r.comment},
              {"on_commit", std::string(1, r.on_commit)}}
      .dump();
}

std::string to_json(const Sequence& s) {
  return json{{"schema", s.schema},
              {"name", s.name},
              {"type", s.type},
              {"start", s.start},
              {"increment", s.increment},
              {"minimum", s.minimum},
              {"maximum", s.maximum},
              {"cache", s.cache},
              {"cycle", s.cycle},
              {"owner_table", s.owner_table},
              {"owner_column", s.owner_column},
              {"identity", s.identity}}
      .dump();
}

std::string to_json(const EnumType& type) {
  json labels = json::array();
  for (const EnumType::Label& label : type.labels)
    labels.push_back({{"text", label.text}, {"value", label.value}});
  return json{
      {"schema", type.schema}, {"name", type.name}, {"labels", labels}, {"comment", type.comment}}
      .dump();
}

std::shared_ptr<const Catalog> Catalog::load(sqlite3* connection, NameRules names) {
  Connection db(connection);
  const OneSnapshot snapshot(connection);
  auto catalog = std::make_shared<Catalog>();
  catalog->schemas = {{"public", "standard public schema"},
                      {"pg_catalog", "system catalog schema"},
                      {"information_schema", ""}};
  catalog->names = std::move(names);
  std::vector<std::pair<std::string, std::string>> present;
  const auto read = [&](const std::string& part, bool& initialized) {
    db.query("SELECT name, type FROM " + part + ".sqlite_schema WHERE type IN ('table', 'view') " +
                 "ORDER BY name",
             [&](const Row& row) {
               if (row.text(0) == kCatalogTable) initialized = true;
               if (!hidden_table(row.text(0))) present.emplace_back(row.text(0), row.text(1));
             });
    if (!initialized) return;
    db.query("SELECT kind, name, value FROM " + part + "." + kCatalogTable, [&](const Row& row) {
      if (row.text(0) == "relation") {
        Relation relation = relation_of(row.text(2));
        relation.temporary = part == "temp";
        catalog->relations.emplace(row.text(1), std::move(relation));
      }
      if (row.text(0) == "sequence")
        catalog->sequences.emplace(row.text(1), sequence_of(row.text(2)));
      if (row.text(0) == "enum") catalog->enums.emplace(row.text(1), enum_of(row.text(2)));
      if (row.text(0) == "schema") catalog->schemas[row.text(1)] = row.text(2);
    });
  };
  read("main", catalog->initialized);
  read("temp", catalog->temporary_initialized);
  if (catalog->temporary_initialized) catalog->schemas[catalog->names.temporary_schema] = "";
  // What is written down of a table that something else has dropped counts for nothing.
  std::erase_if(catalog->relations, [&](const auto& entry) {
    return std::none_of(present.begin(), present.end(),
                        [&](const auto& p) { return p.first == entry.first; });
  });
  for (const auto& [name, kind] : present) {
    if (!catalog->relations.contains(name)) read_foreign(db, name, kind, *catalog);
  }
  return catalog;
}

std::string Catalog::schema_named(std::string_view schema) const {
  return schema == "pg_temp" ? names.temporary_schema : std::string(schema);
}

// The schemas where a name may be, in order.
std::vector<std::string> Catalog::places(std::string_view schema) const {
  if (!schema.empty()) return {schema_named(schema)};
  std::vector<std::string> out;
  const auto add = [&](const std::string& place) {
    if (std::find(out.begin(), out.end(), place) == out.end()) out.push_back(place);
  };
  const auto named = [&](const char* place) {
    return std::find(names.path.begin(), names.path.end(), place) != names.path.end();
  };
  if (temporary_initialized && !named("pg_temp")) add(names.temporary_schema);
  if (!named("pg_catalog")) add("pg_catalog");
  for (const std::string& place : names.path) add(schema_named(place));
  return out;
}

const std::string& Catalog::creation_schema() const {
  for (const std::string& place : names.path) {
    if (place != "pg_catalog" && has_schema(place)) return place;
  }
  raise("3F000", "no schema has been selected to create in");
}

const Relation* Catalog::by_sqlite_name(std::string_view name) const {
  const auto found = relations.find(std::string(name));
  return found == relations.end() ? nullptr : &found->second;
}

const Relation* Catalog::find_in(const std::string& schema, std::string_view name) const {
  if (schema == "pg_catalog" || schema == "information_schema") {
    static const auto kByName = [] {
      std::map<std::string, const Relation*, std::less<>> out;
      for (const Relation& relation : system_relations()) out[relation.sqlite_name] = &relation;
      return out;
    }();
    const auto found = kByName.find(schema + "." + std::string(name));
    return found == kByName.end() ? nullptr : found->second;
  }
  const Relation* found = by_sqlite_name(sqlite_name_of(schema, name));
  if (found != nullptr && found->schema == schema) return found;
  if (schema != "public") return nullptr;
  for (const auto& [key, relation] : relations) {
    if (relation.foreign && sqlite3_stricmp(key.c_str(), std::string(name).c_str()) == 0)
      return &relation;
  }
  return nullptr;
}

const Relation* Catalog::find(std::string_view schema, std::string_view name) const {
  for (const std::string& place : places(schema)) {
    if (const Relation* found = find_in(place, name); found != nullptr) return found;
  }
  return nullptr;
}

const Relation* Catalog::by_oid(Oid oid) const {
  for (const auto& [name, relation] : relations) {
    if (relation.oid == oid) return &relation;
  }
  for (const Relation& relation : system_relations()) {
    if (relation.oid == oid) return &relation;
  }
  return nullptr;
}

const Sequence* Catalog::sequence(std::string_view schema, std::string_view name) const {
  for (const std::string& place : places(schema)) {
    const auto found = sequences.find(sqlite_name_of(place, name));
    if (found != sequences.end()) return &found->second;
  }
  return nullptr;
}

const Sequence* Catalog::sequence_by_oid(Oid oid) const {
  for (const auto& [name, sequence] : sequences) {
    if (sequence.oid == oid) return &sequence;
  }
  return nullptr;
}

const Index* Catalog::index(std::string_view schema, std::string_view name,
                            const Relation** owner) const {
  for (const std::string& place : places(schema)) {
    for (const auto& [key, relation] : relations) {
      if (relation.schema != place) continue;
      for (const Index& index : relation.indexes) {
        if (index.name != name) continue;
        if (owner != nullptr) *owner = &relation;
        return &index;
      }
    }
  }
  return nullptr;
}

const EnumType* Catalog::enumeration(std::string_view schema, std::string_view name) const {
  for (const std::string& place : places(schema)) {
    const auto found = enums.find(sqlite_name_of(place, name));
    if (found != enums.end()) return &found->second;
  }
  return nullptr;
}

const EnumType* Catalog::enum_by_oid(Oid oid) const {
  for (const auto& [name, type] : enums) {
    if (type.oid == oid) return &type;
  }
  return nullptr;
}

bool Catalog::has_schema(std::string_view name) const {
  return schemas.contains(schema_named(name));
}

std::string sqlite_name_of(std::string_view schema, std::string_view name) {
  if (schema.empty() || schema == "public") return std::string(name);
  return std::string(schema) + "." + std::string(name);
}

Oid oid_of(std::string_view what, std::string_view name) {
  std::uint32_t hash = 2166136261U;
  for (const std::string_view part : {what, std::string_view(":"), name}) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  return 16384 + hash % (INT32_MAX - 16384);
}

Oid namespace_oid(std::string_view schema) {
  if (schema == "public" || schema.empty()) return kPublicNamespace;
  if (schema == "pg_catalog") return kCatalogNamespace;
  return oid_of("schema", schema);
}

}  // namespace calf::sqlite
