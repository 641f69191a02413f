// Statements of PostgreSQL that are several of SQLite: their steps, and the rows kept in between.
#include <sqlite3.h>

#include <memory>

#include "sqlite/session.h"

namespace calf::sqlite {

// `rows`: where those go that the client gets; otherwise they are kept for later steps.
void Session::run_step(const Step& step, Portal& portal, std::vector<std::vector<Datum>>* rows) {
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(compile(step.sql),
                                                                        sqlite3_finalize);
  const int taken = sqlite3_bind_parameter_count(statement.get());
  for (int i = 0; i < taken && static_cast<std::size_t>(i) < portal.parameters.size(); ++i)
    portal.parameters[static_cast<std::size_t>(i)].bind(statement.get(), i + 1);
  const int width = sqlite3_column_count(statement.get());
  const auto& columns = portal.prepared->statement.columns;
  for (int code = first_step(statement.get(), step.once); code == SQLITE_ROW;
       code = this->step(statement.get())) {
    std::vector<Datum> row;
    for (int i = 0; i < width; ++i) {
      Datum value = Datum::column(statement.get(), i);
      row.push_back(rows == nullptr
                        ? std::move(value)
                        : fitting(std::move(value), columns[static_cast<std::size_t>(i)]));
    }
    if (rows != nullptr) {
      rows->push_back(std::move(row));
    } else if (step.keep >= 0) {
      kept_rows_.add(step.keep, std::move(row));
    }
  }
  if (step.counts) portal.changed += sqlite3_changes64(connection_.get());
}

// Runs all of it: its rows are on their way only when the last step is done.
void Session::start_steps(Portal& portal) {
  refresh(*portal.prepared);
  const Statement& statement = portal.prepared->statement;
  const struct Clear {
    KeptRows& rows;
    ~Clear() { rows.clear(); }
  } clear{kept_rows_};
  kept_rows_.clear();
  portal.collected = true;
  for (const Step& step : statement.before) run_step(step, portal, nullptr);
  run_step({.sql = statement.sql, .counts = statement.counts, .once = statement.once}, portal,
           statement.columns.empty() ? nullptr : &portal.results);
  for (const Step& step : statement.after) run_step(step, portal, nullptr);
}

}  // namespace calf::sqlite
