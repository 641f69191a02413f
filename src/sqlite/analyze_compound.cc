// Queries made of several: VALUES, UNION, INTERSECT, EXCEPT.
#include "sqlite/analyzer.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {

Query Analyzer::values(const pg::SelectStmt& stmt, Scope& scope, const std::vector<Type>* wanted) {
  scope.clause = "VALUES";
  std::vector<std::vector<Expr>> rows;
  for (const pg::Node* list : CALF_LIST(&stmt, values_lists)) {
    std::vector<Expr> row;
    for (const pg::Node* item : CALF_LIST(list->list, items)) row.push_back(expr(*item, scope));
    if (!rows.empty() && row.size() != rows[0].size())
      raise("42601", "VALUES lists must all be the same length");
    rows.push_back(std::move(row));
  }
  Query query;
  for (std::size_t i = 0; i < rows[0].size(); ++i) {
    std::vector<const Expr*> all;
    for (const auto& row : rows) all.push_back(&row[i]);
    Type type = wanted != nullptr && i < wanted->size() ? (*wanted)[i] : common_type(all, "VALUES");
    for (auto& row : rows) row[i] = coerce(std::move(row[i]), type, CastContext::kImplicit);
    query.columns.push_back({.name = "column" + std::to_string(i + 1), .type = type});
  }
  std::string sql;
  for (const auto& row : rows) {
    std::string list;
    for (const Expr& value : row) list += (list.empty() ? "(" : ", ") + value.sql;
    sql += (sql.empty() ? "VALUES " : ", ") + list + ")";
  }
  std::string names;
  for (std::size_t i = 0; i < query.columns.size(); ++i)
    names +=
        (i > 0 ? ", column" : "column") + std::to_string(i + 1) + " AS c" + std::to_string(i + 1);
  std::vector<Expr> outputs;
  for (std::size_t i = 0; i < query.columns.size(); ++i)
    outputs.push_back({.sql = "c" + std::to_string(i + 1),
                       .type = query.columns[i].type,
                       .name = query.columns[i].name});
  query.sql = "SELECT " + names + " FROM (" + sql + ")" +
              order_clause(CALF_LIST(&stmt, sort_clause), scope, outputs, true, false) +
              limit_clause(stmt, scope);
  query.single_row = rows.size() == 1;
  return query;
}

Query Analyzer::set_operation(const pg::SelectStmt& stmt, Scope& scope,
                              const std::vector<Type>* wanted) {
  const char* word = stmt.op == PG_QUERY__SET_OPERATION__SETOP_UNION       ? "UNION"
                     : stmt.op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT ? "INTERSECT"
                                                                           : "EXCEPT";
  Query left = select(*stmt.larg, &scope, wanted);
  Query right = select(*stmt.rarg, &scope, wanted);
  if (left.columns.size() != right.columns.size())
    raise("42601", std::string("each ") + word + " query must have the same number of columns");
  if (wanted == nullptr) {
    std::vector<Type> types;
    bool differ = false;
    for (std::size_t i = 0; i < left.columns.size(); ++i) {
      const Expr a{.type = left.columns[i].type};
      const Expr b{.type = right.columns[i].type};
      types.push_back(common_type({&a, &b}, word));
      differ = differ || !(types.back() == a.type) || !(types.back() == b.type);
    }
    if (differ) {
      left = select(*stmt.larg, &scope, &types);
      right = select(*stmt.rarg, &scope, &types);
    }
  }
  Query query{.columns = left.columns};
  std::string collations;
  std::vector<Expr> outputs;
  for (std::size_t i = 0; i < query.columns.size(); ++i) {
    OutputColumn& column = query.columns[i];
    column.not_null = column.not_null && right.columns[i].not_null;
    column.table = 0;
    column.number = 0;
    outputs.push_back({.sql = "c" + std::to_string(i + 1),
                       .type = column.type,
                       .name = column.name,
                       .not_null = column.not_null});
  }
  // SQLite's compounds are flat and from left to right; the first one's collations count.
  const bool counted = stmt.all != 0 && stmt.op != PG_QUERY__SET_OPERATION__SETOP_UNION;
  if (!counted) {
    query.sql = "SELECT " + output_list(outputs, true) + " FROM (" + left.sql + ") " + word +
                (stmt.all != 0 ? " ALL" : "") + " SELECT * FROM (" + right.sql + ")";
  } else {
    // Equal rows are told apart by how many of them stand before.
    std::string same;
    for (const Expr& output : outputs) same += (same.empty() ? "" : ", ") + collated(output);
    const std::string place = ", row_number() OVER (PARTITION BY " + same + ") AS n FROM (";
    query.sql = "SELECT " + output_list(outputs, false) + " FROM (SELECT " +
                output_list(outputs, true) + place + left.sql + ") " + word + " SELECT *" + place +
                right.sql + "))";
  }
  const std::string order =
      order_clause(CALF_LIST(&stmt, sort_clause), scope, outputs, true, false);
  const std::string limit = limit_clause(stmt, scope);
  if (!order.empty() || !limit.empty())
    query.sql = "SELECT * FROM (" + query.sql + ")" + order + limit;
  return query;
}

}  // namespace calf::sqlite
