// UPDATE, DELETE and INSERT whose RETURNING wants more than SQLite's has: the other tables of the
// statement, or queries, which see the tables as they were. First it is kept which rows are to
// change and how, then they change, then it is returned.
#include "sqlite/analyzer.h"
#include "sqlite/kept_rows.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

std::string column_name(std::size_t number) {
  return "c" + std::to_string(number);
}

std::string rowid_of(const Relation& table) {
  const std::string name = rowid_name(table);
  if (name.empty())
    unsupported("RETURNING other tables or queries from a table without row numbers");
  return name;
}

std::string joined(const std::vector<std::string>& values) {
  std::string out;
  for (std::size_t i = 0; i < values.size(); ++i)
    out += (i > 0 ? ", " : "") + values[i] + " AS " + column_name(i + 1);
  if (values.size() > kMaxKeptColumns) unsupported("RETURNING together with so many columns");
  return out;
}

std::string outputs(const std::vector<Expr>& values) {
  std::string out;
  for (const Expr& value : values) out += (out.empty() ? "" : ", ") + value.sql;
  return out;
}

}  // namespace

void Analyzer::check_steps() const {
  if (!options_.steps) unsupported("a statement of several steps here");
}

// Whether RETURNING has queries of its own.
bool Analyzer::asks_queries(std::span<PgQuery__Node* const> targets, Scope scope) {
  if (targets.empty()) return false;
  const int before = sub_links_;
  (void)target_list(targets, scope);
  if (sub_links_ > before && !scope.ctes.empty())
    unsupported("a query of RETURNING in a statement that has WITH");
  return sub_links_ > before;
}

void Analyzer::update_in_steps(const pg::UpdateStmt& stmt, const Relation& table,
                               const std::string& with, const std::vector<Assignment>& set,
                               const std::string& body, Scope& scope, Statement& out) {
  check_steps();
  const std::string rowid = rowid_of(table);
  const std::string kept = kept_rows(parts_.next_number);
  std::vector<std::string> values{"target." + rowid};
  std::vector<Assignment> from_kept;
  std::string new_rowid = "k.c1";
  for (const Assignment& one : set) {
    values.push_back(one.sql);
    from_kept.push_back({one.number, "k." + column_name(values.size())});
    const TableConstraint* key = table.primary_key();
    if (table.rowid_key && key != nullptr && table.column_number(key->columns[0]) == one.number)
      new_rowid = from_kept.back().sql;
  }
  Scope result{.parent = scope.parent};
  result.tables.push_back(target_table(table, *stmt.relation, "target"));
  for (std::size_t i = 1; i < scope.tables.size(); ++i) {
    result.tables.push_back(scope.tables[i]);
    for (ScopeColumn& column : result.tables.back().columns) {
      values.push_back(column.sql);
      column.sql = "k." + column_name(values.size());
    }
  }
  out.before.push_back({.sql = with + "SELECT " + joined(values) + " FROM " +
                               quote_name(table.sqlite_name) + " AS target" + body +
                               " GROUP BY target." + rowid,
                        .keep = parts_.next_number++});
  out.before.push_back({.sql = "UPDATE " + quote_name(table.sqlite_name) + " AS target SET " +
                               set_list(from_kept, table) + " FROM " + kept +
                               " AS k WHERE target." + rowid + " = k.c1",
                        .counts = true});
  parts_.changed[table.sqlite_name].whole = true;
  out.sql = "SELECT " + outputs(returned(CALF_LIST(&stmt, returning_list), result, out)) +
            " FROM " + kept + " AS k CROSS JOIN " + quote_name(table.sqlite_name) +
            " AS target ON target." + rowid + " = " + new_rowid;
  out.counts = false;
}

void Analyzer::delete_in_steps(const pg::DeleteStmt& stmt, const Relation& table,
                               const std::string& with, const std::string& body, Scope& scope,
                               Statement& out) {
  check_steps();
  const std::string rowid = rowid_of(table);
  const int number = parts_.next_number++;
  std::vector<std::string> values;
  std::string list;
  for (const Expr& value : returned(CALF_LIST(&stmt, returning_list), scope, out)) {
    values.push_back(value.sql);
    list += (list.empty() ? "" : ", ") + column_name(values.size());
  }
  values.push_back("target." + rowid);
  out.before.push_back({.sql = with + "SELECT " + joined(values) + " FROM " +
                               quote_name(table.sqlite_name) + " AS target" + body +
                               " GROUP BY target." + rowid,
                        .keep = number});
  out.before.push_back({.sql = "DELETE FROM " + quote_name(table.sqlite_name) + " WHERE " + rowid +
                               " IN (SELECT " + column_name(values.size()) + " FROM " +
                               kept_rows(number) + ")",
                        .counts = true});
  out.sql = "SELECT " + list + " FROM " + kept_rows(number);
  out.counts = false;
}

void Analyzer::insert_in_steps(const pg::InsertStmt& stmt, const Relation& table, Scope& scope,
                               Statement& out) {
  check_steps();
  const std::string rowid = rowid_of(table);
  const int number = parts_.next_number++;
  out.before.push_back(
      {.sql = out.sql + " RETURNING " + rowid, .keep = number, .counts = true, .once = out.once});
  Parts::Change& change = parts_.changed[table.sqlite_name];
  if (stmt.on_conflict_clause == nullptr && !change.whole) {
    change.inserted.emplace_back(number, 0);
  } else {
    change.whole = true;
  }
  Scope result{.parent = scope.parent};
  result.tables.push_back(target_table(table, *stmt.relation, "target"));
  out.sql = "SELECT " + outputs(returned(CALF_LIST(&stmt, returning_list), result, out)) +
            " FROM " + kept_rows(number) + " AS k CROSS JOIN " + quote_name(table.sqlite_name) +
            " AS target ON target." + rowid + " = k.c1";
  out.counts = false;
}

}  // namespace calf::sqlite
