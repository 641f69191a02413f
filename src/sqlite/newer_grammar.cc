#include "sqlite/newer_grammar.h"

#include <pg_query.h>

#include <algorithm>
#include <vector>

#include "sqlite/tree.h"

#include <sqlite3.h>

namespace calf::sqlite {
namespace {

struct Token {
  std::string text;  // as it stands there
  int kind = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
};

std::vector<Token> tokens_of(const std::string& sql) {
  std::vector<Token> out;
  const PgQueryScanResult scanned = pg_query_scan(sql.c_str());
  if (scanned.error == nullptr) {
    PgQuery__ScanResult* result = pg_query__scan_result__unpack(
        nullptr, scanned.pbuf.len, reinterpret_cast<const std::uint8_t*>(scanned.pbuf.data));
    for (std::size_t i = 0; result != nullptr && i < result->n_tokens; ++i) {
      const PgQuery__ScanToken& token = *result->tokens[i];
      const auto begin = static_cast<std::size_t>(token.start);
      const auto end = static_cast<std::size_t>(token.end);
      if (token.token == PG_QUERY__TOKEN__SQL_COMMENT || token.token == PG_QUERY__TOKEN__C_COMMENT)
        continue;
      out.push_back({.text = sql.substr(begin, end - begin),
                     .kind = static_cast<int>(token.token),
                     .begin = begin,
                     .end = end});
    }
    if (result != nullptr) pg_query__scan_result__free_unpacked(result, nullptr);
  }
  pg_query_free_scan_result(scanned);
  return out;
}

bool is(const Token& token, const char* word) {
  return sqlite3_stricmp(token.text.c_str(), word) == 0;
}

void blank(std::string& sql, const Token& first, const Token& last) {
  std::fill(sql.begin() + static_cast<std::ptrdiff_t>(first.begin),
            sql.begin() + static_cast<std::ptrdiff_t>(last.end), ' ');
}

}  // namespace

std::optional<OlderMerge> older_merge(const std::string& sql) {
  const std::vector<Token> tokens = tokens_of(sql);
  OlderMerge out{.sql = sql};
  int depth = 0;
  int whens = 0;
  bool merge = false;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    if (token.text == "(") ++depth;
    if (token.text == ")") --depth;
    if (depth > 0) continue;
    if (token.text == ";" && i + 1 < tokens.size()) return std::nullopt;
    merge = merge || (token.kind == PG_QUERY__TOKEN__MERGE);
    if (!merge) continue;
    if (is(token, "when") && i + 1 < tokens.size() &&
        (is(tokens[i + 1], "matched") || is(tokens[i + 1], "not")))
      ++whens;
    if (is(token, "matched") && i + 2 < tokens.size() && is(tokens[i + 1], "by")) {
      const bool source = is(tokens[i + 2], "source");
      if (!source && !is(tokens[i + 2], "target")) return std::nullopt;
      if (source && is(tokens[i - 1], "not")) {
        blank(out.sql, tokens[i - 1], tokens[i - 1]);
        out.extras.by_source.insert(whens);
      }
      blank(out.sql, tokens[i + 1], tokens[i + 2]);
    }
    if (token.kind == PG_QUERY__TOKEN__RETURNING) {
      const std::size_t last = tokens.back().text == ";" ? tokens.size() - 2 : tokens.size() - 1;
      if (last <= i) return std::nullopt;
      out.extras.returning =
          Script::parse("SELECT " + sql.substr(token.end, tokens[last].end - token.end));
      blank(out.sql, token, tokens[last]);
      break;
    }
  }
  if (!merge || (out.extras.by_source.empty() && out.sql == sql)) return std::nullopt;
  return out;
}

}  // namespace calf::sqlite
