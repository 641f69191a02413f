// GROUPING SETS, ROLLUP and CUBE: one query for each set, all of them together. What a set does not
// group by is NULL in its query.
#include <algorithm>
#include <utility>

#include "sqlite/analyzer.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

constexpr std::size_t kMaxSets = 4096;     // PostgreSQL's
constexpr std::size_t kMaxQueries = 400;   // SQLite puts no more than 500 together
constexpr std::size_t kMaxCubeItems = 12;  // PostgreSQL's

using Set = std::vector<std::size_t>;  // of grouped expressions
using Sets = std::vector<Set>;

Set together(const Set& a, const Set& b) {
  Set out = a;
  for (const std::size_t item : b) {
    if (std::find(out.begin(), out.end(), item) == out.end()) out.push_back(item);
  }
  return out;
}

Sets rollup(const std::vector<Set>& items) {
  Sets out;
  for (std::size_t count = items.size() + 1; count-- > 0;) {
    Set set;
    for (std::size_t i = 0; i < count; ++i) set = together(set, items[i]);
    out.push_back(std::move(set));
  }
  return out;
}

Sets cube(const std::vector<Set>& items, int location) {
  if (items.size() > kMaxCubeItems) raise_at(location, "54011", "CUBE is limited to 12 elements");
  Sets out;
  for (std::size_t bits = 0; bits < (std::size_t{1} << items.size()); ++bits) {
    Set set;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if ((bits >> i & 1) == 0) set = together(set, items[i]);
    }
    out.push_back(std::move(set));
  }
  return out;
}

}  // namespace

bool Analyzer::has_grouping_sets(const pg::SelectStmt& stmt) {
  const auto items = CALF_LIST(&stmt, group_clause);
  return std::any_of(items.begin(), items.end(),
                     [](const pg::Node* item) { return CALF_IS(item, GROUPING_SET); });
}

// The expressions of one element: (a, b) has several.
std::vector<std::size_t> Analyzer::grouped_expressions(const pg::Node& node, Scope& scope,
                                                       const std::vector<Expr>& targets,
                                                       std::vector<Expr>& grouped) {
  Set out;
  if (CALF_IS(&node, ROW_EXPR)) {
    for (const pg::Node* part : CALF_LIST(node.row_expr, args))
      out = together(out, grouped_expressions(*part, scope, targets, grouped));
    return out;
  }
  Expr value = group_item(node, scope, targets);
  const auto known = std::find_if(grouped.begin(), grouped.end(),
                                  [&](const Expr& other) { return other.sql == value.sql; });
  const auto index = static_cast<std::size_t>(known - grouped.begin());
  if (known == grouped.end()) grouped.push_back(std::move(value));
  return {index};
}

std::vector<std::vector<std::size_t>> Analyzer::grouping_sets_of(const pg::Node& node, Scope& scope,
                                                                 const std::vector<Expr>& targets,
                                                                 std::vector<Expr>& grouped) {
  if (!CALF_IS(&node, GROUPING_SET)) return {grouped_expressions(node, scope, targets, grouped)};
  const PgQuery__GroupingSet& set = *node.grouping_set;
  Sets out;
  if (set.kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_SETS) {
    for (const pg::Node* item : CALF_LIST(&set, content)) {
      for (Set& one : grouping_sets_of(*item, scope, targets, grouped))
        out.push_back(std::move(one));
    }
    return out;
  }
  if (set.kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_EMPTY) return {{}};
  std::vector<Set> items;
  for (const pg::Node* item : CALF_LIST(&set, content))
    items.push_back(grouped_expressions(*item, scope, targets, grouped));
  return set.kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_ROLLUP ? rollup(items)
                                                                      : cube(items, set.location);
}

// All sets of a GROUP BY: those of its items, each with each.
std::vector<std::vector<std::size_t>> Analyzer::all_grouping_sets(const pg::SelectStmt& stmt,
                                                                  Scope& scope,
                                                                  const std::vector<Expr>& targets,
                                                                  std::vector<Expr>& grouped) {
  Sets out{{}};
  for (const pg::Node* item : CALF_LIST(&stmt, group_clause)) {
    const Sets more = grouping_sets_of(*item, scope, targets, grouped);
    if (out.size() * more.size() > kMaxSets)
      raise("54001", "too many grouping sets present (maximum 4096)");
    Sets product;
    for (const Set& a : out) {
      for (const Set& b : more) product.push_back(together(a, b));
    }
    out = std::move(product);
  }
  if (stmt.group_distinct != 0) {
    Sets distinct;
    for (Set& set : out) {
      std::sort(set.begin(), set.end());
      if (std::find(distinct.begin(), distinct.end(), set) == distinct.end())
        distinct.push_back(set);
    }
    out = std::move(distinct);
  }
  if (out.size() > kMaxQueries) unsupported("so many grouping sets");
  return out;
}

// NULL for an expression that the current set does not group by.
Expr Analyzer::as_grouped(Expr value, const Scope& scope) const {
  for (const Scope* level = &scope; level != nullptr; level = level->parent) {
    if (level->absent.empty() || level->inside_aggregate) continue;
    if (std::find(level->absent.begin(), level->absent.end(), value.sql) == level->absent.end())
      continue;
    value.sql = "NULL";
    value.form = Expr::Form::kPlain;
    value.not_null = false;
    return value;
  }
  return value;
}

Expr Analyzer::grouping(const PgQuery__GroupingFunc& node, Scope& scope) {
  if (node.n_args > 31)
    raise_at(node.location, "54023", "GROUPING must have fewer than 32 arguments");
  std::int64_t bits = 0;
  const std::vector<std::string> absent = std::exchange(scope.absent, {});
  const std::size_t ungrouped = scope.ungrouped.size();
  for (const pg::Node* argument : CALF_LIST(&node, args)) {
    const std::string sql = expr(*argument, scope).sql;
    const auto& keys = scope.group_sql;
    if (!scope.grouped || (!keys.empty() && std::find(keys.begin(), keys.end(), sql) == keys.end()))
      raise_at(node.location, "42803",
               "arguments to GROUPING must be grouping expressions of the associated query level");
    bits = bits * 2 + (std::find(absent.begin(), absent.end(), sql) != absent.end() ? 1 : 0);
  }
  scope.ungrouped.resize(ungrouped);
  scope.absent = absent;
  scope.saw_aggregate = true;
  return {.sql = "(" + std::to_string(bits) + ")",
          .type = {oid::kInt4},
          .name = "grouping",
          .not_null = true,
          .location = node.location};
}

// The query of one set: its outputs, then what ORDER BY wants besides.
std::string Analyzer::grouping_query(const pg::SelectStmt& stmt, Scope& scope,
                                     const std::vector<std::string>& group, const std::string& body,
                                     const std::vector<Type>* wanted, GroupedOutputs& out) {
  scope.ungrouped.clear();
  scope.clause = "a select list";
  out.targets = target_list(CALF_LIST(&stmt, target_list), scope);
  for (std::size_t i = 0; i < out.targets.size(); ++i) {
    Expr& target = out.targets[i];
    if (wanted != nullptr && wanted->size() == out.targets.size())
      target = coerce(std::move(target), (*wanted)[i], CastContext::kImplicit);
    if (target.unknown()) target = coerce(std::move(target), {oid::kText}, CastContext::kImplicit);
    target.not_null = false;
  }
  std::string having;
  if (stmt.having_clause != nullptr) {
    scope.clause = "HAVING";
    having = condition(*stmt.having_clause, scope, "HAVING").sql;
  }
  std::string list = output_list(out.targets, stmt.n_distinct_clause > 0);
  out.order = grouped_order(stmt, scope, out.targets, list);
  check_grouping(scope);
  // An aggregate, so that there is one row even of nothing.
  list += group.empty() ? ", count(*)" : ", 0";
  std::string keys;
  for (const std::string& key : group) keys += (keys.empty() ? " GROUP BY " : ", ") + key;
  return "SELECT " + list + body + keys + (having.empty() ? "" : " HAVING " + having);
}

// ORDER BY over the columns of all queries together; others become columns of `list`.
std::string Analyzer::grouped_order(const pg::SelectStmt& stmt, Scope& scope,
                                    const std::vector<Expr>& targets, std::string& list) {
  std::string out;
  int more = 0;
  scope.clause = "ORDER BY";
  for (const pg::Node* item : CALF_LIST(&stmt, sort_clause)) {
    const PgQuery__SortBy& sort = *item->sort_by;
    const std::size_t index = sorted_target(sort, targets);
    Type type;
    std::string sql;
    if (index < targets.size()) {
      type = targets[index].type;
      sql = "c" + std::to_string(index + 1);
    } else {
      Expr value = expr(*sort.node, scope);
      if (value.unknown()) value = coerce(std::move(value), {oid::kText}, CastContext::kImplicit);
      type = value.type;
      if (stmt.n_distinct_clause > 0)
        raise_at(sort.location, "42P10",
                 "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
      sql = "k" + std::to_string(++more);
      list += ", " + value.sql + " AS " + sql;
    }
    out += (out.empty() ? " ORDER BY " : ", ") + order_term(sort, sql, type, false);
  }
  return out;
}

Query Analyzer::grouping_sets(const pg::SelectStmt& stmt, Scope& scope, const std::string& body,
                              const std::vector<Type>* wanted) {
  if (volatile_) unsupported("a volatile function in FROM or WHERE of GROUPING SETS");
  const bool distinct = stmt.n_distinct_clause > 0;
  if (distinct && stmt.distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET)
    unsupported("DISTINCT ON together with GROUPING SETS");
  scope.aggregates_allowed = true;
  scope.grouping_sets = true;
  scope.clause = "a select list";
  const std::vector<Expr> targets = target_list(CALF_LIST(&stmt, target_list), scope);
  scope.aggregates_allowed = false;
  scope.clause = "GROUP BY";
  std::vector<Expr> grouped;
  const Sets sets = all_grouping_sets(stmt, scope, targets, grouped);
  scope.aggregates_allowed = true;
  scope.saw_aggregate = true;
  for (const Expr& value : grouped) scope.group_sql.push_back(value.sql);
  if (scope.group_sql.empty()) scope.group_sql.emplace_back("NULL");
  GroupedOutputs outputs;
  std::string queries;
  for (const Set& set : sets) {
    scope.absent.clear();
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < grouped.size(); ++i) {
      if (std::find(set.begin(), set.end(), i) == set.end())
        scope.absent.push_back(grouped[i].sql);
      else
        keys.push_back(group_key(grouped[i]));
    }
    queries += (queries.empty() ? "" : " UNION ALL ") +
               grouping_query(stmt, scope, keys, body, wanted, outputs);
  }
  scope.absent.clear();
  Query query{.columns = outputs_of(outputs.targets)};
  std::string list;
  for (std::size_t i = 0; i < outputs.targets.size(); ++i) {
    const Expr column{.sql = "c" + std::to_string(i + 1), .type = outputs.targets[i].type};
    list += (list.empty() ? "" : ", ") + (distinct ? collated(column) : column.sql) + " AS " +
            column.sql;
  }
  query.sql = std::string("SELECT ") + (distinct ? "DISTINCT " : "") + list + " FROM (" + queries +
              ")" + outputs.order + limit_clause(stmt, scope);
  return query;
}

}  // namespace calf::sqlite
