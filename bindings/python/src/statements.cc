#include "statements.h"

#include <algorithm>

namespace calf::python {
namespace {

bool is_format(char letter) {
  return letter == 's' || letter == 'b' || letter == 't';
}

// Parameters of many types make many variants of one text.
constexpr std::size_t kMaxVariants = 16;

bool fits(const std::vector<std::uint32_t>& types, const Parameters& parameters) {
  if (types.size() != parameters.types.size()) return false;
  for (std::size_t i = 0; i < types.size(); ++i)
    if (types[i] != parameters.types[i] && parameters.sizes[i] != Parameters::kNull) return false;
  return true;
}

// Appends $n for the name, a new one or one that was there before.
void append_named(Query& query, std::string_view name) {
  auto found = std::find(query.names.begin(), query.names.end(), name);
  const auto index = static_cast<std::size_t>(found - query.names.begin());
  if (found == query.names.end()) query.names.emplace_back(name);
  query.count = query.names.size();
  query.sql += '$' + std::to_string(index + 1);
}

}  // namespace

bool translate(std::string_view text, Query& query, std::string& error) {
  bool positional = false, named = false;
  std::size_t at = 0;
  while (true) {
    const auto percent = text.find('%', at);
    query.sql.append(text.substr(at, percent - at));
    if (percent == std::string_view::npos) break;
    at = percent + 1;
    const char next = at < text.size() ? text[at] : '\0';
    if (next == '%') {
      query.sql.push_back('%');
      ++at;
    } else if (is_format(next)) {
      positional = true;
      query.sql += '$' + std::to_string(++query.count);
      ++at;
    } else if (next == '(') {
      const auto close = text.find(')', at);
      if (close == std::string_view::npos || close + 1 >= text.size() ||
          !is_format(text[close + 1])) {
        error = "incomplete placeholder: '%" + std::string(text.substr(at, 20)) +
                "'; named ones are written %(name)s";
        return false;
      }
      named = true;
      append_named(query, text.substr(at + 1, close - at - 1));
      at = close + 2;
    } else {
      error = "only '%s', '%b', '%t' are allowed as placeholders, got '%" +
              (next ? std::string(1, next) : "") +
              "'; a percent sign of the SQL is written '%%' when there are parameters";
      return false;
    }
    if (positional && named) {
      error = "positional and named placeholders cannot be mixed";
      return false;
    }
  }
  query.style = named ? Query::Style::kNamed : Query::Style::kPositional;
  return true;
}

Remembered& Statements::remember(std::string_view text) {
  ++clock_;
  if (text.size() > kMaxTextBytes) {
    for (auto& statement : too_long_.statements) forget(*statement);
    too_long_ = {};
    return too_long_;
  }
  auto found = texts_.find(text);
  if (found == texts_.end()) {
    if (texts_.size() >= kMaxTexts) drop_oldest_text();
    found = texts_.emplace(text, Remembered{}).first;
  }
  found->second.last_used = clock_;
  return found->second;
}

Statement& Statements::statement(Remembered& remembered, const Parameters& parameters) {
  for (auto& each : remembered.statements)
    if (!each->plain && fits(each->types, parameters)) {
      each->last_used = clock_;
      return *each;
    }
  auto& made = add(remembered);
  made.types = parameters.types;
  return made;
}

Statement& Statements::plain_statement(Remembered& remembered) {
  for (auto& each : remembered.statements)
    if (each->plain) {
      each->last_used = clock_;
      return *each;
    }
  auto& made = add(remembered);
  made.plain = true;
  return made;
}

Statement& Statements::add(Remembered& remembered) {
  if (remembered.statements.size() >= kMaxVariants) {
    const auto oldest =
        std::min_element(remembered.statements.begin(), remembered.statements.end(),
                         [](const auto& a, const auto& b) { return a->last_used < b->last_used; });
    forget(**oldest);
    remembered.statements.erase(oldest);
  }
  auto& made = *remembered.statements.emplace_back(std::make_unique<Statement>());
  made.last_used = clock_;
  return made;
}

void Statements::name(Statement& statement) {
  if (prepared_ >= max_prepared) drop_oldest_prepared();
  statement.name = "calf_" + std::to_string(++names_);
  ++prepared_;
}

void Statements::forget(Statement& statement) {
  if (statement.name.empty()) return;
  closed_.push_back(std::move(statement.name));
  statement.name.clear();
  statement.columns.reset();
  --prepared_;
}

void Statements::forget_all() {
  for (auto& [text, remembered] : texts_)
    for (auto& statement : remembered.statements) forget(*statement);
  for (auto& statement : too_long_.statements) forget(*statement);
}

void Statements::drop_oldest_text() {
  const auto oldest = std::min_element(
      texts_.begin(), texts_.end(),
      [](const auto& a, const auto& b) { return a.second.last_used < b.second.last_used; });
  for (auto& statement : oldest->second.statements) forget(*statement);
  texts_.erase(oldest);
}

void Statements::drop_oldest_prepared() {
  Statement* oldest = nullptr;
  for (auto& [text, remembered] : texts_)
    for (auto& each : remembered.statements)
      if (!each->name.empty() && (oldest == nullptr || each->last_used < oldest->last_used))
        oldest = each.get();
  if (oldest != nullptr) forget(*oldest);
}

}  // namespace calf::python
