#include "sqlite/tree.h"

#include <pg_query.h>

#include <algorithm>
#include <vector>

#include "sqlite/array_text.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

struct ParseResult {
  PgQueryProtobufParseResult result;
  explicit ParseResult(const char* sql) : result(pg_query_parse_protobuf(sql)) {}
  ~ParseResult() { pg_query_free_protobuf_parse_result(result); }
};

// The grammar's own messages come without a class; those below are its only ones that are not
// 42601.
std::string_view state_of(std::string_view message) {
  if (message.starts_with("there is no parameter")) return "42P02";
  if (message.find("not supported") != std::string_view::npos ||
      message.find("not implemented") != std::string_view::npos)
    return "0A000";
  if (message.find("out of range") != std::string_view::npos) return "22003";
  return "42601";
}

// How deep the tree can get at most: tokens since the last comma, summed up over the parentheses
// that are open. The parse tree is packed and unpacked by recursion, which a stack must be able to
// hold.
void check_depth(std::string_view sql) {
  constexpr std::size_t kMaxDepth = 10'000;
  std::vector<std::size_t> levels{0};
  std::size_t depth = 0;
  bool in_word = false;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    const char c = sql[i];
    const bool word =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0;
    if (c == '\'' || c == '"') {
      i = std::min(sql.find(c, i + 1), sql.size() - 1);
    } else if (c == '(' || c == '[') {
      levels.push_back(0);
      ++depth;
    } else if ((c == ')' || c == ']') && levels.size() > 1) {
      depth -= levels.back() + 1;
      levels.pop_back();
    } else if (c == ',' || c == ';') {
      depth -= levels.back();
      levels.back() = 0;
    } else if (std::isspace(static_cast<unsigned char>(c)) == 0 && !(word && in_word)) {
      ++levels.back();
      ++depth;
    }
    in_word = word;
    if (depth > kMaxDepth)
      raise("54001", "stack depth limit exceeded", "The statement is nested too deeply.");
  }
}

}  // namespace

std::shared_ptr<const Script> Script::parse(std::string sql) {
  check_utf8(sql);
  check_depth(sql);
  const ParseResult parsed(sql.c_str());
  if (const PgQueryError* error = parsed.result.error; error != nullptr) {
    if (auto older = older_merge(sql)) {
      const std::shared_ptr<Script> made = std::const_pointer_cast<Script>(parse(older->sql));
      if (made->size() != 1 || !CALF_IS(&made->statement(0), MERGE_STMT))
        unsupported("MERGE with RETURNING or BY SOURCE inside of another statement");
      made->sql_ = std::move(sql);
      made->merge_ = std::move(older->extras);
      return made;
    }
    raise_at(error->cursorpos - 1, state_of(error->message), error->message);
  }
  auto* tree = pg_query__parse_result__unpack(
      nullptr, parsed.result.parse_tree.len,
      reinterpret_cast<const std::uint8_t*>(parsed.result.parse_tree.data));
  if (tree == nullptr)
    raise("54001", "stack depth limit exceeded", "The statement is nested too deeply.");
  return std::shared_ptr<const Script>(new Script(std::move(sql), tree));
}

Script::~Script() {
  pg_query__parse_result__free_unpacked(tree_, nullptr);
}

std::string_view Script::text(std::size_t i) const {
  const PgQuery__RawStmt& raw = *tree_->stmts[i];
  const std::string_view all(sql_);
  const auto begin = static_cast<std::size_t>(raw.stmt_location);
  const std::string_view text = raw.stmt_len > 0
                                    ? all.substr(begin, static_cast<std::size_t>(raw.stmt_len))
                                    : all.substr(begin);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

ParsedExpression parse_expression(std::string_view sql) {
  auto script = Script::parse("SELECT " + std::string(sql));
  const pg::Node* node = script->statement(0).select_stmt->target_list[0]->res_target->val;
  return {std::move(script), node};
}

std::string statement_text(const pg::Node& node) {
  PgQuery__RawStmt raw = PG_QUERY__RAW_STMT__INIT;
  raw.stmt = const_cast<pg::Node*>(&node);
  PgQuery__RawStmt* statements[] = {&raw};
  PgQuery__ParseResult tree = PG_QUERY__PARSE_RESULT__INIT;
  tree.version = 150001;
  tree.n_stmts = 1;
  tree.stmts = statements;
  std::string packed(pg_query__parse_result__get_packed_size(&tree), '\0');
  pg_query__parse_result__pack(&tree, reinterpret_cast<std::uint8_t*>(packed.data()));
  const PgQueryDeparseResult deparsed =
      pg_query_deparse_protobuf({.len = packed.size(), .data = packed.data()});
  if (deparsed.error != nullptr) {
    const std::string message = deparsed.error->message;
    pg_query_free_deparse_result(deparsed);
    raise("XX000", "cannot write a parse tree as text: " + message);
  }
  std::string text = deparsed.query;
  pg_query_free_deparse_result(deparsed);
  return text;
}

std::string expression_text(const pg::Node& node) {
  PgQuery__ResTarget target = PG_QUERY__RES_TARGET__INIT;
  target.val = const_cast<pg::Node*>(&node);
  pg::Node target_node = PG_QUERY__NODE__INIT;
  target_node.node_case = PG_QUERY__NODE__NODE_RES_TARGET;
  target_node.res_target = &target;
  pg::Node* targets[] = {&target_node};
  pg::SelectStmt select = PG_QUERY__SELECT_STMT__INIT;
  select.n_target_list = 1;
  select.target_list = targets;
  select.limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
  select.op = PG_QUERY__SET_OPERATION__SETOP_NONE;
  pg::Node statement = PG_QUERY__NODE__INIT;
  statement.node_case = PG_QUERY__NODE__NODE_SELECT_STMT;
  statement.select_stmt = &select;
  const std::string text = statement_text(statement);
  return text.substr(std::string_view("SELECT ").size());
}

}  // namespace calf::sqlite
