#include <algorithm>

#include "sqlite/declarations.h"

namespace calf::sqlite {
namespace {

struct QualifiedName {
  std::string schema;
  std::string name;
};
QualifiedName qualified(const pg::Node& node) {
  const auto items = CALF_LIST(node.list, items);
  return {.schema = items.size() > 1 ? std::string(string_of(items[items.size() - 2])) : "",
          .name = std::string(string_of(items.back()))};
}

std::int64_t integer_of(const pg::Node* node) {
  if (node != nullptr && CALF_IS(node, INTEGER)) return node->integer->ival;
  if (node != nullptr && CALF_IS(node, FLOAT)) return std::strtoll(node->float_->fval, nullptr, 10);
  return 0;
}

}  // namespace

void Declarations::create_index(const PgQuery__IndexStmt& stmt, Portal& portal) {
  portal.tag = "CREATE INDEX";
  Relation table = copy_of(*stmt.relation);
  if (table.kind == 'v') raise("42809", "cannot create index on relation \"" + table.name + "\"");
  if (table.foreign) unsupported("CREATE INDEX on a table that this engine did not declare");
  const std::string method = given(stmt.access_method) ? stmt.access_method : "btree";
  if (method != "btree" && method != "hash") unsupported("an index of kind " + method);
  if (stmt.nulls_not_distinct != 0) unsupported("NULLS NOT DISTINCT");
  if (stmt.n_index_including_params > 0) unsupported("INCLUDE");
  Index index{.schema = table.schema, .unique = stmt.unique != 0};
  std::string suffix;
  for (const pg::Node* node : CALF_LIST(&stmt, index_params)) {
    const PgQuery__IndexElem& element = *node->index_elem;
    IndexColumn part{
        .descending = element.ordering == PG_QUERY__SORT_BY_DIR__SORTBY_DESC,
        .nulls_first = element.nulls_ordering == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST};
    if (given(element.name)) {
      column_of(table, element.name);
      part.text = element.name;
      suffix += "_" + part.text;
    } else {
      part.expression = true;
      part.text = expression_text(*element.expr);
      suffix += "_expr";
    }
    index.columns.push_back(std::move(part));
  }
  if (stmt.where_clause != nullptr) index.predicate_text = expression_text(*stmt.where_clause);
  index.name =
      given(stmt.idxname) ? stmt.idxname : unused_name(table.schema, table.name + suffix + "_idx");
  index.oid = oid_of("index", sqlite_name_of(index.schema, index.name));
  if (stmt.if_not_exists != 0 && session_.catalog().index(index.schema, index.name) != nullptr) {
    return session_.notice("42P07", "relation \"" + index.name + "\" already exists, skipping");
  }
  check_new(index.schema, index.name);
  session_.raw(index_sql(table, index));
  table.indexes.push_back(std::move(index));
  store(table);
}

void Declarations::create_view(const PgQuery__ViewStmt& stmt, Portal& portal) {
  portal.tag = "CREATE VIEW";
  Relation view = new_relation(*stmt.view);
  view.kind = 'v';
  const Relation* old = session_.catalog().find(view.schema, view.name);
  if (stmt.replace == 0 || old == nullptr) check_new(view.schema, view.name);
  if (old != nullptr && old->kind != 'v') raise("42809", "\"" + view.name + "\" is not a view");
  if (Analyzer::changes_in_with(*stmt.query))
    raise("0A000", "views must not contain data-modifying statements in WITH");
  Analyzer analyzer = this->analyzer();
  const Query query = analyzer.view_query(*stmt.query);
  std::string names;
  for (std::size_t i = 0; i < query.columns.size(); ++i) {
    const std::string name =
        i < stmt.n_aliases ? std::string(string_of(stmt.aliases[i])) : query.columns[i].name;
    if (view.column(name) != nullptr)
      raise("42701", "column \"" + name + "\" specified more than once");
    view.columns.push_back({.name = name, .type = query.columns[i].type});
    names += (names.empty() ? "" : ", ") + quote_name(name);
  }
  if (old != nullptr) {
    bool kept = old->columns.size() <= view.columns.size();
    for (std::size_t i = 0; kept && i < old->columns.size(); ++i)
      kept = old->columns[i].name == view.columns[i].name &&
             old->columns[i].type.oid == view.columns[i].type.oid;
    if (!kept) raise("42P16", "cannot change the columns of view \"" + view.name + "\"");
    session_.raw("DROP VIEW " + quote_name(view.sqlite_name));
  }
  view.view_text = statement_text(*stmt.query);
  view.depends_on = analyzer.relations_read();
  if (!view.temporary) session_.ensure_catalog_table(false);
  session_.raw(std::string("CREATE ") + (view.temporary ? "TEMP " : "") + "VIEW " +
               quote_name(view.sqlite_name) + " (" + names + ") AS " + query.sql);
  store(view);
}

void Declarations::create_schema(const PgQuery__CreateSchemaStmt& stmt, Portal& portal) {
  portal.tag = "CREATE SCHEMA";
  const std::string name = given(stmt.schemaname) ? stmt.schemaname : session_.user_;
  if (stmt.n_schema_elts > 0) unsupported("CREATE SCHEMA with elements");
  if (session_.catalog().has_schema(name)) {
    if (stmt.if_not_exists != 0)
      return session_.notice("42P06", "schema \"" + name + "\" already exists, skipping");
    raise("42P06", "schema \"" + name + "\" already exists");
  }
  if (name.starts_with("pg_"))
    raise("42939", "unacceptable schema name \"" + name + "\"", {},
          "The prefix \"pg_\" is reserved for system schemas.");
  db_.execute("INSERT INTO " + catalog_table(name) + " VALUES ('schema', ?1, '')",
              {Datum::of(name)});
  session_.schema_changed();
}

void Declarations::sequence_options(Sequence& s, std::span<PgQuery__Node* const> options,
                                    std::optional<std::int64_t>* restart) {
  bool started = false;
  for (const pg::Node* node : options) {
    const pg::DefElem& option = *node->def_elem;
    const std::string name = option.defname;
    if (name == "as")
      s.type = analyzer().type_of(*option.arg->type_name).oid;
    else if (name == "start") {
      s.start = integer_of(option.arg);
      started = true;
    } else if (name == "increment")
      s.increment = integer_of(option.arg);
    else if (name == "minvalue" && option.arg != nullptr)
      s.minimum = integer_of(option.arg);
    else if (name == "maxvalue" && option.arg != nullptr)
      s.maximum = integer_of(option.arg);
    else if (name == "cache")
      s.cache = integer_of(option.arg);
    else if (name == "cycle")
      s.cycle = option.arg == nullptr || !CALF_IS(option.arg, BOOLEAN) ||
                option.arg->boolean->boolval != 0;
    else if (name == "restart" && restart != nullptr)
      *restart = option.arg == nullptr ? s.start : integer_of(option.arg);
    else if (name == "owned_by") {
      const auto owner = qualified(*option.arg);
      if (!owner.schema.empty()) {
        s.owner_table = owner.schema;
        s.owner_column = owner.name;
      }
    }
  }
  if (s.increment == 0) raise("22023", "INCREMENT must not be zero");
  if (s.minimum > s.maximum)
    raise("22023", "MINVALUE (" + std::to_string(s.minimum) + ") must be less than MAXVALUE (" +
                       std::to_string(s.maximum) + ")");
  if (!started && s.start < s.minimum) s.start = s.minimum;
  if (s.start < s.minimum)
    raise("22023", "START value (" + std::to_string(s.start) + ") cannot be less than MINVALUE (" +
                       std::to_string(s.minimum) + ")");
  if (s.start > s.maximum)
    raise("22023", "START value (" + std::to_string(s.start) +
                       ") cannot be greater than MAXVALUE (" + std::to_string(s.maximum) + ")");
}

void Declarations::create_sequence(const PgQuery__CreateSeqStmt& stmt, Portal& portal) {
  portal.tag = "CREATE SEQUENCE";
  Sequence sequence{.schema = new_schema(*stmt.sequence), .name = stmt.sequence->relname};
  sequence.oid = oid_of("relation", sqlite_name_of(sequence.schema, sequence.name));
  if (stmt.if_not_exists != 0 &&
      session_.catalog().sequence(sequence.schema, sequence.name) != nullptr) {
    return session_.notice("42P07", "relation \"" + sequence.name + "\" already exists, skipping");
  }
  check_new(sequence.schema, sequence.name);
  for (const pg::Node* node : CALF_LIST(&stmt, options)) {
    if (std::string_view(node->def_elem->defname) == "increment" &&
        integer_of(node->def_elem->arg) < 0) {
      sequence.minimum = INT64_MIN;
      sequence.maximum = -1;
      sequence.start = -1;
    }
  }
  sequence_options(sequence, CALF_LIST(&stmt, options), nullptr);
  session_.database_->forget_sequence(sequence.oid);
  store(sequence);
}

void Declarations::alter_sequence(const PgQuery__AlterSeqStmt& stmt, Portal& portal) {
  portal.tag = "ALTER SEQUENCE";
  const Sequence* found = session_.catalog().sequence(
      given(stmt.sequence->schemaname) ? stmt.sequence->schemaname : "", stmt.sequence->relname);
  if (found == nullptr) {
    if (stmt.missing_ok != 0)
      return session_.notice("42P01", std::string("relation \"") + stmt.sequence->relname +
                                          "\" does not exist, skipping");
    raise("42P01", std::string("relation \"") + stmt.sequence->relname + "\" does not exist");
  }
  Sequence sequence = *found;
  std::optional<std::int64_t> restart;
  sequence_options(sequence, CALF_LIST(&stmt, options), &restart);
  store(sequence);
  if (restart) session_.set_value(sequence.oid, *restart, false);
}

void Declarations::drop_relation(const Relation& relation, bool cascade) {
  const Catalog& catalog = session_.catalog();
  std::vector<Relation> views;
  std::vector<Relation> children;
  for (const auto& [name, other] : catalog.relations) {
    if (other.kind != 'r' && std::find(other.depends_on.begin(), other.depends_on.end(),
                                       relation.sqlite_name) != other.depends_on.end())
      views.push_back(other);
    const bool refers = std::any_of(other.constraints.begin(), other.constraints.end(),
                                    [&](const TableConstraint& c) {
                                      return c.kind == 'f' && c.foreign_table == relation.name &&
                                             c.foreign_schema == relation.schema;
                                    });
    if (refers && name != relation.sqlite_name) children.push_back(other);
  }
  if (!cascade && (!views.empty() || !children.empty())) {
    const std::string detail =
        !views.empty() ? kind_word(views[0].kind) + (" " + views[0].name) + " depends on "
                       : "constraint on table " + children[0].name + " depends on ";
    const std::string kind = kind_word(relation.kind) + std::string(" ");
    raise("2BP01", "cannot drop " + kind + relation.name + " because other objects depend on it",
          "Use DROP ... CASCADE to drop the dependent objects too.", detail + kind + relation.name);
  }
  for (const Relation& view : views) drop_relation(view, true);
  for (Relation& child : children) {
    if (child.foreign) unsupported("dropping a table that a table of another program refers to");
    std::erase_if(child.constraints, [&](const TableConstraint& c) {
      return c.kind == 'f' && c.foreign_table == relation.name &&
             c.foreign_schema == relation.schema;
    });
    rewrite_schema(child);
    store(child);
  }
  std::vector<Sequence> owned;
  for (const auto& [name, sequence] : session_.catalog().sequences) {
    if (sequence.owner_table == relation.sqlite_name) owned.push_back(sequence);
  }
  const std::string sqlite_name = relation.sqlite_name;
  session_.raw(std::string(relation.kind == 'v' ? "DROP VIEW " : "DROP TABLE ") +
               quote_name(sqlite_name));
  for (const Sequence& sequence : owned) {
    forget(sequence);
  }
  forget("relation", sqlite_name);
}

void Declarations::drop(const PgQuery__DropStmt& stmt, Portal& portal) {
  const bool cascade = stmt.behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
  for (const pg::Node* node : CALF_LIST(&stmt, objects)) {
    const Catalog& catalog = session_.catalog();
    const auto missing = [&](const char* kind, const std::string& name, const char* state) {
      if (stmt.missing_ok == 0)
        raise(state, std::string(kind) + " \"" + name + "\" does not exist");
      session_.notice("00000", std::string(kind) + " \"" + name + "\" does not exist, skipping");
    };
    switch (stmt.remove_type) {
      case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
      case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
      case PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW: {
        const char kind = stmt.remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_VIEW      ? 'v'
                          : stmt.remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW ? 'm'
                                                                                      : 'r';
        const std::string word = kind_word(kind);
        portal.tag = "DROP " + upper_text(word);
        const auto name = qualified(*node);
        const Relation* found = catalog.find(name.schema, name.name);
        if (found == nullptr) {
          missing(word.c_str(), name.name, "42P01");
          break;
        }
        if (found->system)
          raise("42501", "permission denied: \"" + found->name + "\" is a system catalog");
        if (found->kind != kind) {
          const std::string is = kind_word(found->kind);
          raise("42809", "\"" + found->name + "\" is not a " + word,
                "Use DROP " + upper_text(is) + " to remove a " + is + ".");
        }
        const Relation relation = *found;
        drop_relation(relation, cascade);
        break;
      }
      case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX: {
        portal.tag = "DROP INDEX";
        const auto name = qualified(*node);
        const Relation* owner = nullptr;
        const Index* index = catalog.index(name.schema, name.name, &owner);
        if (index == nullptr) {
          missing("index", name.name, "42704");
          break;
        }
        if (index->constraint)
          raise("2BP01",
                "cannot drop index " + name.name + " because constraint " + name.name +
                    " on table " + owner->name + " requires it",
                "You can drop constraint " + name.name + " on table " + owner->name + " instead.");
        if (owner->foreign) unsupported("DROP INDEX on a table that this engine did not declare");
        Relation table = *owner;
        session_.raw("DROP INDEX " + quote_name(sqlite_name_of(index->schema, index->name)));
        std::erase_if(table.indexes, [&](const Index& i) { return i.name == name.name; });
        store(table);
        break;
      }
      case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE: {
        portal.tag = "DROP SEQUENCE";
        const auto name = qualified(*node);
        const Sequence* found = catalog.sequence(name.schema, name.name);
        if (found == nullptr) {
          missing("sequence", name.name, "42P01");
          break;
        }
        const Sequence sequence = *found;
        if (!sequence.owner_table.empty() && !cascade)
          raise("2BP01",
                "cannot drop sequence " + name.name + " because other objects depend on it",
                "Use DROP ... CASCADE to drop the dependent objects too.");
        if (!sequence.owner_table.empty()) unsupported("dropping the sequence of a column");
        forget(sequence);
        break;
      }
      case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA: {
        portal.tag = "DROP SCHEMA";
        const std::string name(string_of(node));
        if (!catalog.has_schema(name)) {
          missing("schema", name, "3F000");
          break;
        }
        if (name == "public" || name.starts_with("pg_") || name == "information_schema")
          unsupported("dropping the schema " + name);
        std::vector<Relation> inside;
        for (const auto& [key, relation] : catalog.relations) {
          if (relation.schema == name) inside.push_back(relation);
        }
        if (!inside.empty() && !cascade)
          raise("2BP01", "cannot drop schema " + name + " because other objects depend on it",
                "Use DROP ... CASCADE to drop the dependent objects too.",
                "table " + name + "." + inside[0].name + " depends on schema " + name);
        std::vector<std::string> types;
        for (const auto& [key, type] : catalog.enums) {
          if (type.schema == name) types.push_back(key);
        }
        if (!types.empty() && !cascade)
          raise("2BP01", "cannot drop schema " + name + " because other objects depend on it",
                "Use DROP ... CASCADE to drop the dependent objects too.",
                "type " + types[0] + " depends on schema " + name);
        for (const std::string& type : types) forget("enum", type);
        for (const Relation& relation : inside) {
          if (session_.catalog().by_sqlite_name(relation.sqlite_name) != nullptr)
            drop_relation(relation, true);
        }
        forget("schema", name);
        break;
      }
      case PG_QUERY__OBJECT_TYPE__OBJECT_TYPE:
        portal.tag = "DROP TYPE";
        drop_type(*node, stmt.missing_ok != 0, cascade);
        break;
      default:
        unsupported("dropping this kind of object");
    }
  }
}

void Declarations::before_commit() {
  std::vector<Relation> tables;
  for (const auto& [name, relation] : session_.catalog().relations) {
    if (relation.temporary && relation.on_commit != 'p') tables.push_back(relation);
  }
  for (const Relation& table : tables) {
    if (table.on_commit == 'd')
      session_.raw("DELETE FROM " + quote_name(table.sqlite_name));
    else
      drop_relation(table, true);
  }
}

void Declarations::drop_temporary() {
  while (true) {
    const auto& relations = session_.catalog().relations;
    const auto found = std::find_if(relations.begin(), relations.end(),
                                    [](const auto& entry) { return entry.second.temporary; });
    if (found == relations.end()) return;
    const Relation relation = found->second;
    drop_relation(relation, true);
  }
}

void Declarations::truncate(const PgQuery__TruncateStmt& stmt, Portal& portal) {
  portal.tag = "TRUNCATE TABLE";
  const bool cascade = stmt.behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
  std::vector<Relation> tables;
  for (const pg::Node* node : CALF_LIST(&stmt, relations))
    tables.push_back(copy_of(*node->range_var));
  // Tables that refer to these must be among them, or come along.
  for (std::size_t i = 0; i < tables.size(); ++i) {
    for (const auto& [name, other] : session_.catalog().relations) {
      const bool refers = std::any_of(other.constraints.begin(), other.constraints.end(),
                                      [&](const TableConstraint& c) {
                                        return c.kind == 'f' && c.foreign_table == tables[i].name &&
                                               c.foreign_schema == tables[i].schema;
                                      });
      const bool listed =
          std::any_of(tables.begin(), tables.end(),
                      [&, n = name](const Relation& t) { return t.sqlite_name == n; });
      if (!refers || listed) continue;
      if (!cascade)
        raise(
            "0A000", "cannot truncate a table referenced in a foreign key constraint",
            "Truncate table \"" + other.name + "\" at the same time, or use TRUNCATE ... CASCADE.",
            "Table \"" + other.name + "\" references \"" + tables[i].name + "\".");
      tables.push_back(other);
    }
  }
  session_.raw("PRAGMA defer_foreign_keys = ON");
  for (const Relation& table : tables) {
    if (table.kind != 'r') raise("42809", "\"" + table.name + "\" is not a table");
    session_.raw("DELETE FROM " + quote_name(table.sqlite_name));
    if (stmt.restart_seqs == 0) continue;
    for (const auto& [name, sequence] : session_.catalog().sequences) {
      if (sequence.owner_table == table.sqlite_name)
        session_.set_value(sequence.oid, sequence.start, false);
    }
  }
}

void Declarations::comment(const PgQuery__CommentStmt& stmt, Portal& portal) {
  portal.tag = "COMMENT";
  const std::string text = given(stmt.comment) ? stmt.comment : "";
  const auto relation_named = [&](const QualifiedName& name) {
    const Relation* found = session_.catalog().find(name.schema, name.name);
    if (found == nullptr) raise("42P01", "relation \"" + name.name + "\" does not exist");
    if (found->foreign || found->system)
      unsupported("a comment on a table that this engine did not declare");
    return *found;
  };
  switch (stmt.objtype) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW:
    case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW: {
      Relation relation = relation_named(qualified(*stmt.object));
      relation.comment = text;
      return store(relation);
    }
    case PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN: {
      const auto items = CALF_LIST(stmt.object->list, items);
      QualifiedName name{
          .schema = items.size() > 2 ? std::string(string_of(items[items.size() - 3])) : "",
          .name = std::string(string_of(items[items.size() - 2]))};
      Relation relation = relation_named(name);
      column_of(relation, std::string(string_of(items.back())).c_str()).comment = text;
      return store(relation);
    }
    case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX: {
      const auto name = qualified(*stmt.object);
      const Relation* owner = nullptr;
      if (session_.catalog().index(name.schema, name.name, &owner) == nullptr)
        raise("42P01", "relation \"" + name.name + "\" does not exist");
      Relation table = *owner;
      for (Index& index : table.indexes) {
        if (index.name == name.name) index.comment = text;
      }
      return store(table);
    }
    case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA: {
      const std::string name(string_of(stmt.object));
      if (!session_.catalog().has_schema(name))
        raise("3F000", "schema \"" + name + "\" does not exist");
      db_.execute("INSERT OR REPLACE INTO " + catalog_table(name) + " VALUES ('schema', ?1, ?2)",
                  {Datum::of(name), Datum::of(text)});
      session_.schema_changed();
      return;
    }
    case PG_QUERY__OBJECT_TYPE__OBJECT_TYPE: {
      const Type type = analyzer().type_of(*stmt.object->type_name);
      const EnumType* found = session_.catalog().enum_by_oid(type.oid);
      if (found == nullptr) unsupported("a comment on a type that is built in");
      EnumType changed = *found;
      changed.comment = text;
      return store(changed);
    }
    default:
      unsupported("a comment on this kind of object");
  }
}

}  // namespace calf::sqlite
