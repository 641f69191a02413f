// MERGE: first it is kept what becomes of which row, with all new values, as the tables are before;
// then rows are deleted, changed and inserted.
#include <algorithm>

#include "sqlite/analyzer.h"
#include "sqlite/kept_rows.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {

// One WHEN clause. Its number, from 1, is what the kept rows have in c2.
struct Analyzer::MergeClause {
  enum class Kind { kMatched, kBySource, kNotMatched };
  const PgQuery__MergeWhenClause* node = nullptr;
  Kind kind = Kind::kMatched;
  int number = 0;
  std::vector<Assignment> values{};  // sql: in the query that is kept; then the kept column
  std::string condition = "1";
  [[nodiscard]] bool inserts() const {
    return node->command_type == PG_QUERY__CMD_TYPE__CMD_INSERT;
  }
  [[nodiscard]] bool updates() const {
    return node->command_type == PG_QUERY__CMD_TYPE__CMD_UPDATE;
  }
  [[nodiscard]] bool deletes() const {
    return node->command_type == PG_QUERY__CMD_TYPE__CMD_DELETE;
  }
};

// What the pieces of a MERGE are made from.
struct Analyzer::Merge {
  const PgQuery__MergeStmt& stmt;
  const Relation& table;
  std::string with;
  std::string rowid;
  int kept = 0;
  Scope source{};      // the source only
  Scope both{};        // and the table
  Scope target{};      // the table only
  std::string from{};  // the source
  std::string on{};
  std::vector<MergeClause> clauses{};
};

namespace {

std::string kept_column(std::size_t index) {
  return "c" + std::to_string(index + 3);
}

}  // namespace

std::vector<Analyzer::MergeClause> Analyzer::merge_clauses(const PgQuery__MergeStmt& stmt) const {
  using Kind = MergeClause::Kind;
  std::vector<MergeClause> out;
  for (const pg::Node* item : CALF_LIST(&stmt, merge_when_clauses)) {
    const PgQuery__MergeWhenClause& node = *item->merge_when_clause;
    const auto number = static_cast<int>(out.size()) + 1;
    const bool by_source = options_.merge != nullptr && options_.merge->by_source.contains(number);
    const Kind kind = by_source           ? Kind::kBySource
                      : node.matched != 0 ? Kind::kMatched
                                          : Kind::kNotMatched;
    for (const MergeClause& other : out) {
      if (other.kind == kind && other.node->condition == nullptr)
        raise("42601", "unreachable WHEN clause specified after unconditional WHEN clause");
    }
    out.push_back({.node = &node, .kind = kind, .number = number});
  }
  return out;
}

// The values of an INSERT's row; columns with defaults get theirs when the row is made.
void Analyzer::merge_insert(Merge& merge, MergeClause& clause) {
  std::vector<int> numbers;
  for (const pg::Node* node : CALF_LIST(clause.node, target_list)) {
    const int number = target_column(*node->res_target, merge.table);
    if (std::find(numbers.begin(), numbers.end(), number) != numbers.end())
      raise_at(node->res_target->location, "42701",
               std::string("column \"") + node->res_target->name + "\" specified more than once");
    numbers.push_back(number);
  }
  const auto values = CALF_LIST(clause.node, values);
  if (numbers.empty()) {
    for (std::size_t i = 0; i < merge.table.columns.size() && numbers.size() < values.size(); ++i) {
      if (merge.table.columns[i].generated_text.empty()) numbers.push_back(static_cast<int>(i) + 1);
    }
  }
  if (values.size() > numbers.size())
    raise("42601", "INSERT has more expressions than target columns");
  if (values.size() < numbers.size())
    raise("42601", "INSERT has more target columns than expressions");
  merge.source.clause = "VALUES";
  for (std::size_t i = 0; i < values.size(); ++i) {
    check_given(merge.table, numbers[i], values[i], clause.node->override);
    if (CALF_IS(values[i], SET_TO_DEFAULT)) continue;
    clause.values.push_back(
        {.number = numbers[i],
         .sql = guarded(merge.table, numbers[i],
                        assigned(*values[i], merge.table, numbers[i], merge.source))});
  }
}

void Analyzer::merge_clause(Merge& merge, MergeClause& clause) {
  Scope& scope = clause.kind == MergeClause::Kind::kMatched    ? merge.both
                 : clause.kind == MergeClause::Kind::kBySource ? merge.target
                                                               : merge.source;
  scope.clause = "MERGE WHEN";
  if (clause.node->condition != nullptr)
    clause.condition = condition(*clause.node->condition, scope, "WHEN").sql;
  if (clause.inserts()) merge_insert(merge, clause);
  if (clause.updates())
    clause.values = assignments(CALF_LIST(clause.node, target_list), merge.table, scope);
}

// Which clause a row gets: its number, or 0.
std::string Analyzer::merge_action(const Merge& merge, bool by_source) {
  std::string out = "CASE";
  for (const MergeClause& clause : merge.clauses) {
    if ((clause.kind == MergeClause::Kind::kBySource) != by_source) continue;
    const char* found = clause.kind == MergeClause::Kind::kMatched ? " IS NOT NULL" : " IS NULL";
    const bool nothing = clause.node->command_type == PG_QUERY__CMD_TYPE__CMD_NOTHING;
    out += " WHEN " + (by_source ? std::string("1") : "target." + merge.rowid + found) + " AND (" +
           clause.condition + ") THEN " + (nothing ? "0" : std::to_string(clause.number));
  }
  return out == "CASE" ? "0" : out + " ELSE 0 END";
}

// The rows of one of the two queries whose rows are kept: source rows with what they match, or
// rows of the table that no row of the source matches.
Step Analyzer::merge_rows(Merge& merge, bool by_source) {
  const std::string action = merge_action(merge, by_source);
  std::string list = "target." + merge.rowid + " AS c1, " + action + " AS c2";
  std::size_t index = 0;
  for (const MergeClause& clause : merge.clauses) {
    for (const Assignment& value : clause.values) {
      // Of no other rows: it might be an error there.
      list += ", ";
      list += (clause.kind == MergeClause::Kind::kBySource) == by_source
                  ? "CASE WHEN " + action + " = " + std::to_string(clause.number) + " THEN " +
                        value.sql + " END"
                  : "NULL";
      list += " AS " + kept_column(index++);
    }
  }
  for (const ScopeTable& table : merge.both.tables) {
    const bool known = !by_source || &table == &merge.both.tables.back();
    for (const ScopeColumn& column : table.columns)
      list += ", " + (known ? column.sql : std::string("NULL")) + " AS " + kept_column(index++);
  }
  if (index + 2 > kMaxKeptColumns) unsupported("MERGE with so many columns");
  const bool inserts = std::any_of(
      merge.clauses.begin(), merge.clauses.end(),
      [](const MergeClause& clause) { return clause.kind == MergeClause::Kind::kNotMatched; });
  const std::string table = quote_name(merge.table.sqlite_name) + " AS target";
  const std::string from =
      by_source
          ? table + " WHERE NOT EXISTS (SELECT 1 FROM " + merge.from + " WHERE " + merge.on + ")"
          : merge.from + (inserts ? " LEFT JOIN " : " JOIN ") + table + " ON " + merge.on;
  return {.sql = merge.with + "SELECT * FROM (SELECT " + list + " FROM " + from + ") WHERE c2 > 0",
          .keep = merge.kept};
}

// DELETE, UPDATE or INSERT of the rows that a clause got. `inserted`: where the numbers of new rows
// are kept.
Step Analyzer::merge_step(const Merge& merge, const MergeClause& clause, int inserted) {
  const std::string name = quote_name(merge.table.sqlite_name);
  const std::string kept = kept_rows(merge.kept);
  const std::string mine = "c2 = " + std::to_string(clause.number);
  if (clause.deletes())
    return {.sql = "DELETE FROM " + name + " WHERE " + merge.rowid + " IN (SELECT c1 FROM " + kept +
                   " WHERE " + mine + ")",
            .counts = true};
  if (clause.updates())
    return {.sql = "UPDATE " + name + " AS target SET " + set_list(clause.values, merge.table) +
                   " FROM " + kept + " AS k WHERE k." + mine + " AND target." + merge.rowid +
                   " = k.c1",
            .counts = true};
  std::vector<int> numbers;
  std::string names;
  std::string values;
  const auto add = [&](int number, const std::string& sql) {
    const Column& column = merge.table.columns[static_cast<std::size_t>(number - 1)];
    names += (names.empty() ? "" : ", ") + quote_name(column.name);
    values += (values.empty() ? "" : ", ") + sql;
    numbers.push_back(number);
  };
  for (const Assignment& value : clause.values) add(value.number, value.sql);
  for (const int number : columns_with_defaults(merge.table, numbers))
    add(number, guarded(merge.table, number, default_of(merge.table, number)));
  if (names.empty()) add(1, "NULL");
  return {.sql = "INSERT INTO " + name + " (" + names + ") SELECT " + values + " FROM " + kept +
                 " AS k WHERE k." + mine + " RETURNING " + merge.rowid,
          .keep = inserted,
          .counts = true};
}

// The columns of RETURNING: those of the source as they were kept, those of the table as they are
// now, or were, if the row is gone.
void Analyzer::merge_returning(const Merge& merge, const std::vector<int>& inserted,
                               std::size_t first_column, Statement& out) {
  std::string row = "CASE k.c2";
  std::string gone;
  for (const MergeClause& clause : merge.clauses) {
    const std::string when = " WHEN " + std::to_string(clause.number) + " THEN ";
    if (clause.inserts())
      row += when + "(SELECT c1 FROM " +
             kept_rows(inserted[static_cast<std::size_t>(clause.number - 1)]) +
             " AS i WHERE i.rowid = k.place)";
    const TableConstraint* key = merge.table.primary_key();
    for (const Assignment& value : clause.values) {
      if (clause.updates() && merge.table.rowid_key && key != nullptr &&
          merge.table.column_number(key->columns[0]) == value.number)
        row += when + value.sql;
    }
    if (clause.deletes()) gone += (gone.empty() ? "" : ", ") + std::to_string(clause.number);
  }
  row = row == "CASE k.c2" ? "k.c1" : row + " ELSE k.c1 END";
  Scope scope{.parent = merge.source.parent, .clause = "RETURNING"};
  scope.merge_actions = "CASE k.c2";
  for (const MergeClause& clause : merge.clauses)
    scope.merge_actions += " WHEN " + std::to_string(clause.number) + " THEN " +
                           (clause.inserts()   ? "'INSERT'"
                            : clause.updates() ? "'UPDATE'"
                                               : "'DELETE'");
  scope.merge_actions += " END";
  scope.tables = merge.both.tables;
  std::size_t index = first_column;
  for (ScopeTable& table : scope.tables) {
    const bool target = &table == &scope.tables.back();
    for (ScopeColumn& column : table.columns) {
      const std::string kept = "k." + kept_column(index++);
      column.not_null = false;
      if (!target)
        column.sql = kept;
      else if (!gone.empty())
        column.sql =
            "CASE WHEN k.c2 IN (" + gone + ") THEN " + kept + " ELSE " + column.sql + " END";
    }
  }
  const auto targets = CALF_LIST(options_.merge->returning->statement(0).select_stmt, target_list);
  if (asks_queries(targets, scope)) unsupported("a query in MERGE … RETURNING");
  std::string list;
  for (const Expr& value : returned(targets, scope, out))
    list += (list.empty() ? "" : ", ") + value.sql;
  out.sql =
      "SELECT " + list +
      " FROM (SELECT *, row_number() OVER (PARTITION BY c2 ORDER BY rowid) AS place, rowid AS "
      "line FROM " +
      kept_rows(merge.kept) + ") AS k LEFT JOIN " + quote_name(merge.table.sqlite_name) +
      " AS target ON target." + merge.rowid + " = " + row + " ORDER BY k.line";
  out.counts = false;
}

Statement Analyzer::merge(const PgQuery__MergeStmt& stmt) {
  check_steps();
  Statement out{.tag = "MERGE", .writes = true};
  Scope with_scope{.parent = outer_};
  std::string with = with_clause(stmt.with_clause, with_scope);
  const Relation& table = writable(*stmt.relation);
  Merge merge{.stmt = stmt,
              .table = table,
              .with = std::move(with),
              .rowid = rowid_name(table),
              .kept = parts_.next_number++};
  if (merge.rowid.empty()) unsupported("MERGE into a table without row numbers");
  merge.clauses = merge_clauses(stmt);
  merge.source.parent = merge.both.parent = merge.target.parent = &with_scope;
  merge.from = from_item(*stmt.source_relation, merge.source);
  const ScopeTable target = target_table(table, *stmt.relation, "target");
  for (const ScopeTable& other : merge.source.tables) {
    if (other.alias == target.alias)
      raise("42712", "name \"" + target.alias + "\" specified more than once", {},
            "The name is used both as MERGE target table and data source.");
  }
  merge.both.tables = merge.source.tables;
  merge.both.tables.push_back(target);
  merge.target.tables.push_back(target);
  merge.on = condition(*stmt.join_condition, merge.both, "JOIN/ON").sql;
  for (MergeClause& clause : merge.clauses) merge_clause(merge, clause);
  const auto any = [&](MergeClause::Kind kind) {
    return std::any_of(merge.clauses.begin(), merge.clauses.end(),
                       [&](const MergeClause& clause) { return clause.kind == kind; });
  };
  out.before.push_back(merge_rows(merge, false));
  if (any(MergeClause::Kind::kBySource)) out.before.push_back(merge_rows(merge, true));
  std::size_t index = 0;
  std::string changing;
  for (MergeClause& clause : merge.clauses) {
    for (Assignment& value : clause.values) value.sql = "k." + kept_column(index++);
    if (clause.updates() || clause.deletes())
      changing += (changing.empty() ? "" : ", ") + std::to_string(clause.number);
  }
  out.before.push_back({.sql = "SELECT \"calf_merge_once(int8)\"(count(*)) FROM " +
                               kept_rows(merge.kept) + " WHERE c2 IN (" + changing +
                               ") GROUP BY c1"});
  std::vector<int> inserted(merge.clauses.size(), -1);
  const auto steps = [&](auto chosen) {
    for (const MergeClause& clause : merge.clauses) {
      if (!(clause.*chosen)()) continue;
      int& kept = inserted[static_cast<std::size_t>(clause.number - 1)];
      if (clause.inserts()) kept = parts_.next_number++;
      out.before.push_back(merge_step(merge, clause, kept));
    }
  };
  steps(&MergeClause::deletes);
  steps(&MergeClause::updates);
  steps(&MergeClause::inserts);
  if (options_.merge != nullptr && options_.merge->returning != nullptr) {
    merge_returning(merge, inserted, index, out);
  } else {
    out.sql = "SELECT 1 WHERE 0";
    out.counts = false;
  }
  return out;
}

}  // namespace calf::sqlite
