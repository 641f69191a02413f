// The rows of pg_catalog about relations: tables, columns, indexes, constraints, sequences.
#include <algorithm>
#include <set>

#include "sqlite/connection.h"
#include "sqlite/system_rows.h"
#include "sqlite/system_tables.h"

namespace calf::sqlite {
namespace {

// What is written of an index: its columns' numbers, 0 for an expression.
std::string key_vector(const Relation& table, const Index& index) {
  std::string out;
  for (const IndexColumn& part : index.columns)
    out += (out.empty() ? "" : " ") +
           std::to_string(part.expression ? 0 : table.column_number(part.text));
  return out;
}

// An expression as PostgreSQL writes it: operators have parentheses around them.
std::string expression_definition(const std::string& sql) {
  const ParsedExpression parsed = parse_expression(sql);
  const bool operation = CALF_IS(parsed.node, A_EXPR) || CALF_IS(parsed.node, BOOL_EXPR);
  return operation ? "(" + sql + ")" : sql;
}

// A default as PostgreSQL writes it: literals that took the column's type say so.
std::string default_definition(const Column& column) {
  const std::string& sql = column.default_text;
  if (sql.empty()) return {};
  bool literal = sql.size() > 1 && sql.front() == '\'' && sql.back() == '\'';
  for (std::size_t i = 1; literal && i + 1 < sql.size(); ++i) {
    if (sql[i] != '\'') continue;
    literal = i + 2 < sql.size() && sql[i + 1] == '\'';  // a doubled quote
    ++i;
  }
  if (literal) return sql + "::" + format_type({column.type.oid});
  const bool negative =
      sql.size() > 1 && sql.front() == '-' && is_integer(column.type.oid) &&
      std::all_of(sql.begin() + 1, sql.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return negative ? "'" + sql + "'::integer" : expression_definition(sql);
}

Datum number_array(const Relation& table, const std::vector<std::string>& columns) {
  std::vector<Datum> values;
  for (const std::string& column : columns) values.push_back(number(table.column_number(column)));
  return text(store_array(values, oid::kInt2));
}

}  // namespace

SystemTables::Values SystemTables::classes() {
  Values rows;
  // psql asks for foreign keys only where there are triggers: PostgreSQL checks them so.
  std::set<std::string> keyed;
  for (const auto& [name, r] : session_.catalog().relations) {
    for (const TableConstraint& c : r.constraints) {
      if (c.kind != 'f') continue;
      keyed.insert(name);
      keyed.insert(sqlite_name_of(c.foreign_schema, c.foreign_table));
    }
  }
  const auto row = [&](Oid oid, const std::string& name, const std::string& schema, Oid am,
                       char kind, std::size_t columns, std::size_t checks, bool has_index,
                       Oid row_type, bool populated = true) {
    rows.push_back({number(oid),
                    text(name),
                    number(namespace_oid(schema)),
                    number(row_type),
                    number(0),
                    number(kOwner),
                    number(am),
                    number(oid),
                    number(0),
                    number(0),
                    Datum::of(-1.0),
                    number(0),
                    number(0),
                    flag(has_index),
                    flag(false),
                    letter(session_.catalog().is_temporary(schema) ? 't' : 'p'),
                    letter(kind),
                    number(static_cast<std::int64_t>(columns)),
                    number(static_cast<std::int64_t>(checks)),
                    flag(kind == 'v' || kind == 'm'),
                    flag(kind == 'r' && keyed.contains(sqlite_name_of(schema, name))),
                    flag(false),
                    flag(false),
                    flag(false),
                    flag(populated),
                    letter(kind == 'r' || kind == 'm' ? 'd' : 'n'),
                    flag(false),
                    number(0),
                    number(0),
                    number(0),
                    {},
                    {},
                    {},
                    number(kClassTable)});
  };
  const auto relation_row = [&](const Relation& r) {
    const auto checks = std::count_if(r.constraints.begin(), r.constraints.end(),
                                      [](const TableConstraint& c) { return c.kind == 'c'; });
    row(r.oid, r.name, r.schema, r.kind == 'v' ? 0 : kHeap, r.kind, r.columns.size(),
        static_cast<std::size_t>(checks), !r.indexes.empty(), r.system ? 0 : row_type_oid(r),
        r.populated);
  };
  for (const auto& [name, r] : session_.catalog().relations) {
    relation_row(r);
    for (const Index& index : r.indexes)
      row(index.oid, index.name, r.schema, kBtree, 'i', index.columns.size(), 0, false, 0);
  }
  for (const auto& [name, s] : session_.catalog().sequences)
    row(s.oid, s.name, s.schema, 0, 'S', 3, 0, false, 0);
  for (const Relation& r : system_relations()) relation_row(r);
  return rows;
}

SystemTables::Values SystemTables::attributes() {
  Values rows;
  const auto add = [&](const Relation& r) {
    for (std::size_t i = 0; i < r.columns.size(); ++i) {
      const Column& c = r.columns[i];
      const bool has_default = !c.default_text.empty() || !c.generated_text.empty();
      rows.push_back({number(r.oid),
                      text(c.name),
                      number(c.type.oid),
                      number(size_of(c.type.oid)),
                      number(static_cast<std::int64_t>(i) + 1),
                      number(-1),
                      number(c.type.typmod),
                      number(is_array(c.type.oid) ? 1 : 0),
                      flag(size_of(c.type.oid) > 0 && size_of(c.type.oid) <= 8),
                      letter(size_of(c.type.oid) == 8   ? 'd'
                             : size_of(c.type.oid) == 2 ? 's'
                             : size_of(c.type.oid) == 1 ? 'c'
                                                        : 'i'),
                      letter(attribute_storage(c.type.oid)),
                      text(""),
                      flag(c.not_null),
                      flag(has_default),
                      flag(false),
                      c.identity != 0 ? letter(c.identity) : text(""),
                      c.generated_text.empty() ? text("") : letter('s'),
                      flag(false),
                      flag(true),
                      number(0),
                      number(collation_of_type(c.type.oid)),
                      {},
                      {},
                      {},
                      {},
                      {}});
    }
  };
  for (const auto& [name, r] : session_.catalog().relations) {
    add(r);
    for (const Index& index : r.indexes) {
      Relation columns{.oid = index.oid};
      for (const IndexColumn& part : index.columns) {
        const Column* column = r.column(part.text);
        columns.columns.push_back({.name = part.expression ? "expr" : part.text,
                                   .type = column == nullptr ? Type{oid::kText} : column->type});
      }
      add(columns);
    }
  }
  for (const Relation& r : system_relations()) add(r);
  return rows;
}

SystemTables::Values SystemTables::indexes() {
  Values rows;
  for (const auto& [name, r] : session_.catalog().relations) {
    for (const Index& index : r.indexes) {
      std::string classes;
      std::string options;
      std::string collations;
      bool expressions = false;
      for (const IndexColumn& part : index.columns) {
        const Column* column = r.column(part.text);
        classes +=
            (classes.empty() ? "" : " ") +
            std::to_string(operator_class(column == nullptr ? oid::kText : column->type.oid));
        collations += (collations.empty() ? "" : " ") +
                      std::to_string(column == nullptr ? 0 : collation_of_type(column->type.oid));
        options += (options.empty() ? "" : " ") +
                   std::to_string((part.descending ? 1 : 0) |
                                  (part.descending || part.nulls_first ? 2 : 0));
        expressions = expressions || part.expression;
      }
      const auto count = static_cast<std::int64_t>(index.columns.size());
      std::string texts;
      for (const IndexColumn& part : index.columns) {
        if (part.expression) texts += (texts.empty() ? "" : ", ") + part.text;
      }
      rows.push_back(
          {number(index.oid),
           number(r.oid),
           number(count),
           number(count),
           flag(index.unique),
           flag(false),
           flag(index.primary),
           flag(false),
           flag(true),
           flag(false),
           flag(true),
           flag(false),
           flag(true),
           flag(true),
           flag(false),
           text(key_vector(r, index)),
           text(collations),
           text(classes),
           text(options),
           expressions ? text(texts) : Datum{},
           index.predicate_text.empty() ? Datum{} : text("(" + index.predicate_text + ")")});
    }
  }
  return rows;
}

SystemTables::Values SystemTables::constraints() {
  Values rows;
  for (const auto& [name, r] : session_.catalog().relations) {
    for (const TableConstraint& c : r.constraints) {
      Oid index = 0;
      for (const Index& i : r.indexes) {
        if (i.name == c.name && c.kind != 'f') index = i.oid;
      }
      Datum foreign_key;
      Oid foreign = 0;
      if (c.kind == 'f') {
        if (const Relation* target = session_.catalog().find(c.foreign_schema, c.foreign_table);
            target != nullptr) {
          foreign = target->oid;
          std::vector<std::string> columns = c.foreign_columns;
          if (columns.empty() && target->primary_key() != nullptr)
            columns = target->primary_key()->columns;
          foreign_key = number_array(*target, columns);
          for (const Index& i : target->indexes) {
            if (i.unique && i.columns.size() == columns.size() && !columns.empty() &&
                i.columns[0].text == columns[0])
              index = i.oid;
          }
        }
      }
      std::vector<std::string> columns = c.columns;
      rows.push_back({number(constraint_oid(r, c)),
                      text(c.name),
                      number(namespace_oid(r.schema)),
                      letter(c.kind),
                      flag(c.deferrable),
                      flag(c.deferred),
                      flag(true),
                      flag(true),
                      number(r.oid),
                      number(0),
                      number(index),
                      number(0),
                      number(foreign),
                      c.kind == 'f' ? letter(c.on_update) : text(" "),
                      c.kind == 'f' ? letter(c.on_delete) : text(" "),
                      c.kind == 'f' ? letter('s') : text(" "),
                      flag(true),
                      number(0),
                      flag(c.kind != 'c'),
                      number_array(r, columns),
                      std::move(foreign_key),
                      {},
                      {},
                      {},
                      {},
                      {},
                      c.kind == 'c' ? text(c.check_text) : Datum{},
                      flag(false)});
    }
  }
  return rows;
}

SystemTables::Values SystemTables::descriptions() {
  Values rows;
  const auto add = [&](Oid object, Oid catalog, std::int64_t number_, const std::string& comment) {
    if (!comment.empty())
      rows.push_back({number(object), number(catalog), number(number_), text(comment)});
  };
  for (const auto& [name, r] : session_.catalog().relations) {
    add(r.oid, kClassTable, 0, r.comment);
    for (std::size_t i = 0; i < r.columns.size(); ++i)
      add(r.oid, kClassTable, static_cast<std::int64_t>(i) + 1, r.columns[i].comment);
    for (const Index& index : r.indexes) add(index.oid, kClassTable, 0, index.comment);
  }
  for (const auto& [name, type] : session_.catalog().enums) add(type.oid, 1247, 0, type.comment);
  for (const auto& [name, comment] : session_.catalog().schemas)
    add(namespace_oid(name), kNamespaceTable, 0, comment);
  return rows;
}

SystemTables::Values SystemTables::defaults() {
  Values rows;
  for (const auto& [key, r] : session_.catalog().relations) {
    for (std::size_t i = 0; i < r.columns.size(); ++i) {
      const std::string value = r.columns[i].generated_text.empty()
                                    ? default_definition(r.columns[i])
                                    : expression_definition(r.columns[i].generated_text);
      if (!value.empty())
        rows.push_back({number(oid_of("default", key + "." + r.columns[i].name)), number(r.oid),
                        number(static_cast<std::int64_t>(i) + 1), text(value)});
    }
  }
  return rows;
}

SystemTables::Values SystemTables::namespaces() {
  Values rows;
  for (const auto& [schema, comment] : session_.catalog().schemas)
    rows.push_back({number(namespace_oid(schema)), text(schema), number(kOwner), {}});
  return rows;
}

SystemTables::Values SystemTables::sequences() {
  Values rows;
  for (const auto& [key, s] : session_.catalog().sequences)
    rows.push_back({number(s.oid), number(s.type), number(s.start), number(s.increment),
                    number(s.maximum), number(s.minimum), number(s.cache), flag(s.cycle)});
  return rows;
}

SystemTables::Values SystemTables::sequence_list() {
  Values rows;
  for (const auto& [key, s] : session_.catalog().sequences) {
    Datum last;
    if (session_.database_->knows_sequence(s.oid)) {
      const auto state = session_.database_->sequence_state(s.oid);
      if (state.called) last = number(state.last);
    } else {
      Connection(session_.connection_.get())
          .query("SELECT last FROM calf_sequence WHERE name = ?1 AND called",
                 [&](const Row& row) { last = number(row.integer(0)); }, {Datum::of(key)});
    }
    rows.push_back({text(s.schema), text(s.name), text(session_.options_.user), number(s.type),
                    number(s.start), number(s.minimum), number(s.maximum), number(s.increment),
                    flag(s.cycle), number(s.cache), last});
  }
  return rows;
}

SystemTables::Values SystemTables::dependencies() {
  Values rows;
  for (const auto& [key, s] : session_.catalog().sequences) {
    const Relation* owner = session_.catalog().by_sqlite_name(s.owner_table);
    if (owner != nullptr)
      rows.push_back({number(kClassTable), number(s.oid), number(0), number(kClassTable),
                      number(owner->oid), number(owner->column_number(s.owner_column)),
                      letter(s.identity ? 'i' : 'a')});
  }
  return rows;
}

SystemTables::Values SystemTables::table_list() {
  Values rows;
  for (const auto& [key, r] : session_.catalog().relations) {
    if (r.kind != 'r') continue;
    rows.push_back({text(r.schema),
                    text(r.name),
                    text(session_.options_.user),
                    {},
                    flag(!r.indexes.empty()),
                    flag(false),
                    flag(false),
                    flag(false)});
  }
  return rows;
}

SystemTables::Values SystemTables::view_list() {
  Values rows;
  for (const auto& [key, r] : session_.catalog().relations) {
    if (r.kind == 'v')
      rows.push_back(
          {text(r.schema), text(r.name), text(session_.options_.user), text(r.view_text)});
  }
  return rows;
}

SystemTables::Values SystemTables::matview_list() {
  Values rows;
  for (const auto& [key, r] : session_.catalog().relations) {
    if (r.kind != 'm') continue;
    rows.push_back({text(r.schema),
                    text(r.name),
                    text(session_.options_.user),
                    {},
                    flag(!r.indexes.empty()),
                    flag(r.populated),
                    text(r.view_text)});
  }
  return rows;
}

SystemTables::Values SystemTables::index_list() {
  Values rows;
  for (const auto& [key, r] : session_.catalog().relations) {
    for (const Index& index : r.indexes)
      rows.push_back(
          {text(r.schema), text(r.name), text(index.name), {}, text(index_definition(r, index))});
  }
  return rows;
}

}  // namespace calf::sqlite
