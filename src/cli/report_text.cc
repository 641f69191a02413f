#include "cli/report_text.h"

#include <algorithm>

#include "cli/table.h"

namespace calf::cli {
namespace {

constexpr std::size_t kDisplayColumns = 60;  // of a long line, around the position
constexpr std::size_t kLeastRightColumns = 10;

std::size_t next_character(std::string_view text, std::size_t at) {
  do {
    ++at;
  } while (at < text.size() && (text[at] & 0xc0) == 0x80);
  return at;
}

// The byte at which character `position` (from 1) begins; the end when there are fewer.
std::size_t byte_of(std::string_view text, std::size_t position) {
  std::size_t at = 0;
  for (std::size_t i = 1; i < position && at < text.size(); ++i) at = next_character(text, at);
  return std::min(at, text.size());
}

// Cuts `line` to a window around the column `caret`, which it moves.
std::string window(std::string_view line, std::size_t& caret) {
  std::vector<std::string_view> characters;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t end = next_character(line, at);
    characters.push_back(line.substr(at, end - at));
    at = end;
  }
  std::size_t first = 0;
  std::size_t last = characters.size();
  if (last > kDisplayColumns) {
    last = std::min(last, std::max(caret + kLeastRightColumns, kDisplayColumns));
    first = last - kDisplayColumns;
  }
  std::string out = first > 0 ? "..." : "";
  std::size_t moved = display_width(out);
  for (std::size_t i = first; i < last; ++i) {
    if (i < caret) moved += display_width(characters[i]);
    out += characters[i];
  }
  if (last < characters.size()) out += "...";
  caret = moved;
  return out;
}

std::string position_text(std::string_view sql, std::uint32_t position) {
  const std::size_t at = byte_of(sql, position);
  const std::size_t begin = at == 0 ? 0 : sql.rfind('\n', at - 1) + 1;  // npos + 1 is 0
  const std::size_t end = std::min(sql.find('\n', at), sql.size());
  const auto line_number =
      1 + std::count(sql.begin(), sql.begin() + static_cast<std::ptrdiff_t>(begin), '\n');
  std::string line(sql.substr(begin, end - begin));
  std::replace_if(line.begin(), line.end(), [](char c) { return c == '\t' || c == '\r'; }, ' ');
  std::size_t caret = 0;
  for (std::size_t i = begin; i < at; i = next_character(sql, i)) ++caret;
  const std::string label = "LINE " + std::to_string(line_number) + ": ";
  const std::string shown = window(line, caret);
  return label + shown + "\n" + std::string(label.size() + caret, ' ') + "^\n";
}

void add_field(std::string& out, std::string_view label, const std::string& text) {
  if (!text.empty()) out += std::string(label) + ":  " + text + "\n";
}

}  // namespace

std::string report_text(const pgwire::Report& report, std::string_view sql) {
  std::string out = report.severity + ":  " + report.message + "\n";
  if (report.position && *report.position > 0) {
    out += position_text(sql, *report.position);
  } else if (report.internal_position && *report.internal_position > 0) {
    out += position_text(report.internal_query, *report.internal_position);
  }
  add_field(out, "DETAIL", report.detail);
  add_field(out, "HINT", report.hint);
  add_field(out, "QUERY", report.internal_query);
  const bool is_error =
      report.severity == "ERROR" || report.severity == "FATAL" || report.severity == "PANIC";
  if (is_error) add_field(out, "CONTEXT", report.context);
  return out;
}

}  // namespace calf::cli
