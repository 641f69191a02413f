// Small helpers for the scripts and configuration files: lines, quoting.
#pragma once

#include <string>
#include <string_view>

namespace calf::initdb {

// Calls `visit` with every line, its '\n' included.
template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const size_t length = end == std::string_view::npos ? text.size() : end + 1;
    visit(text.substr(0, length));
    text.remove_prefix(length);
  }
}

// Single quotes and backslashes doubled: for E'…' in SQL, '…' in configuration files and in BKI.
std::string escape_quotes(std::string_view text);
// E'…'
std::string sql_literal(std::string_view text);
// "…"
std::string sql_identifier(std::string_view name);

}  // namespace calf::initdb
