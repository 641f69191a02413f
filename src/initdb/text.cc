#include "initdb/text.h"

namespace calf::initdb {
namespace {

std::string doubled(std::string_view text, std::string_view characters) {
  std::string result;
  result.reserve(text.size() + 2);
  for (const char c : text) {
    if (characters.find(c) != std::string_view::npos) result += c;
    result += c;
  }
  return result;
}

}  // namespace

std::string escape_quotes(std::string_view text) {
  return doubled(text, "'\\");
}

std::string sql_literal(std::string_view text) {
  return "E'" + escape_quotes(text) + "'";
}

std::string sql_identifier(std::string_view name) {
  return "\"" + doubled(name, "\"") + "\"";
}

}  // namespace calf::initdb
