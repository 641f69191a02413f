#include "cli/sql_splitter.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace calf::cli {
namespace {

bool is_word_start(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80) != 0;
}
bool is_tag_character(char c) {
  return is_word_start(c) || std::isdigit(static_cast<unsigned char>(c));
}
bool is_word_character(char c) {
  return is_tag_character(c) || c == '$';
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

void SqlSplitter::feed_line(std::string_view line) {
  line_.assign(line);
  line_ += '\n';
  at_ = 0;
}

std::optional<SqlSplitter::Piece> SqlSplitter::next() {
  while (at_ < line_.size()) {
    if (state_ != State::kPlain) {
      state_ == State::kComment ? comment_character() : quoted_character();
    } else if (peek() == '\\') {
      std::string meta = line_.substr(at_, line_.size() - at_ - 1);
      at_ = line_.size();
      return Piece{Piece::Kind::kMeta, std::move(meta)};
    } else if (plain_character()) {
      return end_statement();
    }
  }
  return std::nullopt;
}

std::string SqlSplitter::take_rest() {
  std::string rest = end_statement().text;
  while (!rest.empty() && std::isspace(static_cast<unsigned char>(rest.back()))) rest.pop_back();
  return rest;
}

void SqlSplitter::keep(std::size_t count) {
  count = std::min(count, line_.size() - at_);
  statement_.append(line_, at_, count);
  at_ += count;
}

// White space and line comments are kept only inside a statement, as psql does: an error's line
// number counts from the statement's first word.
void SqlSplitter::skip_space() {
  const std::size_t end = peek() == '-' ? line_.size() - 1 : at_ + 1;
  if (statement_.empty()) {
    at_ = end;
  } else {
    keep(end - at_);
  }
}

// One step outside of quotes and comments. True when it was a semicolon that ends the statement.
bool SqlSplitter::plain_character() {
  const char c = peek();
  if (std::isspace(static_cast<unsigned char>(c)) || (c == '-' && peek(1) == '-')) {
    skip_space();
    return false;
  }
  if (is_word_start(c)) {
    word();
    return false;
  }
  if (c == '$' && dollar_quote_begins()) return false;
  if (c == '/' && peek(1) == '*') {
    state_ = State::kComment;
    comment_depth_ = 1;
    keep(2);
    return false;
  }
  if (c == '\'') state_ = State::kQuote;
  if (c == '"') state_ = State::kDoubleQuote;
  if (c == '(') ++paren_depth_;
  if (c == ')' && paren_depth_ > 0) --paren_depth_;
  keep(1);
  return c == ';' && paren_depth_ == 0 && begin_depth_ == 0;
}

void SqlSplitter::word() {
  std::size_t size = 1;
  while (is_word_character(peek(size))) ++size;
  const std::string_view text = std::string_view(line_).substr(at_, size);
  if (peek(size) == '\'' && (text == "e" || text == "E")) {
    state_ = State::kEscapeQuote;
    keep(size + 1);
    return;
  }
  note_word(text);
  keep(size);
}

void SqlSplitter::note_word(std::string_view text) {
  const std::string word = lower(text);
  if (word_count_ < 4) first_words_[word_count_] = word[0];
  ++word_count_;
  const auto is_routine = [](char c) { return c == 'f' || c == 'p'; };
  const bool creates_routine =
      first_words_[0] == 'c' &&
      (is_routine(first_words_[1]) ||
       (first_words_[1] == 'o' && first_words_[2] == 'r' && is_routine(first_words_[3])));
  if (!creates_routine || paren_depth_ > 0) return;
  if (word == "begin") ++begin_depth_;
  if (word == "case" && begin_depth_ > 0) ++begin_depth_;
  if (word == "end" && begin_depth_ > 0) --begin_depth_;
}

void SqlSplitter::quoted_character() {
  if (state_ == State::kDollar) {
    if (line_.compare(at_, dollar_tag_.size(), dollar_tag_) == 0) {
      keep(dollar_tag_.size());
      state_ = State::kPlain;
    } else {
      keep(1);
    }
    return;
  }
  if (state_ == State::kEscapeQuote && peek() == '\\') {
    keep(2);
    return;
  }
  const char quote = state_ == State::kDoubleQuote ? '"' : '\'';
  const bool ends = peek() == quote;
  if (ends && peek(1) == quote) {  // a doubled quote is a character
    keep(2);
    return;
  }
  keep(1);
  if (ends) state_ = State::kPlain;
}

void SqlSplitter::comment_character() {
  if (peek() == '/' && peek(1) == '*') {
    ++comment_depth_;
    keep(2);
  } else if (peek() == '*' && peek(1) == '/') {
    keep(2);
    if (--comment_depth_ == 0) state_ = State::kPlain;
  } else {
    keep(1);
  }
}

// $$ or $tag$ here? A parameter ($1) is not one.
bool SqlSplitter::dollar_quote_begins() {
  std::size_t size = 1;
  if (is_word_start(peek(1))) {
    while (is_tag_character(peek(size))) ++size;
  }
  if (peek(size) != '$') return false;
  dollar_tag_ = line_.substr(at_, size + 1);
  state_ = State::kDollar;
  keep(size + 1);
  return true;
}

SqlSplitter::Piece SqlSplitter::end_statement() {
  state_ = State::kPlain;
  comment_depth_ = paren_depth_ = begin_depth_ = word_count_ = 0;
  std::fill(std::begin(first_words_), std::end(first_words_), '\0');
  return {Piece::Kind::kStatement, std::exchange(statement_, {})};
}

}  // namespace calf::cli
