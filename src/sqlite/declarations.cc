// Which declaration is made where, and what is written down of it.
#include "sqlite/declarations.h"

#include "sqlite/sql_error.h"

namespace calf::sqlite {

void Declarations::run(const pg::Node& node, Portal& portal) {
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_CREATE_STMT:
      return create_table(*node.create_stmt, portal);
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
      return create_table_as(*node.create_table_as_stmt, portal);
    case PG_QUERY__NODE__NODE_REFRESH_MAT_VIEW_STMT:
      return refresh_matview(*node.refresh_mat_view_stmt, portal);
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
      return alter_table(*node.alter_table_stmt, portal);
    case PG_QUERY__NODE__NODE_RENAME_STMT:
      return rename(*node.rename_stmt, portal);
    case PG_QUERY__NODE__NODE_INDEX_STMT:
      return create_index(*node.index_stmt, portal);
    case PG_QUERY__NODE__NODE_VIEW_STMT:
      return create_view(*node.view_stmt, portal);
    case PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT:
      return create_schema(*node.create_schema_stmt, portal);
    case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT:
      return create_sequence(*node.create_seq_stmt, portal);
    case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT:
      return alter_sequence(*node.alter_seq_stmt, portal);
    case PG_QUERY__NODE__NODE_DROP_STMT:
      return drop(*node.drop_stmt, portal);
    case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
      return truncate(*node.truncate_stmt, portal);
    case PG_QUERY__NODE__NODE_COMMENT_STMT:
      return comment(*node.comment_stmt, portal);
    case PG_QUERY__NODE__NODE_LOCK_STMT: {
      if (session_.block_ != Session::Block::kOpen)
        raise("25P01", "LOCK TABLE can only be used in transaction blocks");
      for (const pg::Node* item : CALF_LIST(node.lock_stmt, relations)) {
        session_.raw("DELETE FROM " + quote_name(copy_of(*item->range_var).sqlite_name) +
                     " WHERE 0");
      }
      portal.tag = "LOCK TABLE";
      return;
    }
    case PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT:
      if (std::string_view(node.create_extension_stmt->extname) == "plpgsql") break;
      unsupported(std::string("the extension ") + node.create_extension_stmt->extname);
    case PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT:
      unsupported("CREATE FUNCTION");
    case PG_QUERY__NODE__NODE_CREATE_TRIG_STMT:
      unsupported("CREATE TRIGGER");
    case PG_QUERY__NODE__NODE_CREATE_ENUM_STMT:
      return create_enum(*node.create_enum_stmt, portal);
    case PG_QUERY__NODE__NODE_ALTER_ENUM_STMT:
      return alter_enum(*node.alter_enum_stmt, portal);
    case PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT:
    case PG_QUERY__NODE__NODE_CREATE_RANGE_STMT:
      unsupported("CREATE TYPE");
    case PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT:
      unsupported("CREATE DOMAIN");
    case PG_QUERY__NODE__NODE_CREATE_ROLE_STMT:
    case PG_QUERY__NODE__NODE_ALTER_ROLE_STMT:
    case PG_QUERY__NODE__NODE_DROP_ROLE_STMT:
    case PG_QUERY__NODE__NODE_GRANT_STMT:
    case PG_QUERY__NODE__NODE_GRANT_ROLE_STMT:
      unsupported("managing roles and privileges");
    case PG_QUERY__NODE__NODE_CREATEDB_STMT:
    case PG_QUERY__NODE__NODE_DROPDB_STMT:
      unsupported("CREATE and DROP DATABASE: a server has the one database of its file, so it");
    case PG_QUERY__NODE__NODE_DO_STMT:
    case PG_QUERY__NODE__NODE_CALL_STMT:
      unsupported("procedural code");
    default:
      break;
  }
  unsupported("this statement");
}

Analyzer Declarations::analyzer() {
  return Analyzer({.catalog = &session_.catalog(), .conversion = &session_.conversion_});
}

// Where it is written down, made if need be.
std::string Declarations::catalog_table(const std::string& schema) {
  const bool temporary = session_.catalog().is_temporary(schema);
  session_.ensure_catalog_table(temporary);
  return std::string(temporary ? "temp." : "main.") + kCatalogTable;
}

void Declarations::store(const Relation& relation) {
  db_.execute(
      "INSERT OR REPLACE INTO " + catalog_table(relation.schema) + " VALUES ('relation', ?1, ?2)",
      {Datum::of(relation.sqlite_name), Datum::of(to_json(relation))});
  session_.schema_changed();
}

void Declarations::store(const Sequence& sequence) {
  db_.execute(
      "INSERT OR REPLACE INTO " + catalog_table(sequence.schema) + " VALUES ('sequence', ?1, ?2)",
      {Datum::of(sqlite_name_of(sequence.schema, sequence.name)), Datum::of(to_json(sequence))});
  session_.schema_changed();
}

// The sequence, and how far it has come.
void Declarations::forget(const Sequence& sequence) {
  const std::string name = sqlite_name_of(sequence.schema, sequence.name);
  if (!session_.catalog().is_temporary(sequence.schema))
    db_.execute("DELETE FROM calf_sequence WHERE name = ?1", {Datum::of(name)});
  session_.database_->forget_sequence(sequence.oid);
  forget("sequence", name);
}

void Declarations::forget(const char* kind, const std::string& name) {
  const Catalog& catalog = session_.catalog();
  for (const auto& [part, there] : {std::pair("main.", catalog.initialized),
                                    std::pair("temp.", catalog.temporary_initialized)}) {
    if (there)
      db_.execute(
          std::string("DELETE FROM ") + part + kCatalogTable + " WHERE kind = ?1 AND name = ?2",
          {Datum::of(kind), Datum::of(name)});
  }
  session_.schema_changed();
}

void Declarations::check_new(const std::string& schema, const std::string& name) {
  const Catalog& catalog = session_.catalog();
  if (!catalog.has_schema(schema)) raise("3F000", "schema \"" + schema + "\" does not exist");
  if (schema == "pg_catalog" || schema == "information_schema")
    raise("42501", "permission denied for schema " + schema);
  const std::string wanted = sqlite_name_of(schema, name);
  const bool taken = catalog.by_sqlite_name(wanted) != nullptr ||
                     catalog.sequence(schema, name) != nullptr ||
                     catalog.index(schema, name) != nullptr;
  if (taken) raise("42P07", "relation \"" + name + "\" already exists");
  for (const auto& [known, relation] : catalog.relations) {
    if (upper_text(known) == upper_text(wanted))
      unsupported("a table whose name differs from \"" + known + "\" in upper and lower case only");
  }
  if (wanted.starts_with("sqlite_") || wanted.starts_with("calf_"))
    raise("42939", "the name \"" + name + "\" is reserved");
}

// Where something new is made: where its name says, or first in the search path.
std::string Declarations::new_schema(const pg::RangeVar& var) {
  const bool temporary = given(var.relpersistence) && var.relpersistence[0] == 't';
  const std::string schema =
      given(var.schemaname) ? session_.catalog().schema_named(var.schemaname) : "";
  if (!temporary && !session_.catalog().is_temporary(schema))
    return schema.empty() ? session_.catalog().creation_schema() : schema;
  if (!schema.empty() && !session_.catalog().is_temporary(schema))
    raise("42P16", "cannot create temporary relation in non-temporary schema");
  session_.ensure_catalog_table(true);
  return session_.catalog().names.temporary_schema;
}

Relation Declarations::new_relation(const pg::RangeVar& var) {
  Relation relation{.schema = new_schema(var), .name = var.relname};
  relation.temporary = session_.catalog().is_temporary(relation.schema);
  relation.sqlite_name = sqlite_name_of(relation.schema, relation.name);
  relation.oid = oid_of("relation", relation.sqlite_name);
  return relation;
}

Relation Declarations::copy_of(const pg::RangeVar& var) {
  const Relation* found =
      session_.catalog().find(given(var.schemaname) ? var.schemaname : "", var.relname);
  if (found == nullptr)
    raise("42P01", std::string("relation \"") + var.relname + "\" does not exist");
  if (found->system)
    raise("42501", "permission denied: \"" + found->name + "\" is a system catalog");
  return *found;
}

// PostgreSQL's way to find a name for what has none: t_a_key, t_a_key1, …
std::string Declarations::unused_name(const std::string& schema, const std::string& wanted) {
  const Catalog& catalog = session_.catalog();
  for (int i = 0;; ++i) {
    const std::string name = i == 0 ? wanted : wanted + std::to_string(i);
    if (catalog.find(schema, name) == nullptr && catalog.sequence(schema, name) == nullptr &&
        catalog.index(schema, name) == nullptr)
      return name;
  }
}

}  // namespace calf::sqlite
