// PostgreSQL's parse tree, as libpg_query gives it, under shorter names.
#pragma once

#include <pg_query/pg_query.pb-c.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sqlite/newer_grammar.h"

namespace calf::sqlite {

namespace pg {
using Node = PgQuery__Node;
using SelectStmt = PgQuery__SelectStmt;
using InsertStmt = PgQuery__InsertStmt;
using UpdateStmt = PgQuery__UpdateStmt;
using DeleteStmt = PgQuery__DeleteStmt;
using TypeName = PgQuery__TypeName;
using RangeVar = PgQuery__RangeVar;
using Constraint = PgQuery__Constraint;
using ColumnDef = PgQuery__ColumnDef;
using DefElem = PgQuery__DefElem;
using WithClause = PgQuery__WithClause;
using WindowDef = PgQuery__WindowDef;
using ResTarget = PgQuery__ResTarget;
}  // namespace pg

#define CALF_IS(node, KIND) ((node)->node_case == PG_QUERY__NODE__NODE_##KIND)

// The nodes of a list: CALF_LIST(select, target_list).
#define CALF_LIST(owner, field) std::span<PgQuery__Node* const>((owner)->field, (owner)->n_##field)

inline bool given(const char* text) {
  return text != nullptr && *text != '\0';
}
inline std::string_view string_of(const pg::Node* node) {
  return CALF_IS(node, STRING) ? node->string->sval : std::string_view();
}

// The statements of one query string. Immutable; any thread.
class Script {
 public:
  // Raises 42601 with a position, and whatever else PostgreSQL's grammar raises.
  static std::shared_ptr<const Script> parse(std::string sql);
  ~Script();
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;

  [[nodiscard]] std::size_t size() const { return tree_->n_stmts; }
  [[nodiscard]] const pg::Node& statement(std::size_t i) const { return *tree_->stmts[i]->stmt; }
  // The text of one statement, without its semicolon.
  [[nodiscard]] std::string_view text(std::size_t i) const;
  [[nodiscard]] const std::string& sql() const { return sql_; }
  // What is not in the tree, of a script that is one MERGE; nullptr: nothing.
  [[nodiscard]] const MergeExtras* merge() const { return merge_ ? &*merge_ : nullptr; }

 private:
  Script(std::string sql, PgQuery__ParseResult* tree) : sql_(std::move(sql)), tree_(tree) {}
  std::string sql_;
  PgQuery__ParseResult* tree_;
  std::optional<MergeExtras> merge_;
};

// One expression ("a + 1") parsed by itself; `script` keeps the tree alive.
struct ParsedExpression {
  std::shared_ptr<const Script> script;
  const pg::Node* node;
};
ParsedExpression parse_expression(std::string_view sql);

// The source of a node: libpg_query knows where it begins, the deparser how it is written.
std::string expression_text(const pg::Node& node);
std::string statement_text(const pg::Node& node);

}  // namespace calf::sqlite
