// INSERT, UPDATE, DELETE, and the expressions of declarations.
#include <algorithm>

#include "sqlite/analyzer.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {

Statement Analyzer::analyze(const pg::Node& node) {
  Statement out = changes_in_with(node) ? with_parts(node) : statement(node);
  for (const Parts::Copy& copy : parts_.copies)
    out.before.insert(out.before.begin(), {.sql = table_rows(*copy.table), .keep = copy.number});
  out.uses_sequences = uses_sequences_;
  out.lock_table = lock_table_;
  out.lock_nowait = lock_nowait_;
  return out;
}

Statement Analyzer::statement(const pg::Node& node) {
  Statement out;
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT: {
      Query query = select(*node.select_stmt, outer_);
      for (OutputColumn& column : query.columns) {
        if (column.type.oid == oid::kUnknown) column.type = {oid::kText};
        if (column.fields != nullptr) unsupported("a row as a value");
      }
      out = {.sql = std::move(query.sql), .columns = std::move(query.columns), .tag = "SELECT"};
      break;
    }
    case PG_QUERY__NODE__NODE_INSERT_STMT:
      out = insert(*node.insert_stmt);
      break;
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
      out = update(*node.update_stmt);
      break;
    case PG_QUERY__NODE__NODE_DELETE_STMT:
      out = delete_from(*node.delete_stmt);
      break;
    case PG_QUERY__NODE__NODE_MERGE_STMT:
      out = merge(*node.merge_stmt);
      break;
    default:
      unsupported("this statement");
  }
  return out;
}

const Relation& Analyzer::writable(const pg::RangeVar& var) {
  const Relation& table = relation_named(var);
  if (table.system) raise_at(var.location, "42501", "permission denied for table " + table.name);
  if (table.kind == 'm') raise("42809", "cannot change materialized view \"" + table.name + "\"");
  if (table.kind == 'v')
    raise_at(var.location, "0A000", "changing a view is not supported by the sqlite engine");
  return table;
}

// The columns of the table that a statement changes, under `qualifier`.
ScopeTable Analyzer::target_table(const Relation& table, const pg::RangeVar& var,
                                  const std::string& qualifier) {
  ScopeTable out{.alias = var.alias != nullptr && given(var.alias->aliasname) ? var.alias->aliasname
                                                                              : table.name,
                 .schema = table.schema,
                 .relation = &table};
  int number = 0;
  for (const Column& column : table.columns) {
    ++number;
    const std::string name =
        qualifier.empty() ? quote_name(column.name) : qualifier + "." + quote_name(column.name);
    std::string sql = name;
    if (!column.sql.empty()) sql = "CAST(" + name + " AS TEXT)";
    out.columns.push_back({.name = column.name,
                           .sql = sql,
                           .type = column.type,
                           .not_null = column.not_null,
                           .relation = &table,
                           .number = number});
  }
  return out;
}

Expr Analyzer::default_of(const Relation& table, int number) {
  const Column& column = table.columns[static_cast<std::size_t>(number - 1)];
  if (table.foreign) unsupported("DEFAULT of a column that this engine did not declare");
  if (column.identity != 0 || column.default_text.empty()) {
    if (column.identity != 0) {
      uses_sequences_ = true;
      const Oid sequence =
          oid_of("relation", sqlite_name_of(table.schema, table.name + "_" + column.name + "_seq"));
      for (const auto& [name, entry] : catalog_.sequences) {
        if (entry.owner_table == table.sqlite_name && entry.owner_column == column.name) {
          return {.sql = "\"nextval(regclass)\"(" + std::to_string(entry.oid) + ")",
                  .type = {oid::kInt8},
                  .not_null = true};
        }
      }
      return {.sql = "\"nextval(regclass)\"(" + std::to_string(sequence) + ")",
              .type = {oid::kInt8},
              .not_null = true};
    }
    return {.sql = "NULL", .type = column.type, .form = Expr::Form::kNull};
  }
  const ParsedExpression parsed = parse_expression(column.default_text);
  Scope scope{.clause = "DEFAULT expressions"};
  Expr value = coerce(expr(*parsed.node, scope), column.type, CastContext::kAssignment);
  return value;
}

Expr Analyzer::assigned(const pg::Node& node, const Relation& table, int number, Scope& scope) {
  const Column& column = table.columns[static_cast<std::size_t>(number - 1)];
  if (CALF_IS(&node, SET_TO_DEFAULT)) return default_of(table, number);
  if (!column.generated_text.empty())
    raise("428C9", "column \"" + column.name + "\" can only be updated to DEFAULT", {},
          "Column \"" + column.name + "\" is a generated column.");
  return assigned_value(CALF_IS(&node, A_ARRAY_EXPR)
                            ? array_expr(*node.a_array_expr, scope, &column.type)
                            : expr(node, scope),
                        table, number);
}

Expr Analyzer::assigned_value(Expr value, const Relation& table, int number) {
  const Column& column = table.columns[static_cast<std::size_t>(number - 1)];
  if (!value.unknown() && !can_cast(value.type.oid, column.type.oid, CastContext::kAssignment)) {
    raise_at(value.location, "42804",
             "column \"" + column.name + "\" is of type " + format_type({column.type.oid}) +
                 " but expression is of type " + format_type({value.type.oid}),
             "You will need to rewrite or cast the expression.");
  }
  return coerce(std::move(value), column.type, CastContext::kAssignment);
}

std::string Analyzer::guarded(const Relation& table, int number, const Expr& value) const {
  const Column& column = table.columns[static_cast<std::size_t>(number - 1)];
  const TableConstraint* key = table.primary_key();
  const bool rowid = table.rowid_key && key != nullptr && key->columns[0] == column.name;
  if (!rowid || value.not_null || table.foreign) return value.sql;
  return "\"calf_not_null(any,text,text)\"(" + value.sql + ", " + quote_text(column.name) + ", " +
         quote_text(table.name) + ")";
}

// Columns that a row gets a value for when an INSERT does not name them.
std::vector<int> Analyzer::columns_with_defaults(const Relation& table,
                                                 const std::vector<int>& besides) {
  std::vector<int> out;
  for (std::size_t i = 0; i < table.columns.size() && !table.foreign; ++i) {
    const Column& column = table.columns[i];
    const int number = static_cast<int>(i) + 1;
    if (std::find(besides.begin(), besides.end(), number) != besides.end() ||
        !column.generated_text.empty())
      continue;
    const TableConstraint* key = table.primary_key();
    const bool is_key = table.rowid_key && key != nullptr && key->columns[0] == column.name;
    if (column.identity != 0 || !column.default_text.empty() || is_key) out.push_back(number);
  }
  return out;
}

// What an INSERT may not say of a column. `value`: nullptr for a query's.
void Analyzer::check_given(const Relation& table, int number, const pg::Node* value,
                           PgQuery__OverridingKind overriding) {
  const Column& column = table.columns[static_cast<std::size_t>(number - 1)];
  if (value != nullptr && CALF_IS(value, SET_TO_DEFAULT)) return;
  if (column.identity != 0 && overriding == PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE)
    unsupported("OVERRIDING USER VALUE");
  if (!column.generated_text.empty())
    raise("428C9", "cannot insert a non-DEFAULT value into column \"" + column.name + "\"", {},
          "Column \"" + column.name + "\" is a generated column.");
  if (column.identity != 'a' || overriding == PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE)
    return;
  raise("428C9", "cannot insert a non-DEFAULT value into column \"" + column.name + "\"",
        "Use OVERRIDING SYSTEM VALUE to override.",
        "Column \"" + column.name + "\" is an identity column defined as GENERATED ALWAYS.");
}

// What goes into the table: VALUES or SELECT, each value cast to its column, defaults written out.
std::string Analyzer::insert_source(const pg::InsertStmt& stmt, const Relation& table,
                                    std::vector<int>& numbers, Scope& scope) {
  if (stmt.select_stmt == nullptr) numbers.clear();
  std::vector<int> defaults = columns_with_defaults(table, numbers);
  const auto with_defaults = [&](std::string list) {
    for (const int number : defaults)
      list += (list.empty() ? "" : ", ") + guarded(table, number, default_of(table, number));
    return list;
  };
  std::string source;
  if (stmt.select_stmt == nullptr) {
    source = "VALUES (" + with_defaults("") + ")";
    if (defaults.empty()) source = "DEFAULT VALUES";
  } else if (const pg::SelectStmt& select_stmt = *stmt.select_stmt->select_stmt;
             select_stmt.n_values_lists > 0 && select_stmt.n_sort_clause == 0 &&
             select_stmt.limit_count == nullptr && select_stmt.with_clause == nullptr) {
    std::size_t width = 0;
    for (const pg::Node* list : CALF_LIST(&select_stmt, values_lists)) {
      const auto items = CALF_LIST(list->list, items);
      if (items.size() > numbers.size())
        raise("42601", "INSERT has more expressions than target columns");
      if (width != 0 && items.size() != width)
        raise("42601", "VALUES lists must all be the same length");
      if (width == 0 && items.size() < numbers.size()) {
        if (stmt.n_cols > 0) raise("42601", "INSERT has more target columns than expressions");
        for (std::size_t i = items.size(); i < numbers.size(); ++i) {
          const Column& column = table.columns[static_cast<std::size_t>(numbers[i] - 1)];
          if (column.identity != 0 || !column.default_text.empty()) defaults.push_back(numbers[i]);
        }
        numbers.resize(items.size());
      }
      width = items.size();
      std::string row;
      for (std::size_t i = 0; i < items.size(); ++i) {
        check_given(table, numbers[i], items[i], stmt.override);
        row += (row.empty() ? "" : ", ") +
               guarded(table, numbers[i], assigned(*items[i], table, numbers[i], scope));
      }
      source += (source.empty() ? "VALUES (" : ", (") + with_defaults(std::move(row)) + ")";
    }
  } else {
    const Query query = select(*stmt.select_stmt->select_stmt, &scope);
    if (query.columns.size() > numbers.size())
      raise("42601", "INSERT has more expressions than target columns");
    if (query.columns.size() < numbers.size()) {
      if (stmt.n_cols > 0) raise("42601", "INSERT has more target columns than expressions");
      for (std::size_t i = query.columns.size(); i < numbers.size(); ++i) {
        const Column& column = table.columns[static_cast<std::size_t>(numbers[i] - 1)];
        if (column.identity != 0 || !column.default_text.empty()) defaults.push_back(numbers[i]);
      }
      numbers.resize(query.columns.size());
    }
    std::string list;
    for (std::size_t i = 0; i < query.columns.size(); ++i) {
      check_given(table, numbers[i], nullptr, stmt.override);
      const Column& column = table.columns[static_cast<std::size_t>(numbers[i] - 1)];
      Expr value{.sql = "c" + std::to_string(i + 1),
                 .type = query.columns[i].type,
                 .not_null = query.columns[i].not_null};
      if (!value.unknown() &&
          !can_cast(value.type.oid, column.type.oid, CastContext::kAssignment)) {
        raise("42804",
              "column \"" + column.name + "\" is of type " + format_type({column.type.oid}) +
                  " but expression is of type " + format_type({value.type.oid}),
              "You will need to rewrite or cast the expression.");
      }
      list += (list.empty() ? "" : ", ") +
              guarded(table, numbers[i], coerce(value, column.type, CastContext::kAssignment));
    }
    source = "SELECT " + with_defaults(std::move(list)) + " FROM (" + query.sql + ") WHERE true";
  }
  numbers.insert(numbers.end(), defaults.begin(), defaults.end());
  return source;
}

// The number of the column that a statement names as one to write.
int Analyzer::target_column(const pg::ResTarget& target, const Relation& table) {
  const int number = table.column_number(target.name);
  if (number == 0)
    raise_at(target.location, "42703",
             std::string("column \"") + target.name + "\" of relation \"" + table.name +
                 "\" does not exist");
  if (target.n_indirection > 0) unsupported("assigning to an element", target.location);
  return number;
}

Statement Analyzer::insert(const pg::InsertStmt& stmt) {
  Statement out{.tag = "INSERT 0", .writes = true};
  Scope scope{.parent = outer_, .clause = "VALUES"};
  const std::string with = with_clause(stmt.with_clause, scope);
  const Relation& table = writable(*stmt.relation);
  out.writes_temporary = table.temporary;
  std::vector<int> numbers;
  for (const pg::Node* node : CALF_LIST(&stmt, cols)) {
    const pg::ResTarget& target = *node->res_target;
    const int number = target_column(target, table);
    if (std::find(numbers.begin(), numbers.end(), number) != numbers.end())
      raise_at(target.location, "42701",
               std::string("column \"") + target.name + "\" specified more than once");
    numbers.push_back(number);
  }
  if (stmt.n_cols == 0) {
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      if (table.columns[i].generated_text.empty()) numbers.push_back(static_cast<int>(i) + 1);
    }
  }
  const std::string source = insert_source(stmt, table, numbers, scope);
  std::string names;
  for (const int number : numbers)
    names += (names.empty() ? "" : ", ") +
             quote_name(table.columns[static_cast<std::size_t>(number - 1)].name);
  out.sql = with + "INSERT INTO " + quote_name(table.sqlite_name) + " AS target" +
            (names.empty() ? " " : " (" + names + ") ") + source;
  if (stmt.on_conflict_clause != nullptr) {
    Scope conflict{.parent = &scope, .clause = "ON CONFLICT"};
    conflict.tables.push_back(target_table(table, *stmt.relation, "target"));
    ScopeTable excluded = target_table(table, *stmt.relation, "excluded");
    excluded.alias = "excluded";
    for (ScopeColumn& column : excluded.columns) column.hidden = true;
    conflict.tables.push_back(std::move(excluded));
    out.sql += conflict_clause(*stmt.on_conflict_clause, table, conflict);
    const bool one_row =
        stmt.select_stmt == nullptr || stmt.select_stmt->select_stmt->n_values_lists == 1;
    if (!one_row &&
        stmt.on_conflict_clause->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE)
      out.once = table.sqlite_name;
  }
  Scope result{.parent = scope.parent, .ctes = scope.ctes};
  result.tables.push_back(target_table(table, *stmt.relation, ""));
  if (asks_queries(CALF_LIST(&stmt, returning_list), std::move(result))) {
    insert_in_steps(stmt, table, scope, out);
  } else {
    returning(CALF_LIST(&stmt, returning_list), table, *stmt.relation, &scope, out);
  }
  return out;
}

std::string Analyzer::conflict_clause(const PgQuery__OnConflictClause& clause,
                                      const Relation& table, Scope& scope) {
  std::string target;
  if (clause.infer != nullptr && given(clause.infer->conname)) {
    const auto found =
        std::find_if(table.constraints.begin(), table.constraints.end(),
                     [&](const TableConstraint& c) { return c.name == clause.infer->conname; });
    if (found == table.constraints.end())
      raise("42704", std::string("constraint \"") + clause.infer->conname + "\" for table \"" +
                         table.name + "\" does not exist");
    for (const std::string& column : found->columns)
      target += (target.empty() ? "" : ", ") + quote_name(column);
  } else if (clause.infer != nullptr) {
    Scope columns{.clause = "ON CONFLICT"};
    pg::RangeVar var = PG_QUERY__RANGE_VAR__INIT;
    columns.tables.push_back(target_table(table, var, ""));
    for (const pg::Node* item : CALF_LIST(clause.infer, index_elems)) {
      const PgQuery__IndexElem& element = *item->index_elem;
      std::string sql;
      if (given(element.name)) {
        const Column* column = table.column(element.name);
        if (column == nullptr)
          raise("42703", std::string("column \"") + element.name + "\" does not exist");
        sql = quote_name(column->name);
        if (const auto collation = collation_of(column->type.oid); !collation.empty())
          sql += " COLLATE " + std::string(collation);
      } else {
        sql = expr(*element.expr, columns).sql;
      }
      target += (target.empty() ? "" : ", ") + sql;
    }
    target = "(" + target + ")";
    if (clause.infer->where_clause != nullptr)
      target += " WHERE " + condition(*clause.infer->where_clause, columns, "WHERE").sql;
  }
  if (clause.infer != nullptr && given(clause.infer->conname)) target = "(" + target + ")";
  if (clause.action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_NOTHING)
    return " ON CONFLICT " + target + " DO NOTHING";
  if (target.empty())
    raise_at(clause.location, "42601",
             "ON CONFLICT DO UPDATE requires inference specification or constraint name",
             "For example, ON CONFLICT (column_name).");
  std::string out = " ON CONFLICT " + target + " DO UPDATE SET " +
                    set_list(assignments(CALF_LIST(&clause, target_list), table, scope), table);
  if (clause.where_clause != nullptr)
    out += " WHERE " + condition(*clause.where_clause, scope, "WHERE").sql;
  return out;
}

// What is assigned to one column of (a, b) = (SELECT …): its query, for this column.
Expr Analyzer::assigned_column(const PgQuery__MultiAssignRef& multi, const Relation& table,
                               int number, Scope& scope) {
  if (!CALF_IS(multi.source, SUB_LINK)) unsupported("assigning the columns of such an expression");
  ++sub_links_;
  const PgQuery__SubLink& link = *multi.source->sub_link;
  const Query query = select(*link.subselect->select_stmt, &scope);
  if (query.columns.size() != static_cast<std::size_t>(multi.ncolumns))
    raise_at(link.location, "42601", "number of columns does not match number of values");
  const OutputColumn& from = query.columns[static_cast<std::size_t>(multi.colno - 1)];
  const std::string name = "c" + std::to_string(multi.colno);
  const Expr value{.sql = "(SELECT \"calf_single(int8,any)\"(count(*), " + name +
                          ") FROM (SELECT " + name + " FROM (" + query.sql + ") LIMIT 2))",
                   .type = {from.type.oid == oid::kUnknown ? oid::kText : from.type.oid}};
  return assigned_value(value, table, number);
}

std::vector<Analyzer::Assignment> Analyzer::assignments(std::span<PgQuery__Node* const> targets,
                                                        const Relation& table, Scope& scope) {
  std::vector<Assignment> out;
  for (const pg::Node* node : targets) {
    const pg::ResTarget& target = *node->res_target;
    const int number = target_column(target, table);
    if (std::any_of(out.begin(), out.end(),
                    [&](const Assignment& other) { return other.number == number; }))
      raise_at(target.location, "42601",
               std::string("multiple assignments to same column \"") + target.name + "\"");
    const pg::Node* value = target.val;
    const Column& column = table.columns[static_cast<std::size_t>(number - 1)];
    if (column.identity == 'a' && !CALF_IS(value, SET_TO_DEFAULT))
      raise("428C9", "column \"" + column.name + "\" can only be updated to DEFAULT", {},
            "Column \"" + column.name + "\" is an identity column defined as GENERATED ALWAYS.");
    Expr made;
    if (CALF_IS(value, MULTI_ASSIGN_REF) && !CALF_IS(value->multi_assign_ref->source, ROW_EXPR)) {
      made = assigned_column(*value->multi_assign_ref, table, number, scope);
    } else {
      if (CALF_IS(value, MULTI_ASSIGN_REF)) {
        const PgQuery__MultiAssignRef& multi = *value->multi_assign_ref;
        if (static_cast<std::size_t>(multi.ncolumns) != multi.source->row_expr->n_args)
          raise_at(target.location, "42601", "number of columns does not match number of values");
        value = multi.source->row_expr->args[multi.colno - 1];
      }
      made = assigned(*value, table, number, scope);
    }
    out.push_back({.number = number, .sql = guarded(table, number, made)});
  }
  return out;
}

std::string Analyzer::set_list(const std::vector<Assignment>& assignments, const Relation& table) {
  std::string out;
  for (const Assignment& one : assignments)
    out += (out.empty() ? "" : ", ") +
           quote_name(table.columns[static_cast<std::size_t>(one.number - 1)].name) + " = " +
           one.sql;
  return out;
}

Statement Analyzer::update(const pg::UpdateStmt& stmt) {
  Statement out{.tag = "UPDATE", .writes = true};
  Scope scope{.parent = outer_, .clause = "UPDATE"};
  const std::string with = with_clause(stmt.with_clause, scope);
  const Relation& table = writable(*stmt.relation);
  out.writes_temporary = table.temporary;
  scope.tables.push_back(target_table(table, *stmt.relation, "target"));
  std::string from = from_clause(CALF_LIST(&stmt, from_clause), scope);
  const int sub_links = sub_links_;
  const std::vector<Assignment> set = assignments(CALF_LIST(&stmt, target_list), table, scope);
  // With FROM, SQLite computes all new values before it changes the first row.
  if (sub_links_ > sub_links && from.empty()) from = "(SELECT 1)";
  scope.clause = "WHERE";
  const std::string where = stmt.where_clause == nullptr
                                ? ""
                                : " WHERE " + condition(*stmt.where_clause, scope, "WHERE").sql;
  if (stmt.n_returning_list > 0 &&
      (stmt.n_from_clause > 0 || asks_queries(CALF_LIST(&stmt, returning_list), scope))) {
    update_in_steps(stmt, table, with, set, (from.empty() ? "" : " CROSS JOIN " + from) + where,
                    scope, out);
    return out;
  }
  out.sql = with + "UPDATE " + quote_name(table.sqlite_name) + " AS target SET " +
            set_list(set, table) + (from.empty() ? "" : " FROM " + from) + where;
  returning(CALF_LIST(&stmt, returning_list), table, *stmt.relation, outer_, out);
  return out;
}

Statement Analyzer::delete_from(const pg::DeleteStmt& stmt) {
  Statement out{.tag = "DELETE", .writes = true};
  Scope scope{.parent = outer_, .clause = "WHERE"};
  const std::string with = with_clause(stmt.with_clause, scope);
  const Relation& table = writable(*stmt.relation);
  out.writes_temporary = table.temporary;
  scope.tables.push_back(target_table(table, *stmt.relation, "target"));
  const std::string from = from_clause(CALF_LIST(&stmt, using_clause), scope);
  const std::string where = stmt.where_clause == nullptr
                                ? ""
                                : " WHERE " + condition(*stmt.where_clause, scope, "WHERE").sql;
  if (stmt.n_returning_list > 0 &&
      (!from.empty() || asks_queries(CALF_LIST(&stmt, returning_list), scope))) {
    delete_in_steps(stmt, table, with, (from.empty() ? "" : " CROSS JOIN " + from) + where, scope,
                    out);
    return out;
  }
  out.sql = with + "DELETE FROM " + quote_name(table.sqlite_name) + " AS target";
  // SQLite has no USING: the rows for which some combination exists.
  out.sql += from.empty() ? where : " WHERE EXISTS (SELECT 1 FROM " + from + where + ")";
  returning(CALF_LIST(&stmt, returning_list), table, *stmt.relation, outer_, out);
  return out;
}

// What RETURNING returns, and its columns.
std::vector<Expr> Analyzer::returned(std::span<PgQuery__Node* const> targets, Scope& scope,
                                     Statement& out) {
  scope.clause = "RETURNING";
  std::vector<Expr> values = target_list(targets, scope);
  for (Expr& value : values) {
    if (value.unknown()) value = coerce(std::move(value), {oid::kText}, CastContext::kImplicit);
    if (value.fields != nullptr) unsupported("a row as a value", value.location);
  }
  out.columns = outputs_of(values);
  return values;
}

// SQLite's RETURNING sees the changed table only, under its own names.
void Analyzer::returning(std::span<PgQuery__Node* const> targets, const Relation& table,
                         const pg::RangeVar& var, Scope* parent, Statement& out) {
  if (targets.empty()) return;
  Scope scope{.parent = parent};
  scope.tables.push_back(target_table(table, var, ""));
  std::string list;
  for (const Expr& value : returned(targets, scope, out))
    list += (list.empty() ? " RETURNING " : ", ") + value.sql;
  out.sql += list;
}

std::string Analyzer::column_expression(const pg::Node& node, const Relation* table,
                                        std::optional<Type> target,
                                        std::vector<std::string>* columns) {
  Scope scope{.clause = table == nullptr ? "DEFAULT expressions" : "check constraints"};
  if (table != nullptr) {
    pg::RangeVar var = PG_QUERY__RANGE_VAR__INIT;
    scope.tables.push_back(target_table(*table, var, ""));
  }
  Expr value = expr(node, scope);
  for (const auto& [label, column] : scope.ungrouped) {
    if (columns != nullptr &&
        std::find(columns->begin(), columns->end(), column->name) == columns->end())
      columns->push_back(column->name);
  }
  if (target) {
    if (!value.unknown() && !can_cast(value.type.oid, target->oid, CastContext::kAssignment)) {
      raise_at(value.location, "42804",
               "column is of type " + format_type(*target) + " but expression is of type " +
                   format_type({value.type.oid}),
               "You will need to rewrite or cast the expression.");
    }
    value = coerce(std::move(value), *target, CastContext::kAssignment);
  }
  return value.sql;
}

Query Analyzer::view_query(const pg::Node& node) {
  if (!CALF_IS(&node, SELECT_STMT)) raise("42601", "a view needs a query");
  Query query = select(*node.select_stmt, nullptr);
  for (OutputColumn& column : query.columns) {
    if (column.type.oid == oid::kUnknown) column.type = {oid::kText};
  }
  return query;
}

}  // namespace calf::sqlite
