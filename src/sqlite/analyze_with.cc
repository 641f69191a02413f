// WITH whose queries change tables. SQLite has no such thing: the queries become steps that run one
// after another and keep their rows. As in PostgreSQL all of them see the tables as they were
// before the first, and of what another one has changed only what it returns.
#include <algorithm>

#include "sqlite/analyzer.h"
#include "sqlite/kept_rows.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

const pg::WithClause* with_of(const pg::Node& node) {
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
      return node.select_stmt->with_clause;
    case PG_QUERY__NODE__NODE_INSERT_STMT:
      return node.insert_stmt->with_clause;
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
      return node.update_stmt->with_clause;
    case PG_QUERY__NODE__NODE_DELETE_STMT:
      return node.delete_stmt->with_clause;
    case PG_QUERY__NODE__NODE_MERGE_STMT:
      return node.merge_stmt->with_clause;
    default:
      return nullptr;
  }
}

// The queries of WITH up to the last one that changes a table: those that become steps.
std::size_t count_parts(const pg::Node& node) {
  const pg::WithClause* with = with_of(node);
  if (with == nullptr) return 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < with->n_ctes; ++i) {
    if (!CALF_IS(with->ctes[i]->common_table_expr->ctequery, SELECT_STMT)) count = i + 1;
  }
  return count;
}

// A statement with the rest of its WITH only. Shares all else with the one it is made of.
class Rest {
 public:
  Rest(const pg::Node& whole, std::size_t parts) : node_(whole) {
    with_ = *with_of(whole);
    with_.n_ctes -= parts;
    with_.ctes += parts;
    pg::WithClause* with = with_.n_ctes == 0 ? nullptr : &with_;
    if (CALF_IS(&whole, SELECT_STMT)) {
      select_ = *whole.select_stmt;
      select_.with_clause = with;
      node_.select_stmt = &select_;
    } else if (CALF_IS(&whole, INSERT_STMT)) {
      insert_ = *whole.insert_stmt;
      insert_.with_clause = with;
      node_.insert_stmt = &insert_;
    } else if (CALF_IS(&whole, UPDATE_STMT)) {
      update_ = *whole.update_stmt;
      update_.with_clause = with;
      node_.update_stmt = &update_;
    } else if (CALF_IS(&whole, DELETE_STMT)) {
      delete_ = *whole.delete_stmt;
      delete_.with_clause = with;
      node_.delete_stmt = &delete_;
    } else if (CALF_IS(&whole, MERGE_STMT)) {
      merge_ = *whole.merge_stmt;
      merge_.with_clause = with;
      node_.merge_stmt = &merge_;
    } else {
      unsupported("this statement with a data-modifying WITH");
    }
  }
  Rest(const Rest&) = delete;
  Rest& operator=(const Rest&) = delete;
  [[nodiscard]] const pg::Node& node() const { return node_; }

 private:
  pg::Node node_;
  pg::WithClause with_{};
  pg::SelectStmt select_{};
  pg::InsertStmt insert_{};
  pg::UpdateStmt update_{};
  pg::DeleteStmt delete_{};
  PgQuery__MergeStmt merge_{};
};

bool plain_insert(const pg::Node& node) {
  return CALF_IS(&node, INSERT_STMT) && node.insert_stmt->on_conflict_clause == nullptr;
}

const pg::RangeVar* target_of(const pg::Node& node) {
  return CALF_IS(&node, INSERT_STMT)   ? node.insert_stmt->relation
         : CALF_IS(&node, UPDATE_STMT) ? node.update_stmt->relation
         : CALF_IS(&node, DELETE_STMT) ? node.delete_stmt->relation
         : CALF_IS(&node, MERGE_STMT)  ? node.merge_stmt->relation
                                       : nullptr;
}

// Whether an UPDATE leaves alone what a row is unique by.
bool keeps_keys(const pg::Node& node, const Relation& table) {
  if (!CALF_IS(&node, UPDATE_STMT)) return false;
  for (const pg::Node* item : CALF_LIST(node.update_stmt, target_list)) {
    for (const Index& index : table.indexes) {
      const bool named =
          std::any_of(index.columns.begin(), index.columns.end(), [&](const IndexColumn& column) {
            return column.expression || column.text == item->res_target->name;
          });
      if (index.unique && (named || !index.predicate_text.empty())) return false;
    }
  }
  return !table.foreign;
}

}  // namespace

std::string kept_rows(int number) {
  return "calf_kept(" + std::to_string(number) + ")";
}

// A name of the row's number that no column has; empty: it has none.
std::string rowid_name(const Relation& table) {
  if (table.foreign || table.kind != 'r') return {};
  for (const char* name : {"_rowid_", "rowid", "oid"}) {
    if (std::none_of(table.columns.begin(), table.columns.end(),
                     [&](const Column& column) { return lower_text(column.name) == name; }))
      return name;
  }
  return {};
}

// Whose rows change, too, when those of `table` do.
void Analyzer::add_cascades(const Relation& table, Parts::Change change) {
  for (const auto& [name, other] : catalog_.relations) {
    for (const TableConstraint& key : other.constraints) {
      const auto acts = [](char action) { return action != 'a' && action != 'r'; };
      if (key.kind != 'f' ||
          sqlite_name_of(key.foreign_schema, key.foreign_table) != table.sqlite_name)
        continue;
      if ((!acts(key.on_delete) && !acts(key.on_update)) || parts_.changed.contains(name)) continue;
      parts_.changed[name] = change;
      add_cascades(other, change);
    }
  }
}

// A table that an earlier step has changed may be changed again only where the order of the two
// makes no difference.
void Analyzer::check_target(const pg::Node& node) const {
  const pg::RangeVar* target = target_of(node);
  if (target == nullptr) return;
  const auto found = parts_.changed.find(
      catalog_.find(given(target->schemaname) ? target->schemaname : "", target->relname)
          ->sqlite_name);
  if (found == parts_.changed.end()) return;
  if (!plain_insert(node) || !found->second.insert_may_follow)
    unsupported("changing the same rows' table in two parts of one statement", target->location);
}

void Analyzer::note_change(const pg::Node& node, int part, const Statement& made) {
  const pg::RangeVar* target = target_of(node);
  if (target == nullptr) return;
  const Relation& table =
      *catalog_.find(given(target->schemaname) ? target->schemaname : "", target->relname);
  const bool inserts = plain_insert(node);
  Parts::Change& change = parts_.changed[table.sqlite_name];
  change.insert_may_follow =
      (change.parts++ == 0 || change.insert_may_follow) && (inserts || keeps_keys(node, table));
  if (!inserts) {
    change.whole = true;
    add_cascades(table, {.whole = true});
  } else if (!made.stepwise()) {
    if (part < 0 || change.whole || rowid_name(table).empty())
      change.whole = true;
    else
      change.inserted.emplace_back(part, made.columns.size());
  }
}

// How a step reads a table that an earlier one has changed: as it was.
std::string Analyzer::as_it_was(const Relation& table, bool& copied) {
  const auto found = parts_.changed.find(table.sqlite_name);
  copied = false;
  if (found == parts_.changed.end()) return {};
  Parts::Change& change = found->second;
  if (!change.whole) {
    std::string sql = "(SELECT * FROM " + quote_name(table.sqlite_name) + " WHERE 1";
    for (const auto& [part, columns] : change.inserted) {
      sql += " AND " + rowid_name(table) + " NOT IN (SELECT c" + std::to_string(columns + 1) +
             " FROM " + kept_rows(part) + ")";
    }
    return sql + ")";
  }
  if (change.copy < 0) {
    change.copy = parts_.next_number++;
    if (table.columns.size() > kMaxKeptColumns)
      unsupported("a data-modifying WITH on a table of so many columns");
    parts_.copies.push_back({.table = &table, .number = change.copy});
  }
  copied = true;
  return kept_rows(change.copy);
}

void Analyzer::check_view(const Relation& view) const {
  if (view.kind != 'v' || parts_.changed.empty()) return;
  for (const std::string& name : view.depends_on) {
    const Relation* table = catalog_.by_sqlite_name(name);
    if (parts_.changed.contains(name))
      unsupported("reading a view of a table that another part of the statement changes");
    if (table != nullptr) check_view(*table);
  }
}

// One query of WITH, or the statement itself; `number` of the part, -1: the statement.
Statement Analyzer::part(const pg::Node& node, int number) {
  Scope scope;
  for (std::size_t i = 0; i < (number < 0 ? parts_.ctes.size() : static_cast<std::size_t>(number));
       ++i)
    scope.ctes.push_back(parts_.ctes[i]);
  parts_.uses.clear();
  outer_ = &scope;
  Statement out = statement(node);
  outer_ = nullptr;
  return out;
}

Statement Analyzer::part_query(const PgQuery__CommonTableExpr& cte, bool recursive, int number) {
  if (!CALF_IS(cte.ctequery, SELECT_STMT)) {
    Statement out = part(*cte.ctequery, number);
    if (!plain_insert(*cte.ctequery) || out.stepwise()) return out;
    // Which rows are new: who reads the table as it was leaves them out.
    const Relation& table = relation_named(*cte.ctequery->insert_stmt->relation);
    if (const std::string rowid = rowid_name(table); !rowid.empty())
      out.sql += (out.columns.empty() ? " RETURNING " : ", ") + rowid;
    return out;
  }
  Scope scope;
  for (std::size_t i = 0; i < static_cast<std::size_t>(number); ++i)
    scope.ctes.push_back(parts_.ctes[i]);
  parts_.uses.clear();
  const std::string sql = common_table(cte, recursive, scope);
  const Cte& made = scope.ctes.back();
  return {.sql = std::string(recursive ? "WITH RECURSIVE " : "WITH ") + sql + " SELECT * FROM " +
                 made.sql_name,
          .columns = made.columns,
          .tag = "SELECT"};
}

Cte Analyzer::cte_of_part(const PgQuery__CommonTableExpr& cte, Statement made, int number) {
  Cte entry{.name = cte.ctename,
            .sql_name = kept_rows(number),
            .columns = std::move(made.columns),
            .part = number};
  for (const Cte& other : parts_.ctes) {
    if (other.name == entry.name)
      raise_at(cte.location, "42712",
               "WITH query name \"" + entry.name + "\" specified more than once");
  }
  if (entry.columns.size() >= kMaxKeptColumns)
    unsupported("a data-modifying WITH of so many columns", cte.location);
  for (OutputColumn& column : entry.columns) column.table = 0;
  name_columns(cte, entry);
  return entry;
}

// In which order PostgreSQL comes to the parts: when somebody asks for their rows, and what nobody
// asks for at the end, the last one first.
std::vector<int> Analyzer::order_of_parts(const pg::WithClause& with,
                                          const std::vector<std::set<int>>& uses, bool query) {
  std::vector<int> order;
  const std::function<void(int)> run = [&](int number) {
    if (std::find(order.begin(), order.end(), number) != order.end()) return;
    for (const int other : uses[static_cast<std::size_t>(number)]) run(other);
    order.push_back(number);
  };
  const auto count = static_cast<int>(uses.size()) - 1;
  for (const int number : uses.back()) run(number);
  if (!query) order.push_back(-1);
  for (int number = count; number-- > 0;) {
    if (!CALF_IS(with.ctes[number]->common_table_expr->ctequery, SELECT_STMT)) run(number);
  }
  if (query) order.push_back(-1);
  return order;
}

Statement Analyzer::with_parts(const pg::Node& node) {
  const pg::WithClause& with = *with_of(node);
  const std::size_t count = count_parts(node);
  check_steps();
  parts_.next_number = static_cast<int>(count);
  const auto query_of = [&](int number) -> const PgQuery__CommonTableExpr& {
    return *with.ctes[number]->common_table_expr;
  };
  const Rest rest(node, count);
  // Once to learn who uses whom, and then again in the order in which they run.
  std::vector<std::set<int>> uses;
  for (int i = 0; i < static_cast<int>(count); ++i) {
    Statement made = part_query(query_of(i), with.recursive != 0, i);
    parts_.changed.clear();
    uses.push_back(parts_.uses);
    parts_.ctes.push_back(cte_of_part(query_of(i), std::move(made), i));
  }
  (void)part(rest.node(), -1);
  uses.push_back(parts_.uses);
  parts_.changed.clear();
  parts_.copies.clear();
  Statement out;
  std::vector<Step> before;
  std::vector<Step> after;
  bool passed = false;
  for (const int number : order_of_parts(with, uses, CALF_IS(&node, SELECT_STMT))) {
    const pg::Node& query = number < 0 ? rest.node() : *query_of(number).ctequery;
    check_target(query);
    if (number < 0) {
      out = part(query, -1);
      note_change(query, -1, out);
      passed = true;
      continue;
    }
    Statement made = part_query(query_of(number), with.recursive != 0, number);
    auto& steps = passed ? after : before;
    for (const Step& step : made.before)
      steps.push_back({.sql = step.sql, .keep = step.keep, .once = step.once});
    steps.push_back({.sql = made.sql, .keep = number, .once = made.once});
    note_change(query, number, made);
  }
  out.before.insert(out.before.begin(), before.begin(), before.end());
  out.after = std::move(after);
  out.writes = true;
  out.writes_temporary = false;
  return out;
}

bool Analyzer::changes_in_with(const pg::Node& node) {
  return count_parts(node) > 0;
}

}  // namespace calf::sqlite
