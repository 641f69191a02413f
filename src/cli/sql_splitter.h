// Cuts a script into statements, line by line, by the rules of psql's lexer
// (src/fe_utils/psqlscan.l). It knows where statements end, not what they mean.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace calf::cli {

// Feed a line, take its pieces until there are none, feed the next line. One thread.
class SqlSplitter {
 public:
  struct Piece {
    enum class Kind {
      kStatement,  // `text` with its semicolon, without white space and line comments in front
      kMeta,       // a backslash command: `text` from its backslash to the end of the line
    };
    Kind kind = Kind::kStatement;
    std::string text;
  };

  // A line without its line feed. The pieces of the line before must have been taken.
  void feed_line(std::string_view line);

  // The next piece that ends on this line.
  std::optional<Piece> next();

  // What is left at the end of the input: a statement without a semicolon; empty when there is
  // none.
  std::string take_rest();

  // Whether a statement has begun and not ended: a prompt would show it.
  [[nodiscard]] bool in_statement() const { return !statement_.empty(); }

 private:
  enum class State { kPlain, kQuote, kEscapeQuote, kDoubleQuote, kDollar, kComment };

  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < line_.size() ? line_[at_ + ahead] : '\0';
  }
  void keep(std::size_t count);
  void skip_space();
  bool plain_character();
  void word();
  void note_word(std::string_view word);
  void quoted_character();
  void comment_character();
  bool dollar_quote_begins();
  Piece end_statement();

  std::string line_;
  std::size_t at_ = 0;
  std::string statement_;
  State state_ = State::kPlain;
  std::string dollar_tag_;  // "$tag$" of the quote that is open
  int comment_depth_ = 0;
  int paren_depth_ = 0;
  int begin_depth_ = 0;  // BEGIN ATOMIC … END and CASE … END inside it
  int word_count_ = 0;
  char first_words_[4] = {};  // first letters, to know CREATE [OR REPLACE] FUNCTION | PROCEDURE
};

}  // namespace calf::cli
