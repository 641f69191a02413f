// What a connection remembers of the SQL that it was given: its placeholders, translated once, and
// which of it the server has prepared. Bounded: what was not used for longest goes first. Not here:
// sending (session.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "session.h"

namespace calf::python {

// SQL with $1, $2, … instead of %s or %(name)s.
struct Query {
  enum class Style { kPositional, kNamed };
  std::string sql;
  Style style = Style::kPositional;
  // kPositional: how many %s there are. kNamed: the distinct names, $n is names[n - 1].
  std::size_t count = 0;
  std::vector<std::string> names;
};

// Translates `text`; on failure false, and `error` says why, in psycopg's words where it has some.
bool translate(std::string_view text, Query& query, std::string& error);

// A query with parameters of certain types.
struct Statement {
  bool plain = false;  // given without parameters: its percent signs stand for themselves
  std::vector<std::uint32_t> types;
  std::string name;                        // on the server; empty: not prepared
  std::shared_ptr<const Columns> columns;  // with a name: what it returns; null: no rows
  std::uint32_t executions = 0;
  bool several =
      false;  // a plain one that turned out to be several statements, which cannot be prepared
  std::uint64_t last_used = 0;
};

// An SQL text as it was given.
struct Remembered {
  Query query;
  bool has_query = false;  // was it translated, i.e. used with parameters?
  std::vector<std::unique_ptr<Statement>> statements;
  std::uint64_t last_used = 0;
};

class Statements {
 public:
  static constexpr std::size_t kMaxTexts = 512;
  static constexpr std::size_t kMaxTextBytes = 64 * 1024;  // longer SQL is not remembered

  // The entry of `text`, new if need be. Valid until the next call.
  Remembered& remember(std::string_view text);
  // The one for parameters of such types, new if need be. Nulls fit any type.
  Statement& statement(Remembered& remembered, const Parameters& parameters);
  Statement& plain_statement(Remembered& remembered);
  bool to_be_prepared(const Statement& statement) const {
    return automatic && max_prepared > 0 && !statement.several && statement.executions > threshold;
  }

  // Gives `statement` a name to be prepared under. Names that had to make room go to closed().
  void name(Statement& statement);
  // It is no longer on the server, or is not wanted there.
  void forget(Statement& statement);
  // All of them: after DISCARD, ALTER and the like.
  void forget_all();

  // Names that the server still has and nobody uses: to be closed with the next message.
  std::vector<std::string> take_closed() { return std::exchange(closed_, {}); }
  bool has_closed() const { return !closed_.empty(); }

  std::uint32_t threshold =
      1;  // executions after which a statement is prepared; 0: at the first one
  bool automatic = true;
  std::size_t max_prepared = 100;

 private:
  Statement& add(Remembered& remembered);
  void drop_oldest_text();
  void drop_oldest_prepared();

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::unordered_map<std::string, Remembered, Hash, std::equal_to<>> texts_;
  Remembered too_long_;
  std::vector<std::string> closed_;
  std::uint64_t clock_ = 0, names_ = 0;
  std::size_t prepared_ = 0;
};

}  // namespace calf::python
