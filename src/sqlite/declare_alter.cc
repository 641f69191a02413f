// ALTER TABLE. SQLite itself can add, drop and rename columns; constraints, defaults and types are
// changed by writing the table's declaration anew, which leaves its rows where they are.
#include <algorithm>

#include "sqlite/declarations.h"

namespace calf::sqlite {
namespace {

// Renames an identifier in a stored expression.
std::string renamed(const std::string& text, const std::string& from, const std::string& to) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto word = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    };
    if (text[i] == '\'') {
      const std::size_t end = std::min(text.find('\'', i + 1), text.size() - 1);
      out += text.substr(i, end + 1 - i);
      i = end + 1;
    } else if (text[i] == '"') {
      const std::size_t end = std::min(text.find('"', i + 1), text.size() - 1);
      const std::string name = text.substr(i + 1, end - i - 1);
      out += quote_name(name == from ? to : name);
      i = end + 1;
    } else if (word(text[i])) {
      std::size_t end = i;
      while (end < text.size() && word(text[end])) ++end;
      const std::string name = text.substr(i, end - i);
      out += name == from ? quote_name(to) : name;
      i = end;
    } else {
      out += text[i++];
    }
  }
  return out;
}

}  // namespace

Column& Declarations::column_of(Relation& table, const char* name) {
  const int number = table.column_number(name);
  if (number == 0)
    raise("42703",
          std::string("column \"") + name + "\" of relation \"" + table.name + "\" does not exist");
  return table.columns[static_cast<std::size_t>(number - 1)];
}

// The new declaration in place of the old one: rows stay as they are on disk.
void Declarations::rewrite_schema(const Relation& table) {
  const std::string part = table.temporary ? "temp." : "main.";
  std::int64_t version = 0;
  db_.query("PRAGMA " + part + "schema_version", [&](const Row& row) { version = row.integer(0); });
  session_.raw("PRAGMA writable_schema = ON");
  try {
    db_.execute("UPDATE " + part + "sqlite_schema SET sql = ?1 WHERE type = 'table' AND name = ?2",
                {Datum::of(table_sql(table)), Datum::of(table.sqlite_name)});
    session_.raw("PRAGMA " + part + "schema_version = " + std::to_string(version + 1));
  } catch (...) {
    session_.raw("PRAGMA writable_schema = RESET");
    throw;
  }
  session_.raw("PRAGMA writable_schema = RESET");
}

void Declarations::alter_table(const PgQuery__AlterTableStmt& stmt, Portal& portal) {
  portal.tag = "ALTER TABLE";
  if (stmt.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX) unsupported("ALTER INDEX");
  if (stmt.missing_ok != 0 &&
      session_.catalog().find(given(stmt.relation->schemaname) ? stmt.relation->schemaname : "",
                              stmt.relation->relname) == nullptr) {
    return session_.notice("42P01", std::string("relation \"") + stmt.relation->relname +
                                        "\" does not exist, skipping");
  }
  Relation table = copy_of(*stmt.relation);
  if (table.kind != 'r') unsupported("ALTER of a view");
  if (table.foreign) unsupported("ALTER of a table that this engine did not declare");
  for (const pg::Node* node : CALF_LIST(&stmt, cmds)) {
    alter(table, *node->alter_table_cmd);
    store(table);
  }
}

void Declarations::alter(Relation& table, const PgQuery__AlterTableCmd& command) {
  switch (command.subtype) {
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn:
      return add_column(table, command);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropColumn:
      return drop_column(table, command);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ColumnDefault: {
      Column& column = column_of(table, command.name);
      if (column.identity != 0)
        raise("42601", "column \"" + column.name + "\" of relation \"" + table.name +
                           "\" is an identity column");
      if (command.def != nullptr) analyzer().column_expression(*command.def, nullptr, column.type);
      column.default_text = command.def == nullptr ? "" : expression_text(*command.def);
      return;
    }
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetNotNull: {
      Column& column = column_of(table, command.name);
      bool nulls = false;
      db_.query("SELECT 1 FROM " + quote_name(table.sqlite_name) + " WHERE " +
                    quote_name(column.name) + " IS NULL LIMIT 1",
                [&](const Row&) { nulls = true; });
      if (nulls)
        raise("23502", "column \"" + column.name + "\" of relation \"" + table.name +
                           "\" contains null values");
      column.not_null = true;
      return rewrite_schema(table);
    }
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropNotNull: {
      Column& column = column_of(table, command.name);
      const TableConstraint* key = table.primary_key();
      if (key != nullptr &&
          std::find(key->columns.begin(), key->columns.end(), column.name) != key->columns.end())
        raise("42P16", "column \"" + column.name + "\" is in a primary key");
      column.not_null = false;
      return rewrite_schema(table);
    }
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType:
      return alter_type(table, command);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint:
      return add_table_constraint(table, *command.def->constraint);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropConstraint:
      return drop_constraint(table, command);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ValidateConstraint:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ChangeOwner:
      return;
    default:
      unsupported("this form of ALTER TABLE");
  }
}

void Declarations::add_column(Relation& table, const PgQuery__AlterTableCmd& command) {
  const pg::ColumnDef& def = *command.def->column_def;
  if (table.column(def.colname) != nullptr) {
    if (command.missing_ok != 0)
      return session_.notice("42701", std::string("column \"") + def.colname + "\" of relation \"" +
                                          table.name + "\" already exists, skipping");
    raise("42701", std::string("column \"") + def.colname + "\" of relation \"" + table.name +
                       "\" already exists");
  }
  const std::size_t constraints = table.constraints.size();
  const std::size_t indexes = table.indexes.size();
  std::vector<Sequence> sequences;
  add_column_definition(table, def, sequences);
  for (const Sequence& sequence : sequences) store(sequence);
  Column& column = table.columns.back();
  if (!column.generated_text.empty()) unsupported("adding a generated column");
  const bool required = std::exchange(column.not_null, false);
  std::string sql = quote_name(column.name) + " " +
                    (storage_of(column.type.oid) == Storage::kInteger ? "INTEGER"
                     : storage_of(column.type.oid) == Storage::kReal  ? "REAL"
                     : storage_of(column.type.oid) == Storage::kBlob  ? "BLOB"
                                                                      : "TEXT");
  session_.raw("ALTER TABLE " + quote_name(table.sqlite_name) + " ADD COLUMN " + sql);
  if (column.identity != 0 || !column.default_text.empty()) {
    std::string value;
    if (column.identity != 0) {
      value = "\"nextval(regclass)\"(" + std::to_string(sequences.back().oid) + ")";
    } else {
      const ParsedExpression parsed = parse_expression(column.default_text);
      value = analyzer().column_expression(*parsed.node, nullptr, column.type);
    }
    session_.raw("UPDATE " + quote_name(table.sqlite_name) + " SET " + quote_name(column.name) +
                 " = " + value);
  }
  bool nulls = false;
  if (required)
    db_.query("SELECT 1 FROM " + quote_name(table.sqlite_name) + " WHERE " +
                  quote_name(column.name) + " IS NULL LIMIT 1",
              [&](const Row&) { nulls = true; });
  if (nulls)
    raise("23502",
          "column \"" + column.name + "\" of relation \"" + table.name + "\" contains null values");
  column.not_null = required;
  for (std::size_t i = constraints; i < table.constraints.size(); ++i) {
    if (table.constraints[i].kind == 'p') unsupported("adding a primary key column");
  }
  rewrite_schema(table);
  for (std::size_t i = indexes; i < table.indexes.size(); ++i)
    session_.raw(index_sql(table, table.indexes[i]));
}

void Declarations::drop_column(Relation& table, const PgQuery__AlterTableCmd& command) {
  if (table.column(command.name) == nullptr) {
    if (command.missing_ok != 0)
      return session_.notice("42703", std::string("column \"") + command.name +
                                          "\" of relation \"" + table.name +
                                          "\" does not exist, skipping");
    column_of(table, command.name);
  }
  const std::string name = command.name;
  const auto uses = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (const TableConstraint* key = table.primary_key(); key != nullptr && uses(key->columns))
    unsupported("dropping a column of the primary key");
  const auto mentions = [&](const std::string& text) {
    return renamed(text, name, name + "?") != renamed(text, name, name);
  };
  for (const auto& [other_name, other] : session_.catalog().relations) {
    if (other.kind != 'r' &&
        std::find(other.depends_on.begin(), other.depends_on.end(), table.sqlite_name) !=
            other.depends_on.end() &&
        mentions(other.view_text)) {
      raise("2BP01",
            "cannot drop column " + name + " of table " + table.name +
                " because other objects depend on it",
            "Use DROP ... CASCADE to drop the dependent objects too.",
            kind_word(other.kind) + (" " + other.name) + " depends on column " + name +
                " of table " + table.name);
    }
  }
  std::erase_if(table.indexes, [&](const Index& index) {
    const bool used =
        std::any_of(index.columns.begin(), index.columns.end(),
                    [&](const IndexColumn& part) {
                      return part.expression ? mentions(part.text) : part.text == name;
                    }) ||
        mentions(index.predicate_text);
    if (used) session_.raw("DROP INDEX " + quote_name(sqlite_name_of(index.schema, index.name)));
    return used;
  });
  std::erase_if(table.constraints, [&](const TableConstraint& c) {
    return uses(c.columns) || (c.kind == 'c' && mentions(c.check_text));
  });
  rewrite_schema(table);
  session_.raw("ALTER TABLE " + quote_name(table.sqlite_name) + " DROP COLUMN " + quote_name(name));
  std::erase_if(table.columns, [&](const Column& column) { return column.name == name; });
  std::vector<Sequence> owned;
  for (const auto& [key, sequence] : session_.catalog().sequences) {
    if (sequence.owner_table == table.sqlite_name && sequence.owner_column == name)
      owned.push_back(sequence);
  }
  for (const Sequence& sequence : owned) forget(sequence);
}

void Declarations::alter_type(Relation& table, const PgQuery__AlterTableCmd& command) {
  Column& column = column_of(table, command.name);
  const pg::ColumnDef& def = *command.def->column_def;
  const Type type = analyzer().type_of(*def.type_name);
  if (const TableConstraint* key = table.primary_key();
      table.rowid_key && key != nullptr && key->columns[0] == column.name && !is_integer(type.oid))
    unsupported("giving a primary key column another kind of type");
  std::string value;
  if (def.raw_default != nullptr) {
    value = analyzer().column_expression(*def.raw_default, &table, type);
  } else {
    if (!can_cast(column.type.oid, type.oid, CastContext::kAssignment)) {
      raise("42804",
            "column \"" + column.name + "\" cannot be cast automatically to type " +
                format_type(type),
            "You might need to specify \"USING " + column.name + "::" + format_type(type) + "\".");
    }
    const ParsedExpression self = parse_expression(quote_name(column.name));
    value = analyzer().column_expression(*self.node, &table, type);
  }
  column.type = type;
  rewrite_schema(table);
  session_.raw("UPDATE " + quote_name(table.sqlite_name) + " SET " + quote_name(column.name) +
               " = " + value);
  for (const Index& index : table.indexes) {
    if (std::any_of(index.columns.begin(), index.columns.end(),
                    [&](const IndexColumn& part) { return part.text == column.name; }))
      session_.raw("REINDEX " + quote_name(table.sqlite_name));
  }
}

void Declarations::add_table_constraint(Relation& table, const pg::Constraint& constraint) {
  const std::size_t indexes = table.indexes.size();
  add_constraint(table, constraint, "");
  const TableConstraint& made = table.constraints.back();
  const std::string name = quote_name(table.sqlite_name);
  if (made.kind == 'c') {
    const ParsedExpression parsed = parse_expression(made.check_text);
    const std::string check = analyzer().column_expression(*parsed.node, &table, Type{oid::kBool});
    bool violated = false;
    if (constraint.skip_validation == 0)
      db_.query("SELECT 1 FROM " + name + " WHERE NOT (" + check + ") LIMIT 1",
                [&](const Row&) { violated = true; });
    if (violated)
      raise("23514", "check constraint \"" + made.name + "\" of relation \"" + table.name +
                         "\" is violated by some row");
  }
  if (made.kind == 'p') return add_primary_key(table);
  if (made.kind != 'u') rewrite_schema(table);
  for (std::size_t i = indexes; i < table.indexes.size(); ++i)
    session_.raw(index_sql(table, table.indexes[i]));
  if (made.kind == 'f') {
    bool violated = false;
    db_.query("SELECT fkid FROM pragma_foreign_key_check(" + quote_text(table.sqlite_name) + ")",
              [&](const Row&) { violated = true; });
    if (violated)
      raise("23503", "insert or update on table \"" + table.name +
                         "\" violates foreign key constraint \"" + made.name + "\"");
  }
}

void Declarations::drop_constraint(Relation& table, const PgQuery__AlterTableCmd& command) {
  const auto found = std::find_if(table.constraints.begin(), table.constraints.end(),
                                  [&](const TableConstraint& c) { return c.name == command.name; });
  if (found == table.constraints.end()) {
    if (command.missing_ok != 0)
      return session_.notice("42704", std::string("constraint \"") + command.name +
                                          "\" of relation \"" + table.name +
                                          "\" does not exist, skipping");
    raise("42704", std::string("constraint \"") + command.name + "\" of relation \"" + table.name +
                       "\" does not exist");
  }
  if (found->kind == 'p') unsupported("dropping a primary key");
  const bool unique = found->kind == 'u';
  table.constraints.erase(found);
  if (unique) {
    std::erase_if(table.indexes, [&](const Index& index) { return index.name == command.name; });
    session_.raw("DROP INDEX " + quote_name(sqlite_name_of(table.schema, command.name)));
  } else {
    rewrite_schema(table);
  }
}

void Declarations::rename(const PgQuery__RenameStmt& stmt, Portal& portal) {
  const std::string to = stmt.newname;
  if (stmt.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN) {
    portal.tag = "ALTER TABLE";
    Relation table = copy_of(*stmt.relation);
    if (table.foreign || table.kind != 'r') unsupported("renaming a column here");
    check_not_materialized(table);
    const std::string from = stmt.subname;
    Column& column = column_of(table, stmt.subname);
    if (table.column(to) != nullptr)
      raise("42701", "column \"" + to + "\" of relation \"" + table.name + "\" already exists");
    session_.raw("ALTER TABLE " + quote_name(table.sqlite_name) + " RENAME COLUMN " +
                 quote_name(from) + " TO " + quote_name(to));
    column.name = to;
    for (Column& c : table.columns) c.generated_text = renamed(c.generated_text, from, to);
    for (TableConstraint& c : table.constraints) {
      std::replace(c.columns.begin(), c.columns.end(), from, to);
      c.check_text = renamed(c.check_text, from, to);
      if (c.foreign_table == table.name && c.foreign_schema == table.schema)
        std::replace(c.foreign_columns.begin(), c.foreign_columns.end(), from, to);
    }
    for (Index& index : table.indexes) {
      for (IndexColumn& part : index.columns)
        part.text = part.expression     ? renamed(part.text, from, to)
                    : part.text == from ? to
                                        : part.text;
      index.predicate_text = renamed(index.predicate_text, from, to);
    }
    std::vector<Relation> others;
    std::vector<Sequence> sequences;
    for (const auto& [name, other] : session_.catalog().relations) {
      Relation copy = other;
      bool changed = false;
      for (TableConstraint& c : copy.constraints) {
        if (c.kind != 'f' || c.foreign_table != table.name || c.foreign_schema != table.schema ||
            other.sqlite_name == table.sqlite_name)
          continue;
        std::replace(c.foreign_columns.begin(), c.foreign_columns.end(), from, to);
        changed = true;
      }
      if (changed) others.push_back(std::move(copy));
    }
    for (const auto& [name, sequence] : session_.catalog().sequences) {
      if (sequence.owner_table != table.sqlite_name || sequence.owner_column != from) continue;
      sequences.push_back(sequence);
      sequences.back().owner_column = to;
    }
    for (const Relation& other : others) store(other);
    for (const Sequence& sequence : sequences) store(sequence);
    return store(table);
  }
  if (stmt.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX) {
    portal.tag = "ALTER INDEX";
    const Relation* owner = nullptr;
    if (session_.catalog().index("", stmt.relation->relname, &owner) == nullptr)
      raise("42P01", std::string("relation \"") + stmt.relation->relname + "\" does not exist");
    Relation table = *owner;
    for (Index& index : table.indexes) {
      if (index.name != stmt.relation->relname) continue;
      if (index.primary || index.constraint) unsupported("renaming the index of a constraint");
      session_.raw("DROP INDEX " + quote_name(sqlite_name_of(index.schema, index.name)));
      index.name = to;
      session_.raw(index_sql(table, index));
    }
    return store(table);
  }
  if (stmt.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT) {
    portal.tag = "ALTER TABLE";
    Relation table = copy_of(*stmt.relation);
    const auto found =
        std::find_if(table.constraints.begin(), table.constraints.end(),
                     [&](const TableConstraint& c) { return c.name == stmt.subname; });
    if (found == table.constraints.end())
      raise("42704", std::string("constraint \"") + stmt.subname + "\" for table \"" + table.name +
                         "\" does not exist");
    if (found->kind == 'p' || found->kind == 'u') unsupported("renaming a key");
    found->name = to;
    rewrite_schema(table);
    return store(table);
  }
  const bool matview = stmt.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW;
  if (stmt.rename_type != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE && !matview)
    unsupported("this form of RENAME");
  portal.tag = matview ? "ALTER MATERIALIZED VIEW" : "ALTER TABLE";
  Relation table = copy_of(*stmt.relation);
  if (matview && table.kind != 'm')
    raise("42809", "\"" + table.name + "\" is not a materialized view");
  check_not_materialized(table);
  const std::string before = table.sqlite_name;
  const std::string old_name = table.name;
  check_new(table.schema, to);
  table.name = to;
  table.sqlite_name = sqlite_name_of(table.schema, to);
  session_.raw("ALTER TABLE " + quote_name(before) + " RENAME TO " + quote_name(table.sqlite_name));
  std::vector<Relation> others;
  std::vector<Sequence> sequences;
  for (const auto& [name, other] : session_.catalog().relations) {
    Relation copy = other;
    for (TableConstraint& c : copy.constraints) {
      if (c.kind == 'f' && c.foreign_table == old_name && c.foreign_schema == table.schema)
        c.foreign_table = to;
    }
    std::replace(copy.depends_on.begin(), copy.depends_on.end(), before, table.sqlite_name);
    if (name != before && to_json(copy) != to_json(other)) others.push_back(std::move(copy));
  }
  for (TableConstraint& c : table.constraints) {
    if (c.kind == 'f' && c.foreign_table == old_name && c.foreign_schema == table.schema)
      c.foreign_table = to;
  }
  for (const auto& [name, sequence] : session_.catalog().sequences) {
    if (sequence.owner_table != before) continue;
    sequences.push_back(sequence);
    sequences.back().owner_table = table.sqlite_name;
  }
  forget("relation", before);
  for (const Relation& other : others) store(other);
  for (const Sequence& sequence : sequences) store(sequence);
  store(table);
}

}  // namespace calf::sqlite
