// Statements that SQLite does not run: transactions, settings, declarations, COPY, EXPLAIN,
// cursors.
#pragma once

#include <vector>

#include "sqlite/session.h"

namespace calf::sqlite {

// For one statement.
class Utility {
 public:
  explicit Utility(Session& session) : session_(session) {}

  // The columns that the statement returns; empty: none.
  std::vector<OutputColumn> columns(const Prepared& prepared);
  // Runs it: results and tag go into the portal.
  void run(Portal& portal);

 private:
  void transaction(const PgQuery__TransactionStmt& stmt, Portal& portal);
  void set(const PgQuery__VariableSetStmt& stmt, Portal& portal);
  void show(const std::string& name, Portal& portal);
  void explain(const PgQuery__ExplainStmt& stmt, Portal& portal);
  void discard(const PgQuery__DiscardStmt& stmt, Portal& portal);
  void prepare_statement(const PgQuery__PrepareStmt& stmt, Portal& portal);
  void execute_statement(const PgQuery__ExecuteStmt& stmt, Portal& portal);
  void declare_cursor(const PgQuery__DeclareCursorStmt& stmt, Portal& portal);
  void fetch(const PgQuery__FetchStmt& stmt, Portal& portal);
  void collect(Portal& from, Portal& to, std::int64_t limit);

  Session& session_;
};

}  // namespace calf::sqlite
