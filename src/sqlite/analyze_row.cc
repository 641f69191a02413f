// Rows as values: ROW(…), a table's name as its row, records and their fields. SQLite has no such
// values: they are JSON arrays where they must be one value, and their parts as long as they need
// not be.
#include <algorithm>

#include "sqlite/analyzer.h"
#include "sqlite/lateral_table.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

// JSON would cut numbers, and holds no bytes.
bool storable(const Expr& part) {
  return part.type.oid != oid::kFloat4 && part.type.oid != oid::kFloat8 &&
         part.type.oid != oid::kBytea && part.fields == nullptr;
}

}  // namespace

Expr Analyzer::row_of(const std::vector<Expr>& parts, const std::vector<std::string>& names,
                      int location) {
  auto fields = std::make_shared<std::vector<std::pair<std::string, Type>>>();
  std::string list;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    fields->emplace_back(names[i], parts[i].type);
    list += (list.empty() ? "" : ", ") + parts[i].sql;
  }
  const bool fine = std::all_of(parts.begin(), parts.end(), storable);
  return {.sql = fine ? "json_array(" + list + ")" : "\"calf_no_row()\"()",
          .type = {oid::kRecord},
          .name = "row",
          .not_null = true,
          .fields = std::move(fields),
          .parts = std::make_shared<const std::vector<Expr>>(parts),
          .location = location};
}

Expr Analyzer::row_expr(const PgQuery__RowExpr& row, Scope& scope) {
  std::vector<Expr> parts;
  std::vector<std::string> names;
  for (const pg::Node* node : CALF_LIST(&row, args)) {
    Expr part = expr(*node, scope);
    if (part.unknown()) part = coerce(std::move(part), {oid::kText}, CastContext::kImplicit);
    parts.push_back(std::move(part));
    names.push_back("f" + std::to_string(parts.size()));
  }
  return row_of(parts, names, row.location);
}

// A table's name where a value stands. The row of an outer join that found nothing is NULL, which
// only a column that is never NULL can tell.
Expr Analyzer::whole_row(const ScopeTable& table, const Scope& scope, Scope* owner, int location) {
  std::vector<Expr> parts;
  std::vector<std::string> names;
  std::string witness;
  for (const ScopeColumn& column : table.columns) {
    parts.push_back({.sql = from_outside(column.sql, scope, owner),
                     .type = column.type,
                     .name = column.name,
                     .fields = column.fields});
    names.push_back(column.name);
    if (!owner->inside_aggregate) owner->ungrouped.emplace_back(column.name, &column);
    const bool required =
        column.relation != nullptr && column.number > 0 &&
        column.relation->columns[static_cast<std::size_t>(column.number - 1)].not_null;
    if (witness.empty() && required) witness = parts.back().sql;
  }
  Expr row = row_of(parts, names, location);
  row.name = table.alias;
  if (!owner->outer_join) return row;
  if (witness.empty())
    unsupported("the row of an outer join whose columns may all be NULL", location);
  row.sql = "CASE WHEN " + witness + " IS NULL THEN NULL ELSE " + row.sql + " END";
  row.not_null = false;
  return row;
}

// {"a":1,"b":"x"}, as row_to_json writes it.
Expr Analyzer::row_as_json(const Expr& row) {
  std::string list;
  for (std::size_t i = 0; i < row.fields->size(); ++i) {
    const Expr part =
        row.parts != nullptr ? (*row.parts)[i] : field_of(row, (*row.fields)[i].first);
    list +=
        (list.empty() ? "" : ", ") + quote_text((*row.fields)[i].first) + ", " + as_json(part).sql;
  }
  std::string sql = "\"calf_row_json(any...)\"(" + list + ")";
  if (!row.not_null) {
    // What says that there is no row stands before the row.
    const std::size_t end = row.sql.find(" THEN NULL ELSE ");
    sql = (end != std::string::npos && row.sql.starts_with("CASE WHEN ")
               ? row.sql.substr(0, end)
               : "CASE WHEN " + row.sql + " IS NULL") +
          " THEN 'null' ELSE " + sql + " END";
  }
  return {.sql = std::move(sql), .type = {oid::kJson}, .name = row.name, .not_null = true};
}

// (value).name
Expr Analyzer::field_of(const Expr& value, std::string_view name) {
  if (value.fields == nullptr)
    raise_at(value.location, "42809",
             "column notation ." + std::string(name) + " applied to type " +
                 format_type({value.type.oid}) + ", which is not a composite type");
  for (std::size_t i = 0; i < value.fields->size(); ++i) {
    const auto& [field, type] = (*value.fields)[i];
    if (field != name) continue;
    if (value.parts != nullptr) return (*value.parts)[i];
    return {.sql = "(" + value.sql + " ->> " + std::to_string(i) + ")",
            .type = type,
            .name = field,
            .location = value.location};
  }
  raise_at(value.location, "42703",
           "could not identify column \"" + std::string(name) + "\" in record data type");
}

// json_to_record and json_to_recordset with a column definition list: FROM f(…) AS t(a int, b
// text).
std::string Analyzer::record_rows(const PgQuery__RangeFunction& range, Scope& scope) {
  const pg::Node& item = *range.functions[0]->list->items[0];
  const PgQuery__FuncCall* call_node = CALF_IS(&item, FUNC_CALL) ? item.func_call : nullptr;
  const std::string called(
      call_node == nullptr ? "" : string_of(call_node->funcname[call_node->n_funcname - 1]));
  const bool set = called == "json_to_recordset" || called == "jsonb_to_recordset";
  if ((!set && called != "json_to_record" && called != "jsonb_to_record") ||
      call_node->n_args != 1 || range.ordinality != 0 || range.n_functions != 1)
    unsupported("a column definition list of this function");
  scope.clause = "functions in FROM";
  const Expr argument =
      coerce(expr(*call_node->args[0], scope),
             {called.starts_with("jsonb") ? oid::kJsonb : oid::kJson}, CastContext::kImplicit);
  const std::string name = fresh("t");
  const std::string inner = fresh("t");
  ScopeTable table{.alias = range.alias != nullptr && given(range.alias->aliasname)
                                ? range.alias->aliasname
                                : called};
  const Expr element{.sql = inner + ".c1", .type = argument.type};
  std::string list;
  for (const pg::Node* node : CALF_LIST(&range, coldeflist)) {
    const pg::ColumnDef& column = *node->column_def;
    const Type type = type_of(*column.type_name);
    if (is_array(type.oid)) unsupported("an array in a column definition list");
    const bool json = type.oid == oid::kJson || type.oid == oid::kJsonb;
    const Expr key{.sql = quote_text(column.colname), .type = {oid::kText}};
    Expr value = binary(json ? "->" : "->>", element, key, -1);
    value = coerce(std::move(value), type, CastContext::kExplicit);
    list +=
        (list.empty() ? "" : ", ") + value.sql + " AS c" + std::to_string(table.columns.size() + 1);
    table.columns.push_back({.name = column.colname,
                             .sql = name + ".c" + std::to_string(table.columns.size() + 1),
                             .type = type});
  }
  const std::string rows =
      set ? "calf_rows(" +
                quote_text(std::string(called.starts_with("jsonb") ? "jsonb" : "json") +
                           "_array_elements(" +
                           (called.starts_with("jsonb") ? "jsonb)" : "json)")) +
                ", ?1) AS " + inner
          : "(SELECT ?1 AS c1) AS " + inner;
  for (const ScopeTable& other : scope.tables) {
    if (other.alias == table.alias)
      raise("42712", "table name \"" + table.alias + "\" specified more than once");
  }
  scope.tables.push_back(std::move(table));
  return "calf_lateral(" + quote_text("SELECT " + list + " FROM " + rows) + ", " + argument.sql +
         ") AS " + name;
}

}  // namespace calf::sqlite
