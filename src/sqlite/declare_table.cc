// Tables: their columns, constraints and indexes, and how SQLite is told of them.
#include <algorithm>

#include "sqlite/declarations.h"

namespace calf::sqlite {
namespace {

const char* storage_name(Type type) {
  switch (storage_of(type.oid)) {
    case Storage::kInteger:
      return "INTEGER";
    case Storage::kReal:
      return "REAL";
    case Storage::kBlob:
      return "BLOB";
    case Storage::kText:
      break;
  }
  return "TEXT";
}

std::string joined(const std::vector<std::string>& names, const char* between) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : between) + name;
  return out;
}

std::string quoted_list(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + quote_name(name);
  return out;
}

std::vector<std::string> names_of(std::span<PgQuery__Node* const> nodes) {
  std::vector<std::string> names;
  for (const pg::Node* node : nodes) names.emplace_back(string_of(node));
  return names;
}

const char* action_sql(char action) {
  switch (action) {
    case 'c':
      return "CASCADE";
    case 'n':
      return "SET NULL";
    case 'd':
      return "SET DEFAULT";
    case 'r':
      return "RESTRICT";
    default:
      return "NO ACTION";
  }
}

char on_commit_of(PgQuery__OnCommitAction action) {
  switch (action) {
    case PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DELETE_ROWS:
      return 'd';
    case PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DROP:
      return 'D';
    default:
      return 'p';
  }
}

}  // namespace

void Declarations::add_column_definition(Relation& table, const pg::ColumnDef& def,
                                         std::vector<Sequence>& sequences) {
  if (table.column(def.colname) != nullptr)
    raise("42701", std::string("column \"") + def.colname + "\" specified more than once");
  for (const Column& other : table.columns) {
    if (upper_text(other.name) == upper_text(def.colname))
      unsupported("a column whose name differs from \"" + other.name +
                  "\" in upper and lower case only");
  }
  bool serial = false;
  Column column{.name = def.colname, .type = analyzer().type_of(*def.type_name, &serial)};
  const auto own_sequence = [&](bool identity) {
    Sequence sequence{.schema = table.schema,
                      .name = unused_name(table.schema, table.name + "_" + column.name + "_seq"),
                      .type = column.type.oid,
                      .owner_table = table.sqlite_name,
                      .owner_column = column.name,
                      .identity = identity};
    sequence.maximum = column.type.oid == oid::kInt2   ? INT16_MAX
                       : column.type.oid == oid::kInt4 ? INT32_MAX
                                                       : INT64_MAX;
    sequence.oid = oid_of("relation", sqlite_name_of(sequence.schema, sequence.name));
    return sequence;
  };
  if (serial) {
    sequences.push_back(own_sequence(false));
    const std::string prefix = table.schema == "public" ? "" : pg_quote_name(table.schema) + ".";
    column.default_text =
        "nextval(" + quote_text(prefix + pg_quote_name(sequences.back().name)) + "::regclass)";
    column.not_null = true;
  }
  if (def.coll_clause != nullptr) {
    const std::string_view name =
        string_of(def.coll_clause->collname[def.coll_clause->n_collname - 1]);
    if (name != "C" && name != "default" && name != "POSIX")
      unsupported("the collation \"" + std::string(name) + "\"");
  }
  table.columns.push_back(column);
  for (const pg::Node* node : CALF_LIST(&def, constraints)) {
    const pg::Constraint& constraint = *node->constraint;
    Column& current = table.columns.back();
    switch (constraint.contype) {
      case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL:
        current.not_null = true;
        break;
      case PG_QUERY__CONSTR_TYPE__CONSTR_NULL:
        break;
      case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT:
        analyzer().column_expression(*constraint.raw_expr, nullptr, current.type);
        current.default_text = expression_text(*constraint.raw_expr);
        break;
      case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY: {
        if (!is_integer(current.type.oid))
          raise("22023", "identity column type must be smallint, integer, or bigint");
        current.identity = constraint.generated_when[0];
        current.not_null = true;
        Sequence sequence = own_sequence(true);
        sequence_options(sequence, CALF_LIST(&constraint, options), nullptr);
        sequences.push_back(std::move(sequence));
        break;
      }
      case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
        current.generated_text = expression_text(*constraint.raw_expr);
        break;
      case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRABLE:
      case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRED:
        if (!table.constraints.empty()) {
          table.constraints.back().deferrable = true;
          table.constraints.back().deferred =
              constraint.contype == PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRED ||
              table.constraints.back().deferred;
        }
        break;
      case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_NOT_DEFERRABLE:
      case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_IMMEDIATE:
        break;
      default:
        add_constraint(table, constraint, current.name);
    }
  }
}

void Declarations::add_constraint(Relation& table, const pg::Constraint& c,
                                  const std::string& column) {
  TableConstraint made{.name = given(c.conname) ? c.conname : "",
                       .deferrable = c.deferrable != 0,
                       .deferred = c.initdeferred != 0};
  made.columns = names_of(CALF_LIST(&c, keys));
  if (!column.empty()) made.columns = {column};
  const auto default_name = [&](const std::string& suffix) {
    if (!made.name.empty()) return;
    const bool unnamed =
        made.columns.empty() || made.kind == 'p' || (made.kind == 'c' && made.columns.size() > 1);
    std::string wanted = table.name + (unnamed ? "" : "_" + joined(made.columns, "_")) + suffix;
    for (int i = 1; std::any_of(table.constraints.begin(), table.constraints.end(),
                                [&](const auto& other) { return other.name == wanted; });
         ++i)
      wanted = table.name + (unnamed ? "" : "_" + joined(made.columns, "_")) + suffix +
               std::to_string(i);
    made.name = wanted;
  };
  switch (c.contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
    case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE: {
      if (c.nulls_not_distinct != 0) unsupported("NULLS NOT DISTINCT");
      made.kind = c.contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY ? 'p' : 'u';
      if (made.deferrable) unsupported("a deferrable unique constraint");
      if (given(c.indexname)) unsupported("a constraint USING INDEX");
      if (made.kind == 'p' && table.primary_key() != nullptr)
        raise("42P16", "multiple primary keys for table \"" + table.name + "\" are not allowed");
      default_name(made.kind == 'p' ? "_pkey" : "_key");
      Index index{.name = made.name,
                  .schema = table.schema,
                  .oid = oid_of("index", sqlite_name_of(table.schema, made.name)),
                  .unique = true,
                  .primary = made.kind == 'p',
                  .constraint = true};
      for (const std::string& name : made.columns) {
        if (table.column(name) == nullptr)
          raise("42703", "column \"" + name + "\" named in key does not exist");
        if (made.kind == 'p') column_of(table, name.c_str()).not_null = true;
        index.columns.push_back({.text = name});
      }
      table.indexes.push_back(std::move(index));
      break;
    }
    case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK:
      made.kind = 'c';
      made.check_text = expression_text(*c.raw_expr);
      // The columns that it names; one alone is in its name, too.
      made.columns.clear();
      analyzer().column_expression(*c.raw_expr, &table, Type{oid::kBool}, &made.columns);
      default_name("_check");
      break;
    case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN: {
      made.kind = 'f';
      if (column.empty()) made.columns = names_of(CALF_LIST(&c, fk_attrs));
      made.foreign_columns = names_of(CALF_LIST(&c, pk_attrs));
      made.foreign_schema = given(c.pktable->schemaname)
                                ? session_.catalog().schema_named(c.pktable->schemaname)
                                : "";
      made.foreign_table = c.pktable->relname;
      made.on_update = given(c.fk_upd_action) ? c.fk_upd_action[0] : 'a';
      made.on_delete = given(c.fk_del_action) ? c.fk_del_action[0] : 'a';
      default_name("_fkey");
      const bool self = made.foreign_table == table.name &&
                        (made.foreign_schema.empty() || made.foreign_schema == table.schema);
      const Relation* target =
          self ? &table : session_.catalog().find(made.foreign_schema, made.foreign_table);
      if (target == nullptr)
        raise("42P01", "relation \"" + made.foreign_table + "\" does not exist");
      made.foreign_schema = target->schema;
      if (target->temporary != table.temporary)
        raise("42P16", std::string("constraints on ") +
                           (table.temporary ? "temporary" : "permanent") +
                           " tables may reference only " +
                           (table.temporary ? "temporary" : "permanent") + " tables");
      if (made.foreign_columns.empty()) {
        if (target->primary_key() == nullptr)
          raise("42704",
                "there is no primary key for referenced table \"" + made.foreign_table + "\"");
        made.foreign_columns = target->primary_key()->columns;
      }
      if (made.foreign_columns.size() != made.columns.size())
        raise("42830", "number of referencing and referenced columns for foreign key disagree");
      for (const std::string& name : made.columns) {
        if (table.column(name) == nullptr)
          raise("42703",
                "column \"" + name + "\" referenced in foreign key constraint does not exist");
      }
      const bool unique =
          std::any_of(target->indexes.begin(), target->indexes.end(), [&](const Index& index) {
            return index.unique && index.predicate_text.empty() &&
                   index.columns.size() == made.foreign_columns.size() &&
                   std::all_of(
                       index.columns.begin(), index.columns.end(), [&](const IndexColumn& part) {
                         return std::find(made.foreign_columns.begin(), made.foreign_columns.end(),
                                          part.text) != made.foreign_columns.end();
                       });
          });
      if (!unique)
        raise("42830", "there is no unique constraint matching given keys for referenced table \"" +
                           made.foreign_table + "\"");
      break;
    }
    case PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION:
      unsupported("an exclusion constraint");
    default:
      unsupported("this kind of constraint");
  }
  if (std::any_of(table.constraints.begin(), table.constraints.end(),
                  [&](const auto& other) { return other.name == made.name; })) {
    raise("42710",
          "constraint \"" + made.name + "\" for relation \"" + table.name + "\" already exists");
  }
  table.constraints.push_back(std::move(made));
}

std::string Declarations::column_sql(const Relation& table, const Column& column) {
  std::string sql = quote_name(column.name) + " " + storage_name(column.type);
  const TableConstraint* key = table.primary_key();
  if (table.rowid_key && key != nullptr && key->columns[0] == column.name)
    sql += " CONSTRAINT " + quote_name(key->name) + " PRIMARY KEY";
  if (column.not_null) sql += " NOT NULL";
  if (const auto collation = collation_of(column.type.oid); !collation.empty())
    sql += " COLLATE " + std::string(collation);
  if (!column.generated_text.empty()) {
    const ParsedExpression parsed = parse_expression(column.generated_text);
    sql += " GENERATED ALWAYS AS (" +
           analyzer().column_expression(*parsed.node, &table, column.type) + ") STORED";
  }
  return sql;
}

std::string Declarations::constraint_sql(const Relation& table, const TableConstraint& c) {
  if (c.kind == 'c') {
    const ParsedExpression parsed = parse_expression(c.check_text);
    return "CONSTRAINT " + quote_name(c.name) + " CHECK (" +
           analyzer().column_expression(*parsed.node, &table, Type{oid::kBool}) + ")";
  }
  if (c.kind == 'f') {
    return "CONSTRAINT " + quote_name(c.name) + " FOREIGN KEY (" + quoted_list(c.columns) +
           ") REFERENCES " + quote_name(sqlite_name_of(c.foreign_schema, c.foreign_table)) + " (" +
           quoted_list(c.foreign_columns) + ") ON UPDATE " + action_sql(c.on_update) +
           " ON DELETE " + action_sql(c.on_delete) +
           (c.deferred ? " DEFERRABLE INITIALLY DEFERRED" : "");
  }
  if (c.kind == 'p' && !table.rowid_key)
    return "CONSTRAINT " + quote_name(c.name) + " PRIMARY KEY (" + quoted_list(c.columns) + ")";
  return {};  // unique constraints are indexes of their own, which can be dropped
}

std::string Declarations::table_sql(const Relation& table) {
  std::string parts;
  for (const Column& column : table.columns)
    parts += (parts.empty() ? "" : ", ") + column_sql(table, column);
  for (const TableConstraint& constraint : table.constraints) {
    if (const std::string sql = constraint_sql(table, constraint); !sql.empty())
      parts += ", " + sql;
  }
  return "CREATE TABLE " + quote_name(table.sqlite_name) + " (" + parts + ") STRICT";
}

void Declarations::make_table(const Relation& table) {
  if (!table.temporary) session_.ensure_catalog_table(false);
  const std::string sql = table_sql(table);
  session_.raw(table.temporary ? "CREATE TEMP " + sql.substr(sql.find(' ') + 1) : sql);
}

std::string Declarations::index_sql(const Relation& table, const Index& index) {
  std::string parts;
  for (const IndexColumn& part : index.columns) {
    std::string sql;
    if (part.expression) {
      const ParsedExpression parsed = parse_expression(part.text);
      sql = analyzer().column_expression(*parsed.node, &table, std::nullopt);
    } else {
      sql = quote_name(part.text);
    }
    parts += (parts.empty() ? "" : ", ") + sql + (part.descending ? " DESC" : "");
  }
  std::string where;
  if (!index.predicate_text.empty()) {
    const ParsedExpression parsed = parse_expression(index.predicate_text);
    where = " WHERE " + analyzer().column_expression(*parsed.node, &table, Type{oid::kBool});
  }
  return std::string("CREATE ") + (index.unique ? "UNIQUE " : "") + "INDEX " +
         (table.temporary ? "temp." : "") + quote_name(sqlite_name_of(index.schema, index.name)) +
         " ON " + quote_name(table.sqlite_name) + " (" + parts + ")" + where;
}

// LIKE other INCLUDING …: its columns, and of the rest what was asked for.
void Declarations::add_like(Relation& table, const PgQuery__TableLikeClause& like,
                            std::vector<Sequence>& sequences) {
  enum Including : unsigned {
    kComments = 1,
    kConstraints = 4,
    kDefaults = 8,
    kGenerated = 16,
    kIdentity = 32,
    kIndexes = 64
  };
  const auto with = [&](Including part) { return (like.options & part) != 0; };
  const Relation other = copy_of(*like.relation);
  if (other.foreign) unsupported("LIKE of a table that this engine did not declare");
  for (Column column : other.columns) {
    if (table.column(column.name) != nullptr)
      raise("42701", "column \"" + column.name + "\" specified more than once");
    if (!with(kDefaults)) column.default_text.clear();
    if (!with(kGenerated)) column.generated_text.clear();
    if (!with(kComments)) column.comment.clear();
    if (column.identity != 0 && with(kIdentity)) {
      for (const auto& [name, known] : session_.catalog().sequences) {
        if (known.owner_table != other.sqlite_name || known.owner_column != column.name) continue;
        Sequence sequence = known;
        sequence.schema = table.schema;
        sequence.name = unused_name(table.schema, table.name + "_" + column.name + "_seq");
        sequence.owner_table = table.sqlite_name;
        sequence.oid = oid_of("relation", sqlite_name_of(sequence.schema, sequence.name));
        sequences.push_back(std::move(sequence));
      }
    } else {
      column.identity = 0;
    }
    table.columns.push_back(std::move(column));
  }
  for (const TableConstraint& constraint : other.constraints) {
    const bool key = constraint.kind == 'p' || constraint.kind == 'u';
    if (constraint.kind == 'c' && with(kConstraints)) table.constraints.push_back(constraint);
    if (!key || !with(kIndexes)) continue;
    TableConstraint made = constraint;
    std::string names;
    for (const std::string& column : made.columns) names += "_" + column;
    made.name =
        unused_name(table.schema, table.name + (made.kind == 'p' ? "_pkey" : names + "_key"));
    table.constraints.push_back(made);
    Index index{.name = made.name,
                .schema = table.schema,
                .oid = oid_of("index", sqlite_name_of(table.schema, made.name)),
                .unique = true,
                .primary = made.kind == 'p',
                .constraint = true};
    for (const std::string& column : made.columns) index.columns.push_back({.text = column});
    table.indexes.push_back(std::move(index));
  }
  if (!with(kIndexes)) return;
  for (Index index : other.indexes) {
    if (index.constraint) continue;
    std::string names;
    for (const IndexColumn& part : index.columns)
      names += "_" + (part.expression ? "expr" : part.text);
    index.name = unused_name(table.schema, table.name + names + "_idx");
    index.schema = table.schema;
    index.oid = oid_of("index", sqlite_name_of(index.schema, index.name));
    if (!with(kComments)) index.comment.clear();
    table.indexes.push_back(std::move(index));
  }
}

void Declarations::create_table(const PgQuery__CreateStmt& stmt, Portal& portal) {
  portal.tag = "CREATE TABLE";
  Relation table = new_relation(*stmt.relation);
  if (stmt.n_inh_relations > 0) unsupported("table inheritance");
  if (stmt.partspec != nullptr || stmt.partbound != nullptr) unsupported("partitioning");
  if (stmt.of_typename != nullptr) unsupported("a typed table");
  if (stmt.if_not_exists != 0 && session_.catalog().find(table.schema, table.name) != nullptr) {
    return session_.notice("42P07", "relation \"" + table.name + "\" already exists, skipping");
  }
  check_new(table.schema, table.name);
  std::vector<Sequence> sequences;
  for (const pg::Node* node : CALF_LIST(&stmt, table_elts)) {
    if (CALF_IS(node, TABLE_LIKE_CLAUSE)) add_like(table, *node->table_like_clause, sequences);
    if (CALF_IS(node, COLUMN_DEF)) add_column_definition(table, *node->column_def, sequences);
  }
  if (table.columns.empty()) unsupported("a table without columns");
  for (const pg::Node* node : CALF_LIST(&stmt, table_elts)) {
    if (CALF_IS(node, CONSTRAINT)) add_constraint(table, *node->constraint, "");
  }
  if (const TableConstraint* key = table.primary_key();
      key != nullptr && key->columns.size() == 1) {
    table.rowid_key = is_integer(table.column(key->columns[0])->type.oid);
  }
  for (const Sequence& sequence : sequences) store(sequence);
  table.on_commit = on_commit_of(stmt.oncommit);
  make_table(table);
  for (const Index& index : table.indexes) {
    if (!index.primary) session_.raw(index_sql(table, index));
  }
  store(table);
}

void Declarations::create_table_as(const PgQuery__CreateTableAsStmt& stmt, Portal& portal) {
  if (stmt.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW) return create_matview(stmt, portal);
  Relation table = new_relation(*stmt.into->rel);
  if (stmt.if_not_exists != 0 && session_.catalog().find(table.schema, table.name) != nullptr) {
    portal.tag = "CREATE TABLE AS";
    return session_.notice("42P07", "relation \"" + table.name + "\" already exists, skipping");
  }
  check_new(table.schema, table.name);
  const Query query = analyzer().view_query(*stmt.query);
  const auto names = names_of(CALF_LIST(stmt.into, col_names));
  for (std::size_t i = 0; i < query.columns.size(); ++i) {
    const std::string name = i < names.size() ? names[i] : query.columns[i].name;
    if (table.column(name) != nullptr)
      raise("42701", "column \"" + name + "\" specified more than once");
    table.columns.push_back({.name = name, .type = query.columns[i].type});
  }
  table.on_commit = on_commit_of(stmt.into->on_commit);
  make_table(table);
  store(table);
  portal.tag = "CREATE TABLE AS";
  if (stmt.into->skip_data != 0) return;
  portal.tag = "SELECT " + std::to_string(fill(table, query.sql));
}

}  // namespace calf::sqlite
