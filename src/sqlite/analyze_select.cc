// SELECT. Output columns are named c1, c2, … in SQLite, so that they can be
// duplicate or nameless in PostgreSQL.
#include <algorithm>

#include "sqlite/analyzer.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

bool is_integer_constant(const pg::Node& node, std::int64_t& value) {
  if (!CALF_IS(&node, A_CONST) || node.a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
    return false;
  value = node.a_const->ival->ival;
  return true;
}

// A bare name, as ORDER BY and GROUP BY may have for an output column.
std::string_view bare_name(const pg::Node& node) {
  if (!CALF_IS(&node, COLUMN_REF) || node.column_ref->n_fields != 1) return {};
  return string_of(node.column_ref->fields[0]);
}

}  // namespace

std::vector<OutputColumn> Analyzer::outputs_of(const std::vector<Expr>& targets) {
  std::vector<OutputColumn> columns;
  for (const Expr& target : targets) {
    columns.push_back({.name = target.name,
                       .type = target.type,
                       .table = target.relation == nullptr ? 0 : target.relation->oid,
                       .number = static_cast<std::int16_t>(target.number),
                       .not_null = target.not_null,
                       .fields = target.fields});
  }
  return columns;
}

std::string Analyzer::output_list(const std::vector<Expr>& targets, bool collate) {
  std::string out;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    out += (i > 0 ? ", " : "") + (collate ? collated(targets[i]) : targets[i].sql) + " AS c" +
           std::to_string(i + 1);
  }
  return out.empty() ? "NULL AS c0" : out;
}

Query Analyzer::select(const pg::SelectStmt& stmt, Scope* parent, const std::vector<Type>* wanted) {
  Scope scope{.parent = parent};
  const std::string with = with_clause(stmt.with_clause, scope);
  Query query;
  if (stmt.n_values_lists > 0) {
    query = values(stmt, scope, wanted);
  } else if (stmt.op != PG_QUERY__SET_OPERATION__SETOP_NONE &&
             stmt.op != PG_QUERY__SET_OPERATION__SET_OPERATION_UNDEFINED) {
    query = set_operation(stmt, scope, wanted);
  } else {
    query = simple_select(stmt, scope, wanted);
  }
  query.sql = with + query.sql;
  return query;
}

void Analyzer::expand_star(const PgQuery__ColumnRef& ref, Scope& scope, std::vector<Expr>& out) {
  const std::string_view table =
      ref.n_fields > 1 ? string_of(ref.fields[ref.n_fields - 2]) : std::string_view();
  bool found = false;
  for (const ScopeTable& candidate : scope.tables) {
    if (!table.empty() && candidate.alias != table) continue;
    found = true;
    for (const ScopeColumn& column : candidate.columns) {
      if (column.hidden && table.empty()) continue;
      if (!scope.inside_aggregate) scope.ungrouped.emplace_back(column.name, &column);
      out.push_back({.sql = column.sql,
                     .type = column.type,
                     .name = column.name,
                     .relation = column.relation,
                     .number = column.number,
                     .not_null = column.not_null,
                     .fields = column.fields,
                     .location = ref.location});
    }
  }
  if (found) return;
  if (table.empty())
    raise_at(ref.location, "42601", "SELECT * with no tables specified is not valid");
  raise_at(ref.location, "42P01",
           "missing FROM-clause entry for table \"" + std::string(table) + "\"");
}

std::vector<Expr> Analyzer::target_list(std::span<PgQuery__Node* const> targets, Scope& scope) {
  std::vector<Expr> out;
  for (const pg::Node* node : targets) {
    const pg::ResTarget& target = *node->res_target;
    if (CALF_IS(target.val, COLUMN_REF) &&
        CALF_IS(target.val->column_ref->fields[target.val->column_ref->n_fields - 1], A_STAR)) {
      expand_star(*target.val->column_ref, scope, out);
      for (Expr& value : out) value = as_grouped(std::move(value), scope);
      continue;
    }
    Expr value = expr(*target.val, scope);
    if (given(target.name)) value.name = target.name;
    out.push_back(std::move(value));
  }
  return out;
}

// A column that is neither grouped nor aggregated is only right when the table's primary key is
// grouped.
void Analyzer::check_grouping(Scope& scope) {
  for (const auto& [name, column] : scope.ungrouped) {
    if (std::find(scope.group_sql.begin(), scope.group_sql.end(), column->sql) !=
        scope.group_sql.end())
      continue;
    bool determined = false;
    if (column->relation != nullptr && !scope.group_sql.empty() && !scope.grouping_sets) {
      if (const TableConstraint* key = column->relation->primary_key(); key != nullptr) {
        const std::string prefix = column->sql.substr(0, column->sql.find('.'));
        determined =
            std::all_of(key->columns.begin(), key->columns.end(), [&](const std::string& part) {
              return std::find(scope.group_sql.begin(), scope.group_sql.end(),
                               prefix + "." + quote_name(part)) != scope.group_sql.end();
            });
      }
    }
    if (determined) continue;
    std::string label = name;
    if (name.find('.') == std::string::npos) {
      for (const ScopeTable& table : scope.tables) {
        for (const ScopeColumn& c : table.columns) {
          if (&c == column && !table.alias.empty()) label = table.alias + "." + name;
        }
      }
    }
    raise("42803", "column \"" + label +
                       "\" must appear in the GROUP BY clause or be used in an aggregate function");
  }
}

// What an item of GROUP BY means: a column's number, a name, or an expression.
Expr Analyzer::group_item(const pg::Node& item, Scope& scope, const std::vector<Expr>& targets) {
  std::int64_t position = 0;
  Expr value;
  const std::string_view name = bare_name(item);
  Scope* owner = nullptr;
  if (is_integer_constant(item, position)) {
    if (position < 1 || position > static_cast<std::int64_t>(targets.size()))
      raise("42P10", "GROUP BY position " + std::to_string(position) + " is not in select list");
    value = targets[static_cast<std::size_t>(position - 1)];
  } else if (const auto target = std::find_if(targets.begin(), targets.end(),
                                              [&](const Expr& t) { return t.name == name; });
             !name.empty() && target != targets.end() &&
             find_column({}, name, scope, owner, -1) == nullptr) {
    value = *target;
  } else {
    value = expr(item, scope);
  }
  if (value.unknown()) value = coerce(std::move(value), {oid::kText}, CastContext::kImplicit);
  if (const TypeInfo* info = find_type(value.type.oid); info != nullptr && !info->ordered) {
    raise_at(value.location, "42883",
             "could not identify an equality operator for type " + format_type({value.type.oid}));
  }
  return value;
}

// A constant would be a position to SQLite.
std::string Analyzer::group_key(const Expr& value) {
  const bool constant =
      !value.sql.empty() && (std::isdigit(static_cast<unsigned char>(value.sql[0])) != 0);
  return constant ? "(" + value.sql + " + 0)" : collated(value);
}

std::string Analyzer::group_clause(const pg::SelectStmt& stmt, Scope& scope,
                                   const std::vector<Expr>& targets) {
  std::string out;
  const auto add = [&](const pg::Node& item) {
    const Expr value = group_item(item, scope, targets);
    scope.group_sql.push_back(value.sql);
    out += (out.empty() ? " GROUP BY " : ", ") + group_key(value);
  };
  for (const pg::Node* item : CALF_LIST(&stmt, group_clause)) {
    if (!CALF_IS(item, ROW_EXPR)) {
      add(*item);
      continue;
    }
    for (const pg::Node* part : CALF_LIST(item->row_expr, args)) add(*part);
  }
  return out;
}

std::string Analyzer::order_term(const PgQuery__SortBy& sort, const std::string& sql, Type type,
                                 bool not_null) {
  if (sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
    unsupported("ORDER BY … USING", sort.location);
  const TypeInfo* info = find_type(type.oid);
  if (is_array(type.oid)) unsupported("ordering by an array", sort.location);
  if (info != nullptr && !info->ordered)
    raise_at(sort.location, "42883",
             "could not identify an ordering operator for type " + format_type(type),
             "Use an explicit ordering operator or modify the query.");
  const bool descending = sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
  std::string out = sql;
  if (const std::string_view collation = collation_of(type.oid); !collation.empty())
    out += " COLLATE " + std::string(collation);
  if (descending) out += " DESC";
  if (not_null) return out;
  const bool first =
      sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
      (descending && sort.sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
  return out + (first ? " NULLS FIRST" : " NULLS LAST");
}

// Which output ORDER BY names, by number or name; their count: none.
std::size_t Analyzer::sorted_target(const PgQuery__SortBy& sort, const std::vector<Expr>& targets) {
  std::int64_t position = 0;
  std::size_t index = targets.size();
  const std::string_view name = bare_name(*sort.node);
  if (is_integer_constant(*sort.node, position)) {
    if (position < 1 || position > static_cast<std::int64_t>(targets.size()))
      raise("42P10", "ORDER BY position " + std::to_string(position) + " is not in select list");
    return static_cast<std::size_t>(position - 1);
  }
  for (std::size_t i = 0; i < targets.size() && !name.empty(); ++i) {
    if (targets[i].name != name) continue;
    if (index < targets.size() && targets[index].sql != targets[i].sql)
      raise_at(sort.location, "42702", "ORDER BY \"" + std::string(name) + "\" is ambiguous");
    if (index == targets.size()) index = i;
  }
  return index;
}

std::string Analyzer::order_clause(std::span<PgQuery__Node* const> sorts, Scope& scope,
                                   const std::vector<Expr>& targets, bool only_outputs,
                                   bool distinct) {
  std::string out;
  scope.clause = "ORDER BY";
  for (const pg::Node* item : sorts) {
    const PgQuery__SortBy& sort = *item->sort_by;
    const std::string_view name = bare_name(*sort.node);
    std::size_t index = sorted_target(sort, targets);
    Expr value;
    std::string sql;
    if (index == targets.size()) {
      if (only_outputs) {
        if (!name.empty())
          raise_at(sort.location, "42703", "column \"" + std::string(name) + "\" does not exist");
        raise_at(
            sort.location, "0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
            "Add the expression/function to every SELECT, or move the UNION into a FROM clause.",
            "Only result column names can be used, not expressions or functions.");
      }
      value = expr(*sort.node, scope);
      for (std::size_t i = 0; i < targets.size() && index == targets.size(); ++i) {
        if (targets[i].sql == value.sql) index = i;
      }
      if (index == targets.size() && distinct)
        raise_at(sort.location, "42P10",
                 "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
      if (value.unknown()) value = coerce(std::move(value), {oid::kText}, CastContext::kImplicit);
      sql = value.sql;
    }
    if (index < targets.size()) {
      value = targets[index];
      sql = "c" + std::to_string(index + 1);
    }
    out += (out.empty() ? " ORDER BY " : ", ") +
           order_term(sort, sql, value.type, value.not_null && !scope.outer_join);
  }
  return out;
}

std::string Analyzer::limit_clause(const pg::SelectStmt& stmt, Scope& scope) {
  if (stmt.limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
    unsupported("FETCH FIRST … WITH TIES");
  const auto count = [&](const pg::Node& node, const char* clause, const char* function,
                         const char* state) {
    scope.clause = clause;
    Expr value = coerce(expr(node, scope), {oid::kInt8}, CastContext::kAssignment);
    if (value.form == Expr::Form::kPlain && !value.sql.empty() &&
        std::all_of(value.sql.begin(), value.sql.end(),
                    [](unsigned char c) { return std::isdigit(c) != 0; }))
      return value.sql;
    if (value.sql.starts_with('-')) raise(state, std::string(clause) + " must not be negative");
    return "\"" + std::string(function) + "\"(" + value.sql + ")";
  };
  std::string out;
  const bool limited = stmt.limit_count != nullptr && !(CALF_IS(stmt.limit_count, A_CONST) &&
                                                        stmt.limit_count->a_const->isnull != 0);
  if (limited) out = " LIMIT " + count(*stmt.limit_count, "LIMIT", "calf_limit(int8)", "2201W");
  if (stmt.limit_offset != nullptr)
    out += (limited ? "" : " LIMIT -1") + std::string(" OFFSET ") +
           count(*stmt.limit_offset, "OFFSET", "calf_offset(int8)", "2201X");
  return out;
}

// One writer at a time: locking rows is taking the writer's place.
void Analyzer::locking(const pg::SelectStmt& stmt, const Scope& scope) {
  for (const pg::Node* item : CALF_LIST(&stmt, locking_clause)) {
    for (const ScopeTable& table : scope.tables) {
      if (table.relation != nullptr && table.relation->kind == 'r' && !table.relation->system)
        lock_table_ = table.relation->sqlite_name;
    }
    lock_nowait_ = lock_nowait_ ||
                   item->locking_clause->wait_policy == PG_QUERY__LOCK_WAIT_POLICY__LockWaitError;
  }
}

// The first row of each group: numbered inside, filtered outside.
std::string Analyzer::distinct_on(const pg::SelectStmt& stmt, Scope& scope,
                                  std::vector<Expr>& targets, const std::string& body) {
  std::string partition;
  for (const pg::Node* item : CALF_LIST(&stmt, distinct_clause)) {
    std::int64_t position = 0;
    Expr key;
    const std::string_view name = bare_name(*item);
    const auto target = std::find_if(targets.begin(), targets.end(), [&](const Expr& t) {
      return !name.empty() && t.name == name;
    });
    if (is_integer_constant(*item, position) && position >= 1 &&
        position <= static_cast<std::int64_t>(targets.size()))
      key = targets[static_cast<std::size_t>(position - 1)];
    else if (target != targets.end())
      key = *target;
    else
      key = expr(*item, scope);
    partition += (partition.empty() ? "" : ", ") + collated(key);
  }
  std::string order;
  std::string outer_order;
  std::string extra;
  int number = 0;
  for (const pg::Node* item : CALF_LIST(&stmt, sort_clause)) {
    const std::string_view name = bare_name(*item->sort_by->node);
    const auto target = std::find_if(targets.begin(), targets.end(), [&](const Expr& t) {
      return !name.empty() && t.name == name;
    });
    std::int64_t position = 0;
    const bool by_position = is_integer_constant(*item->sort_by->node, position);
    if (by_position && (position < 1 || position > static_cast<std::int64_t>(targets.size())))
      raise("42P10", "ORDER BY position " + std::to_string(position) + " is not in select list");
    const Expr key = by_position               ? targets[static_cast<std::size_t>(position - 1)]
                     : target != targets.end() ? *target
                                               : expr(*item->sort_by->node, scope);
    const std::string column = "k" + std::to_string(++number);
    extra += ", " + key.sql + " AS " + column;
    order += (order.empty() ? " ORDER BY " : ", ") +
             order_term(*item->sort_by, key.sql, key.type, false);
    outer_order += (outer_order.empty() ? " ORDER BY " : ", ") +
                   order_term(*item->sort_by, column, key.type, false);
  }
  std::string names;
  for (std::size_t i = 0; i < targets.size(); ++i)
    names += (i > 0 ? ", c" : "c") + std::to_string(i + 1);
  return "SELECT " + names + " FROM (SELECT " + output_list(targets, false) + extra +
         ", row_number() OVER (PARTITION BY " + partition + order + ") AS n" + body +
         ") WHERE n = 1" + outer_order;
}

// What is selected from, joined with the rows of functions, which stand side by side. `number` is
// what to call a row's number.
std::string Analyzer::join_row_calls(const std::vector<RowCall>& calls, std::string from,
                                     std::string* number) {
  from += from.empty() ? "" : " CROSS JOIN ";
  if (number != nullptr) *number = calls[0].alias + ".ord";
  if (calls.size() == 1) return from + calls[0].sql;
  // Side by side, as long as the longest of them.
  const std::string driver = fresh("t");
  if (number != nullptr) *number = driver + ".c1";
  std::string counts;
  std::string joins;
  for (const RowCall& call : calls) {
    counts += (counts.empty() ? "" : ", ") + std::string("(SELECT count(*) FROM ") + call.sql + ")";
    joins += " LEFT JOIN " + call.sql + " ON " + call.alias + ".ord = " + driver + ".c1";
  }
  return from + "calf_rows('generate_series(int8,int8)', 1, max(" + counts + ")) AS " + driver +
         joins;
}

Query Analyzer::simple_select(const pg::SelectStmt& stmt, Scope& scope,
                              const std::vector<Type>* wanted) {
  if (stmt.into_clause != nullptr) unsupported("SELECT INTO");
  for (const pg::Node* window : CALF_LIST(&stmt, window_clause))
    scope.windows.emplace_back(window->window_def->name, window->window_def);
  std::string from = from_clause(CALF_LIST(&stmt, from_clause), scope);
  scope.ungrouped.clear();
  scope.clause = "WHERE";
  const std::string where = stmt.where_clause == nullptr
                                ? ""
                                : " WHERE " + condition(*stmt.where_clause, scope, "WHERE").sql;
  scope.ungrouped.clear();
  scope.grouped = stmt.n_group_clause > 0;
  if (has_grouping_sets(stmt)) {
    locking(stmt, scope);
    return grouping_sets(stmt, scope, (from.empty() ? "" : " FROM " + from) + where, wanted);
  }
  scope.aggregates_allowed = true;
  const bool grouped = stmt.n_group_clause > 0;
  std::vector<RowCall> row_calls;
  scope.row_calls = &row_calls;
  scope.clause = "a select list";
  std::vector<Expr> targets = target_list(CALF_LIST(&stmt, target_list), scope);
  scope.row_calls = nullptr;
  const bool rows_in_list = !row_calls.empty();
  if (rows_in_list && (grouped || scope.saw_aggregate))
    unsupported("a set-returning function together with GROUP BY or aggregates");
  if (rows_in_list) from = join_row_calls(row_calls, std::move(from));
  std::string group;
  if (grouped) {
    scope.aggregates_allowed = false;
    scope.clause = "GROUP BY";
    group = group_clause(stmt, scope, targets);
    scope.aggregates_allowed = true;
    // Again, now that it is known what is grouped.
    scope.ungrouped.clear();
    targets = target_list(CALF_LIST(&stmt, target_list), scope);
  }
  std::string having;
  if (stmt.having_clause != nullptr) {
    scope.clause = "HAVING";
    having = " HAVING " + condition(*stmt.having_clause, scope, "HAVING").sql;
    if (!grouped) having = " GROUP BY NULL" + having;
  }
  if (wanted != nullptr) {
    if (wanted->size() == targets.size()) {
      for (std::size_t i = 0; i < targets.size(); ++i)
        targets[i] = coerce(std::move(targets[i]), (*wanted)[i], CastContext::kImplicit);
    }
  }
  for (Expr& target : targets) {
    // A nameless constant or parameter becomes text where nothing else is known; UNION decides
    // later.
    if (target.form == Expr::Form::kParameter && target.unknown())
      target = coerce(std::move(target), {oid::kText}, CastContext::kImplicit);
    if (scope.outer_join && target.relation == nullptr) target.not_null = false;
  }
  const std::string body = (from.empty() ? "" : " FROM " + from) + where + group + having;
  const bool distinct = stmt.n_distinct_clause > 0;
  const bool on = distinct && stmt.distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET;
  if (distinct && !on) {
    for (const Expr& target : targets) {
      if (const TypeInfo* info = find_type(target.type.oid); info != nullptr && !info->ordered)
        raise("42883",
              "could not identify an equality operator for type " + format_type({target.type.oid}));
    }
  }
  Query query{.columns = outputs_of(targets)};
  if (on) {
    if (scope.saw_aggregate || grouped) unsupported("DISTINCT ON together with aggregates");
    query.sql = distinct_on(stmt, scope, targets, body) + limit_clause(stmt, scope);
  } else {
    const std::string order =
        order_clause(CALF_LIST(&stmt, sort_clause), scope, targets, false, distinct);
    query.sql = std::string("SELECT ") + (distinct ? "DISTINCT " : "") +
                output_list(targets, distinct) + body + order + limit_clause(stmt, scope);
  }
  if (grouped || scope.saw_aggregate || stmt.having_clause != nullptr) check_grouping(scope);
  locking(stmt, scope);
  query.single_row = (from.empty() && !rows_in_list) || (scope.saw_aggregate && !grouped);
  if (stmt.limit_count != nullptr) {
    std::int64_t count = 0;
    query.single_row =
        query.single_row || (is_integer_constant(*stmt.limit_count, count) && count <= 1);
  }
  return query;
}

}  // namespace calf::sqlite
