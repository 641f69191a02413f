// Queries inside of queries: WITH, and subqueries as values and conditions.
#include "sqlite/analyzer.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {

std::string Analyzer::with_clause(const pg::WithClause* with, Scope& scope) {
  if (with == nullptr) return {};
  std::string out;
  for (const pg::Node* cte : CALF_LIST(with, ctes)) {
    out += (out.empty() ? "" : ", ") +
           common_table(*cte->common_table_expr, with->recursive != 0, scope);
  }
  return (with->recursive != 0 ? "WITH RECURSIVE " : "WITH ") + out + " ";
}

void Analyzer::name_columns(const PgQuery__CommonTableExpr& cte, Cte& entry) {
  const auto names = CALF_LIST(&cte, aliascolnames);
  if (names.size() > entry.columns.size())
    raise_at(cte.location, "42P10",
             "WITH query \"" + entry.name + "\" has " + std::to_string(entry.columns.size()) +
                 " columns available but " + std::to_string(names.size()) + " columns specified");
  for (std::size_t i = 0; i < names.size(); ++i) entry.columns[i].name = string_of(names[i]);
  for (OutputColumn& column : entry.columns) {
    if (column.type.oid == oid::kUnknown) column.type = {oid::kText};
  }
}

std::string Analyzer::common_table(const PgQuery__CommonTableExpr& cte, bool recursive,
                                   Scope& scope) {
  if (!CALF_IS(cte.ctequery, SELECT_STMT))
    raise_at(cte.location, "0A000",
             "WITH clause containing a data-modifying statement must be at the top level");
  if (cte.search_clause != nullptr || cte.cycle_clause != nullptr)
    unsupported("SEARCH and CYCLE", cte.location);
  const pg::SelectStmt& stmt = *cte.ctequery->select_stmt;
  Cte entry{.name = cte.ctename, .sql_name = fresh("w")};
  Scope inner{.parent = &scope};
  Query query;
  if (recursive && stmt.op == PG_QUERY__SET_OPERATION__SETOP_UNION) {
    // The first part says which columns there are; the second one may name the table.
    if (stmt.n_sort_clause > 0 || stmt.limit_count != nullptr || stmt.limit_offset != nullptr)
      unsupported("ORDER BY and LIMIT of a recursive query", cte.location);
    const Query first = select(*stmt.larg, &inner);
    entry.columns = first.columns;
    name_columns(cte, entry);
    for (OutputColumn& column : entry.columns) column.not_null = false;
    std::vector<Type> types;
    for (const OutputColumn& column : entry.columns) types.push_back(column.type);
    inner.ctes.push_back(entry);
    const Query base = select(*stmt.larg, &inner, &types);
    const Query step = select(*stmt.rarg, &inner, &types);
    if (step.columns.size() != base.columns.size())
      raise_at(cte.location, "42601", "each UNION query must have the same number of columns");
    query.sql = base.sql + (stmt.all != 0 ? " UNION ALL " : " UNION ") + step.sql;
  } else {
    query = select(stmt, &inner);
    entry.columns = query.columns;
    name_columns(cte, entry);
  }
  std::string columns;
  for (std::size_t i = 0; i < entry.columns.size(); ++i)
    columns += (i > 0 ? ", c" : "c") + std::to_string(i + 1);
  const char* materialized = cte.ctematerialized == PG_QUERY__CTEMATERIALIZE__CTEMaterializeAlways
                                 ? " AS MATERIALIZED ("
                                 : " AS (";
  const std::string sql = entry.sql_name + (columns.empty() ? "" : "(" + columns + ")") +
                          materialized + query.sql + ")";
  scope.ctes.push_back(std::move(entry));
  return sql;
}

Expr Analyzer::sub_link(const PgQuery__SubLink& link, Scope& scope) {
  ++sub_links_;
  const Query query = select(*link.subselect->select_stmt, &scope);
  const auto one_column = [&] {
    if (query.columns.size() != 1)
      raise_at(link.location, "42601", "subquery must return only one column");
    return query.columns[0].type;
  };
  switch (link.sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
      return {.sql = "EXISTS (" + query.sql + ")",
              .type = {oid::kBool},
              .name = "exists",
              .not_null = true};
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK: {
      const Type type = one_column();
      const std::string name = query.columns[0].name;
      const Type known{type.oid == oid::kUnknown ? oid::kText : type.oid, type.typmod};
      if (query.single_row) return {.sql = "(" + query.sql + ")", .type = known, .name = name};
      return {.sql = "(SELECT \"calf_single(int8,any)\"(count(*), c1) FROM (SELECT c1 FROM (" +
                     query.sql + ") LIMIT 2))",
              .type = known,
              .name = name};
    }
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK: {
      const Type type = one_column();
      const Oid element = type.oid == oid::kUnknown ? oid::kText : type.oid;
      return {.sql = "(SELECT coalesce(\"array_agg(anynonarray)\"('', c1, " +
                     std::to_string(element) + "), '[]') FROM (" + query.sql + "))",
              .type = {array_of(element)},
              .name = "array"};
    }
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK:
      break;
    default:
      unsupported("this kind of subquery", link.location);
  }
  const bool all = link.sub_link_type == PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK;
  const auto names = CALF_LIST(&link, oper_name);
  const std::string op = names.empty() ? "=" : std::string(string_of(names.back()));
  if (CALF_IS(link.testexpr, ROW_EXPR)) {
    const auto items = CALF_LIST(link.testexpr->row_expr, args);
    if (op != "=" || all) unsupported("this comparison of a row with a subquery", link.location);
    if (items.size() != query.columns.size())
      raise_at(link.location, "42601", "subquery has too few columns");
    std::string left;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Expr value =
          coerce(expr(*items[i], scope), {query.columns[i].type.oid}, CastContext::kImplicit);
      left += (left.empty() ? "" : ", ") + value.sql;
    }
    return {.sql = "((" + left + ") IN (" + query.sql + "))", .type = {oid::kBool}};
  }
  const Type column = one_column();
  Expr value = expr(*link.testexpr, scope);
  const Expr item{.sql = "c1", .type = {column.oid == oid::kUnknown ? oid::kText : column.oid}};
  if (op == "=" && !all) {
    if (value.unknown()) value = coerce(std::move(value), item.type, CastContext::kImplicit);
    const bool same = value.type.oid == item.type.oid ||
                      (is_integer(value.type.oid) && is_integer(item.type.oid)) ||
                      (is_string(value.type.oid) && is_string(item.type.oid) &&
                       value.type.oid != oid::kBpchar && item.type.oid != oid::kBpchar);
    if (same)
      return {.sql = "(" + collated(value) + " IN (" + query.sql + "))", .type = {oid::kBool}};
  }
  const Expr test = binary(op, value, item, link.location);
  const std::string summary = std::string(all ? "min" : "max") + "(CASE WHEN " + test.sql +
                              " THEN 2 WHEN (" + test.sql + ") IS NULL THEN 1 ELSE 0 END)";
  return {.sql = "(SELECT CASE coalesce(" + summary + ", " + (all ? "2" : "0") +
                 ") WHEN 2 THEN 1 WHEN 0 THEN 0 END FROM (" + query.sql + "))",
          .type = {oid::kBool}};
}

}  // namespace calf::sqlite
