// Materialized views: tables that keep what their query returned when it was last asked.
#include <algorithm>

#include "sqlite/declarations.h"

namespace calf::sqlite {

// What a relation is called in messages.
const char* kind_word(char kind) {
  return kind == 'v' ? "view" : kind == 'm' ? "materialized view" : "table";
}

void Declarations::create_matview(const PgQuery__CreateTableAsStmt& stmt, Portal& portal) {
  portal.tag = "CREATE MATERIALIZED VIEW";
  Relation view = new_relation(*stmt.into->rel);
  view.kind = 'm';
  if (stmt.if_not_exists != 0 && session_.catalog().find(view.schema, view.name) != nullptr)
    return session_.notice("42P07", "relation \"" + view.name + "\" already exists, skipping");
  check_new(view.schema, view.name);
  if (Analyzer::changes_in_with(*stmt.query))
    raise("0A000", "materialized views must not use data-modifying statements in WITH");
  Analyzer analyzer = this->analyzer();
  const Query query = analyzer.view_query(*stmt.query);
  if (stmt.into->n_col_names > query.columns.size())
    raise("42601", "too many column names were specified");
  for (std::size_t i = 0; i < query.columns.size(); ++i) {
    const std::string name = i < stmt.into->n_col_names
                                 ? std::string(string_of(stmt.into->col_names[i]))
                                 : query.columns[i].name;
    if (view.column(name) != nullptr)
      raise("42701", "column \"" + name + "\" specified more than once");
    view.columns.push_back({.name = name, .type = query.columns[i].type});
  }
  view.view_text = statement_text(*stmt.query);
  view.depends_on = analyzer.relations_read();
  for (const std::string& name : view.depends_on) {
    const Relation* read = session_.catalog().by_sqlite_name(name);
    if (read != nullptr && read->temporary)
      raise("0A000", "materialized views must not use temporary tables or views");
  }
  view.populated = stmt.into->skip_data == 0;
  make_table(view);
  store(view);
  if (view.populated) portal.tag = "SELECT " + std::to_string(fill(view, query.sql));
}

std::int64_t Declarations::fill(const Relation& table, const std::string& query) {
  session_.raw("INSERT INTO " + quote_name(table.sqlite_name) + " " + query);
  std::int64_t rows = 0;
  db_.query("SELECT changes()", [&](const Row& row) { rows = row.integer(0); });
  return rows;
}

void Declarations::refresh_matview(const PgQuery__RefreshMatViewStmt& stmt, Portal& portal) {
  portal.tag = "REFRESH MATERIALIZED VIEW";
  Relation view = copy_of(*stmt.relation);
  if (view.kind != 'm') raise("0A000", "\"" + view.name + "\" is not a materialized view");
  const bool concurrent = stmt.concurrent != 0;
  if (concurrent && !view.populated)
    raise("0A000", "CONCURRENTLY cannot be used when the materialized view is not populated");
  if (concurrent && stmt.skip_data != 0)
    raise("42601", "REFRESH options CONCURRENTLY and WITH NO DATA cannot be used together");
  const bool unique = std::any_of(view.indexes.begin(), view.indexes.end(), [](const Index& index) {
    return index.unique && index.predicate_text.empty() &&
           std::none_of(index.columns.begin(), index.columns.end(),
                        [](const IndexColumn& column) { return column.expression; });
  });
  if (concurrent && !unique)
    raise("55000",
          "cannot refresh materialized view \"" + view.schema + "." + view.name + "\" concurrently",
          "Create a unique index with no WHERE clause on one or more columns of the materialized "
          "view.");
  const auto script = Script::parse(view.view_text);
  const Query query = analyzer().view_query(script->statement(0));
  session_.raw("DELETE FROM " + quote_name(view.sqlite_name));
  if (stmt.skip_data == 0) fill(view, query.sql);
  view.populated = stmt.skip_data == 0;
  store(view);
}

// REFRESH reads the query as it was declared: what that names must keep its name.
void Declarations::check_not_materialized(const Relation& table) {
  for (const auto& [name, other] : session_.catalog().relations) {
    if (other.kind == 'm' && std::find(other.depends_on.begin(), other.depends_on.end(),
                                       table.sqlite_name) != other.depends_on.end())
      unsupported("renaming what the materialized view " + other.name + " reads");
  }
}

}  // namespace calf::sqlite
