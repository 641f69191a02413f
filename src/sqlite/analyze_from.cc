// FROM: tables, subqueries, functions, joins. Every item gets a name of ours in SQLite, so that
// names never mean something else there.
#include <algorithm>

#include "sqlite/analyzer.h"
#include "sqlite/lateral_table.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

std::string alias_of(const PgQuery__Alias* alias, std::string otherwise) {
  return alias != nullptr && given(alias->aliasname) ? alias->aliasname : std::move(otherwise);
}

void rename_columns(ScopeTable& table, const PgQuery__Alias* alias) {
  if (alias == nullptr) return;
  const auto names = CALF_LIST(alias, colnames);
  if (names.size() > table.columns.size()) {
    raise("42P10", "table \"" + table.alias + "\" has " + std::to_string(table.columns.size()) +
                       " columns available but " + std::to_string(names.size()) +
                       " columns specified");
  }
  for (std::size_t i = 0; i < names.size(); ++i) table.columns[i].name = string_of(names[i]);
}

void push(Scope& scope, ScopeTable table) {
  for (const ScopeTable& other : scope.tables) {
    if (!table.alias.empty() && other.alias == table.alias)
      raise("42712", "table name \"" + table.alias + "\" specified more than once");
  }
  scope.tables.push_back(std::move(table));
}

// Several functions whose rows stand side by side.
bool is_rows_from(const PgQuery__RangeFunction& range) {
  if (range.n_functions > 1) return true;
  const pg::Node& item = *range.functions[0]->list->items[0];
  return CALF_IS(&item, FUNC_CALL) && item.func_call->n_args > 1 &&
         string_of(item.func_call->funcname[item.func_call->n_funcname - 1]) == "unnest";
}

ScopeTable derived_table(const PgQuery__RangeSubselect& sub, const Query& query,
                         const std::string& name) {
  ScopeTable table{.alias = alias_of(sub.alias, "")};
  for (std::size_t i = 0; i < query.columns.size(); ++i) {
    const OutputColumn& column = query.columns[i];
    table.columns.push_back(
        {.name = column.name,
         .sql = name + ".c" + std::to_string(i + 1),
         .type = {column.type.oid == oid::kUnknown ? oid::kText : column.type.oid,
                  column.type.typmod},
         .not_null = column.not_null,
         .fields = column.fields});
  }
  rename_columns(table, sub.alias);
  return table;
}

std::string column_sql(const Column& column, const std::string& alias) {
  if (column.sql.empty()) return alias + "." + quote_name(column.name);
  std::string out = column.sql;
  const std::size_t at = out.find("$.");
  return out.replace(at, 1, alias);
}

}  // namespace

const Relation& Analyzer::relation_named(const pg::RangeVar& var) {
  const std::string_view schema = given(var.schemaname) ? var.schemaname : "";
  if (!schema.empty() && !catalog_.has_schema(schema)) {
    raise_at(var.location, "42P01",
             "relation \"" + std::string(schema) + "." + var.relname + "\" does not exist");
  }
  const Relation* found = catalog_.find(schema, var.relname);
  if (found == nullptr) {
    raise_at(var.location, "42P01",
             "relation \"" + (schema.empty() ? "" : std::string(schema) + ".") + var.relname +
                 "\" does not exist");
  }
  return *found;
}

std::string Analyzer::from_clause(std::span<PgQuery__Node* const> items, Scope& scope) {
  std::string out;
  for (const pg::Node* item : items)
    out += (out.empty() ? "" : " CROSS JOIN ") + from_item(*item, scope);
  return out;
}

std::string Analyzer::from_item(const pg::Node& node, Scope& scope) {
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
      return range_var(*node.range_var, scope);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
      return range_subselect(*node.range_subselect, scope);
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
      return range_function(*node.range_function, scope);
    case PG_QUERY__NODE__NODE_JOIN_EXPR:
      return join(*node.join_expr, scope);
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
      unsupported("TABLESAMPLE");
    default:
      unsupported("this kind of FROM item");
  }
}

std::string Analyzer::range_var(const pg::RangeVar& var, Scope& scope) {
  if (!given(var.schemaname)) {
    bool outside = false;
    for (const Scope* level = &scope; level != nullptr; level = level->parent) {
      for (const Cte& cte : level->ctes) {
        if (cte.name != var.relname) continue;
        if (cte.part >= 0) {
          parts_.uses.insert(cte.part);
          if (cte.columns.empty())
            raise_at(var.location, "0A000",
                     "WITH query \"" + cte.name + "\" does not have a RETURNING clause");
        } else if (outside) {
          unsupported("a WITH query inside of LATERAL", var.location);
        }
        const std::string alias = fresh("t");
        ScopeTable table{.alias = alias_of(var.alias, cte.name)};
        for (std::size_t i = 0; i < cte.columns.size(); ++i) {
          table.columns.push_back({.name = cte.columns[i].name,
                                   .sql = alias + ".c" + std::to_string(i + 1),
                                   .type = cte.columns[i].type,
                                   .not_null = cte.columns[i].not_null});
        }
        rename_columns(table, var.alias);
        push(scope, std::move(table));
        return cte.sql_name + " AS " + alias;
      }
      outside = outside || (lateral_ != nullptr && level == lateral_->boundary);
    }
  }
  const Relation& relation = relation_named(var);
  if (relation.kind == 'S') unsupported("reading a sequence as a table", var.location);
  return add_table(relation, alias_of(var.alias, var.relname), var.alias, scope);
}

std::string Analyzer::add_table(const Relation& relation, const std::string& alias,
                                const PgQuery__Alias* columns, Scope& scope) {
  const std::string name = fresh("t");
  ScopeTable table{.alias = alias, .schema = relation.schema, .relation = &relation};
  int number = 0;
  bool copied = false;
  if (!relation.populated)
    raise("55000", "materialized view \"" + relation.name + "\" has not been populated",
          "Use the REFRESH MATERIALIZED VIEW command.");
  const std::string before = as_it_was(relation, copied);
  check_view(relation);
  for (const Column& column : relation.columns) {
    ++number;
    table.columns.push_back(
        {.name = column.name,
         .sql = copied ? name + ".c" + std::to_string(number) : column_sql(column, name),
         .type = column.type,
         .not_null = column.not_null,
         .relation = &relation,
         .number = number});
  }
  rename_columns(table, columns);
  push(scope, std::move(table));
  if (!relation.system) relations_read_.push_back(relation.sqlite_name);
  if (!before.empty()) return before + " AS " + name;
  if (relation.system && !relation.view_text.empty())
    return "(" + system_view(relation) + ") AS " + name;
  return quote_name(relation.system ? relation.schema + "." + relation.name
                                    : relation.sqlite_name) +
         " AS " + name;
}

std::string Analyzer::table_rows(const Relation& table) {
  std::string list;
  for (const Column& column : table.columns)
    list += (list.empty() ? "" : ", ") + column_sql(column, "t");
  return "SELECT " + list + " FROM " + quote_name(table.sqlite_name) + " AS t";
}

// Views of information_schema are kept as PostgreSQL's SQL over pg_catalog.
std::string Analyzer::system_view(const Relation& relation) {
  const auto script = Script::parse(relation.view_text);
  const Query query = select(*script->statement(0).select_stmt, nullptr);
  std::string list;
  for (std::size_t i = 0; i < relation.columns.size(); ++i) {
    list += (list.empty() ? "c" : ", c") + std::to_string(i + 1) + " AS " +
            quote_name(relation.columns[i].name);
  }
  return "SELECT " + list + " FROM (" + query.sql + ")";
}

std::string Analyzer::range_subselect(const PgQuery__RangeSubselect& sub, Scope& scope) {
  if (sub.lateral != 0) return lateral_subselect(sub, scope);
  // Not lateral: what else is in this FROM is not visible.
  Scope outside{.parent = scope.parent, .ctes = scope.ctes};
  const Query query = select(*sub.subquery->select_stmt, &outside);
  const std::string name = fresh("t");
  push(scope, derived_table(sub, query, name));
  return "(" + query.sql + ") AS " + name;
}

std::string Analyzer::lateral_subselect(const PgQuery__RangeSubselect& sub, Scope& scope) {
  Scope boundary{.parent = &scope};
  Lateral lateral{.outer = lateral_, .boundary = &boundary};
  lateral_ = &lateral;
  const Query query = select(*sub.subquery->select_stmt, &boundary);
  lateral_ = lateral.outer;
  if (query.columns.size() > kMaxLateralColumns || lateral.arguments.size() > kMaxLateralArguments)
    unsupported("a LATERAL subquery with so many columns");
  const std::string name = fresh("t");
  std::string sql = "calf_lateral(" + quote_text(query.sql);
  for (const std::string& argument : lateral.arguments) sql += ", " + argument;
  push(scope, derived_table(sub, query, name));
  return sql + ") AS " + name;
}

// What `owner` has, seen from `inner`: a parameter of each LATERAL subquery in between.
std::string Analyzer::from_outside(std::string sql, const Scope& inner, const Scope* owner) {
  std::vector<Lateral*> crossed;  // from the inside out
  Lateral* lateral = lateral_;
  for (const Scope* level = &inner; level != owner && level != nullptr; level = level->parent) {
    if (lateral == nullptr || level != lateral->boundary) continue;
    crossed.push_back(lateral);
    lateral = lateral->outer;
  }
  for (std::size_t i = crossed.size(); i-- > 0;) {
    auto& arguments = crossed[i]->arguments;
    const auto found = std::find(arguments.begin(), arguments.end(), sql);
    const auto index = found - arguments.begin();
    if (found == arguments.end()) arguments.push_back(sql);
    sql = "?" + std::to_string(index + 1);
  }
  return sql;
}

// The virtual table of row functions: calf_rows('signature', arguments…) has columns c1, c2, … and
// ord.
std::string Analyzer::rows_call(const Function& function, const std::vector<Expr>& arguments,
                                const std::string& alias) {
  std::string sql = "calf_rows(" + quote_text(function.internal);
  for (const Expr& argument : arguments) sql += ", " + argument.sql;
  if (function.name == "unnest" || function.name == "_pg_expandarray")
    sql += ", " + std::to_string(element_of(arguments[0].type.oid));
  return sql + ") AS " + alias;
}

// ROWS FROM (f(), g()) and unnest(a, b): the functions' rows side by side. Like a LATERAL subquery,
// for the functions' arguments may come from what stands before.
std::string Analyzer::rows_from(const PgQuery__RangeFunction& range, Scope& scope) {
  std::vector<RowCall> calls;
  std::vector<std::string> outside;
  std::string outputs;
  const std::string name = fresh("t");
  ScopeTable table{.alias = alias_of(range.alias, ""), .function = true};
  const auto add = [&](const PgQuery__FuncCall& node, std::span<PgQuery__Node* const> nodes) {
    const std::string called(string_of(node.funcname[node.n_funcname - 1]));
    if (table.alias.empty()) table.alias = called;
    std::vector<Expr> arguments;
    for (const pg::Node* argument : nodes) arguments.push_back(expr(*argument, scope));
    const Function* function = resolve(FunctionTable::get().named(called), arguments);
    if (function == nullptr || function->kind != Function::Kind::kRows)
      unsupported("this function in ROWS FROM", node.location);
    for (Expr& argument : arguments) {
      outside.push_back(argument.sql);
      argument.sql = "?" + std::to_string(outside.size());
    }
    const std::string alias = fresh("t");
    calls.push_back({.alias = alias, .sql = rows_call(*function, arguments, alias)});
    for (std::size_t i = 0; i < function->columns.size(); ++i) {
      const auto& [column, type] = function->columns[i];
      const std::string number = std::to_string(table.columns.size() + 1);
      outputs += alias + ".c" + std::to_string(i + 1) + " AS c" + number + ", ";
      table.columns.push_back(
          {.name = column,
           .sql = name + ".c" + number,
           .type = {type == oid::kAnyElement ? element_of(arguments[0].type.oid) : type}});
    }
  };
  scope.clause = "functions in FROM";
  for (const pg::Node* item : CALF_LIST(&range, functions)) {
    const pg::Node& node = *item->list->items[0];
    if (!CALF_IS(&node, FUNC_CALL)) unsupported("this function in ROWS FROM");
    const auto arguments = CALF_LIST(node.func_call, args);
    if (string_of(node.func_call->funcname[node.func_call->n_funcname - 1]) != "unnest") {
      add(*node.func_call, arguments);
    } else {
      for (std::size_t i = 0; i < arguments.size(); ++i)
        add(*node.func_call, arguments.subspan(i, 1));
    }
  }
  std::string driver;
  const std::string from = join_row_calls(calls, "", &driver);
  const std::string number = std::to_string(table.columns.size() + 1);
  if (range.ordinality != 0)
    table.columns.push_back({.name = "ordinality",
                             .sql = name + ".c" + number,
                             .type = {oid::kInt8},
                             .not_null = true});
  rename_columns(table, range.alias);
  push(scope, std::move(table));
  std::string sql = "calf_lateral(" +
                    quote_text("SELECT " + outputs + driver + " AS c" + number + " FROM " + from);
  for (const std::string& argument : outside) sql += ", " + argument;
  return sql + ") AS " + name;
}

std::string Analyzer::range_function(const PgQuery__RangeFunction& range, Scope& scope) {
  if (range.n_coldeflist > 0) return record_rows(range, scope);
  if (is_rows_from(range)) return rows_from(range, scope);
  const pg::Node& item = *range.functions[0]->list->items[0];
  const std::string name = fresh("t");
  if (!CALF_IS(&item, FUNC_CALL)) {  // CURRENT_DATE and the like
    const Expr value = expr(item, scope);
    ScopeTable table{.alias = alias_of(range.alias, value.name), .function = true};
    table.columns.push_back(
        {.name = alias_of(range.alias, value.name), .sql = name + ".c1", .type = value.type});
    push(scope, std::move(table));
    return "(SELECT " + value.sql + " AS c1) AS " + name;
  }
  const PgQuery__FuncCall& node = *item.func_call;
  const std::string function_name(string_of(node.funcname[node.n_funcname - 1]));
  const auto& candidates = FunctionTable::get().named(function_name);
  const bool was_lateral = scope.aggregates_allowed;
  scope.aggregates_allowed = false;
  scope.clause = "functions in FROM";
  std::vector<Expr> arguments;
  ScopeTable table{.alias = alias_of(range.alias, function_name), .function = true};
  std::string sql;
  if (candidates.empty() || candidates[0]->kind != Function::Kind::kRows) {
    const Expr value = function_call(node, scope);
    table.columns.push_back({.name = table.alias, .sql = name + ".c1", .type = value.type});
    sql = "(SELECT " + value.sql + " AS c1) AS " + name;
  } else {
    for (const pg::Node* argument : CALF_LIST(&node, args))
      arguments.push_back(expr(*argument, scope));
    const Function* function = resolve(candidates, arguments);
    if (function == nullptr)
      raise_at(node.location, "42883",
               "function " + function_name + " does not exist with these arguments",
               "No function matches the given name and argument types. You might need to add "
               "explicit type casts.");
    for (std::size_t i = 0; i < function->columns.size(); ++i) {
      Type type{function->columns[i].second};
      if (type.oid == oid::kAnyElement) type = {element_of(arguments[0].type.oid)};
      const std::string column =
          function->columns.size() == 1 && function->columns[0].first == function->name
              ? table.alias
              : function->columns[i].first;
      const std::string raw = name + ".c" + std::to_string(i + 1);
      table.columns.push_back({.name = column, .sql = raw, .type = type});
    }
    sql = rows_call(*function, arguments, name);
  }
  scope.aggregates_allowed = was_lateral;
  if (range.ordinality != 0)
    table.columns.push_back(
        {.name = "ordinality", .sql = name + ".ord", .type = {oid::kInt8}, .not_null = true});
  rename_columns(table, range.alias);
  push(scope, std::move(table));
  return sql;
}

std::string Analyzer::join(const PgQuery__JoinExpr& node, Scope& scope) {
  const std::size_t first = scope.tables.size();
  const std::string left = from_item(*node.larg, scope);
  const std::size_t middle = scope.tables.size();
  const std::string right = CALF_IS(node.rarg, JOIN_EXPR) ? "(" + from_item(*node.rarg, scope) + ")"
                                                          : from_item(*node.rarg, scope);
  if (node.alias != nullptr) unsupported("an alias of a join");
  const bool full = node.jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL;
  const bool outer_left = full || node.jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT;
  const bool outer_right = full || node.jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT;
  const auto make_nullable = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      for (ScopeColumn& column : scope.tables[i].columns) column.not_null = false;
    }
  };
  if (outer_left) make_nullable(first, middle);
  if (outer_right) make_nullable(middle, scope.tables.size());
  scope.outer_join = scope.outer_join || outer_left || outer_right;
  const char* word = full                                               ? " FULL JOIN "
                     : node.jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT  ? " LEFT JOIN "
                     : node.jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT ? " RIGHT JOIN "
                                                                        : " JOIN ";
  std::vector<std::string> names;
  for (const pg::Node* name : CALF_LIST(&node, using_clause)) names.emplace_back(string_of(name));
  const auto find = [&](const std::string& name, std::size_t from, std::size_t to) {
    ScopeColumn* found = nullptr;
    for (std::size_t i = from; i < to; ++i) {
      for (ScopeColumn& column : scope.tables[i].columns) {
        if (column.name != name || column.hidden) continue;
        if (found != nullptr)
          raise("42702", "common column name \"" + name + "\" appears more than once in " +
                             (from == first ? "left" : "right") + " table");
        found = &column;
      }
    }
    return found;
  };
  if (node.is_natural != 0) {
    for (std::size_t i = first; i < middle; ++i) {
      for (const ScopeColumn& column : scope.tables[i].columns) {
        if (!column.hidden && find(column.name, middle, scope.tables.size()) != nullptr)
          names.push_back(column.name);
      }
    }
  }
  std::string on;
  if (!names.empty()) {
    ScopeTable merged;
    for (const std::string& name : names) {
      ScopeColumn* a = find(name, first, middle);
      ScopeColumn* b = find(name, middle, scope.tables.size());
      if (a == nullptr || b == nullptr)
        raise("42703", "column \"" + name + "\" specified in USING clause does not exist in " +
                           (a == nullptr ? "left" : "right") + " table");
      const Expr x{.sql = a->sql, .type = a->type};
      const Expr y{.sql = b->sql, .type = b->type};
      on += (on.empty() ? "" : " AND ") + compare("=", x, y, -1).sql;
      ScopeColumn column = node.jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT ? *b : *a;
      if (full) {
        const Type type = common_type({&x, &y}, "JOIN/USING");
        column.sql = "coalesce(" + coerce(x, type, CastContext::kImplicit).sql + ", " +
                     coerce(y, type, CastContext::kImplicit).sql + ")";
        column.type = type;
        column.relation = nullptr;
      }
      a->hidden = true;
      b->hidden = true;
      merged.columns.push_back(std::move(column));
    }
    scope.tables.insert(scope.tables.begin() + static_cast<std::ptrdiff_t>(first),
                        std::move(merged));
  } else if (node.quals != nullptr) {
    scope.clause = "JOIN conditions";
    // Only what is joined here may be named in ON; SQLite checks that again.
    on = condition(*node.quals, scope, "JOIN/ON").sql;
  }
  if (on.empty())
    return left + (node.jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER ? " CROSS JOIN " : word) +
           right + (node.jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER ? "" : " ON 1");
  return left + word + right + " ON " + on;
}

}  // namespace calf::sqlite
