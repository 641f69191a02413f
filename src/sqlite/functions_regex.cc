// Regular expressions: PostgreSQL's advanced ones as far as RE2 has them, which never takes more
// than linear time. Matches are the longest ones, as POSIX wants.
#include <re2/re2.h>

#include <list>

#include "sqlite/functions.h"
#include "sqlite/json.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

struct Flags {
  bool ignore_case = false;
  bool global = false;
  bool newline = false;  // ^ and $ at lines, . not over them
};

Flags parse_flags(std::string_view text) {
  Flags flags;
  for (const char c : text) {
    switch (c) {
      case 'i':
        flags.ignore_case = true;
        break;
      case 'c':
        flags.ignore_case = false;
        break;
      case 'g':
        flags.global = true;
        break;
      case 'n':
      case 'm':
        flags.newline = true;
        break;
      case 's':
        flags.newline = false;
        break;
      default:
        raise("22023", "invalid regular expression option: \"" + std::string(1, c) + "\"");
    }
  }
  return flags;
}

// Where the two languages differ: \y is a word boundary there, \b here; what RE2 has not is
// refused.
std::string translate(std::string_view pattern, bool& lazy) {
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      if (next >= '1' && next <= '9') unsupported("a back reference in a regular expression");
      if (next == 'm' || next == 'M' || next == 'Z')
        unsupported("\\" + std::string(1, next) + " in a regular expression");
      if (next == 'y') {
        out += "\\b";
      } else if (next == 'Y') {
        out += "\\B";
      } else {
        out += c;
        out += next;
      }
      continue;
    }
    if (c == '[') {
      if (!in_class && pattern.substr(i).starts_with("[[:<:]]"))
        unsupported("[[:<:]] in a regular expression");
      if (!in_class && pattern.substr(i).starts_with("[[:>:]]"))
        unsupported("[[:>:]] in a regular expression");
      if (!in_class) {
        in_class = true;
        out += c;
        if (i + 1 < pattern.size() && pattern[i + 1] == '^') out += pattern[++i];
        if (i + 1 < pattern.size() && pattern[i + 1] == ']') out += "\\]", ++i;
        continue;
      }
      if (i + 1 < pattern.size() && pattern[i + 1] == ':') {
        const std::size_t end = pattern.find(":]", i);
        if (end != std::string_view::npos) {
          out += pattern.substr(i, end + 2 - i);
          i = end + 1;
          continue;
        }
      }
      out += "\\[";
      continue;
    }
    if (c == ']' && in_class) in_class = false;
    if (!in_class && c == '?' && i > 0 &&
        std::string_view("*+?}").find(pattern[i - 1]) != std::string_view::npos) {
      lazy = true;
    }
    out += c;
  }
  return out;
}

struct Compiled {
  std::string pattern;
  Flags flags;
  std::unique_ptr<RE2> expression;
  bool lazy = false;
};

// The last few expressions of this thread: a query uses the same one for all its rows.
const Compiled& compile(std::string_view pattern, Flags flags) {
  thread_local std::list<Compiled> recent;
  constexpr std::size_t kKept = 16;
  for (auto it = recent.begin(); it != recent.end(); ++it) {
    if (it->pattern == pattern && it->flags.ignore_case == flags.ignore_case &&
        it->flags.newline == flags.newline) {
      recent.splice(recent.begin(), recent, it);
      return recent.front();
    }
  }
  Compiled made{.pattern = std::string(pattern), .flags = flags};
  const std::string translated = translate(pattern, made.lazy);
  RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(!flags.ignore_case);
  options.set_longest_match(!made.lazy);
  options.set_dot_nl(!flags.newline);
  const std::string prefix = flags.newline ? "(?m)" : "";
  made.expression = std::make_unique<RE2>(prefix + translated, options);
  if (!made.expression->ok()) {
    if (translated.find("(?=") != std::string::npos ||
        translated.find("(?!") != std::string::npos ||
        translated.find("(?<") != std::string::npos) {
      unsupported("a lookaround in a regular expression");
    }
    raise("2201B", "invalid regular expression: " + made.expression->error());
  }
  recent.push_front(std::move(made));
  if (recent.size() > kKept) recent.pop_back();
  return recent.front();
}

// For functions that return what matched: lazy and greedy parts together follow other rules there.
const Compiled& compile_for_text(std::string_view pattern, Flags flags) {
  const Compiled& compiled = compile(pattern, flags);
  if (compiled.lazy) unsupported("a non-greedy quantifier outside of a test");
  return compiled;
}

bool matches(std::string_view text, std::string_view pattern, bool ignore_case) {
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()),
                           *compile(pattern, {.ignore_case = ignore_case}).expression);
}

using Groups = std::vector<re2::StringPiece>;

bool match_at(const Compiled& compiled, std::string_view text, std::size_t start, Groups& groups) {
  groups.assign(static_cast<std::size_t>(compiled.expression->NumberOfCapturingGroups()) + 1, {});
  return compiled.expression->Match({text.data(), text.size()}, start, text.size(), RE2::UNANCHORED,
                                    groups.data(), static_cast<int>(groups.size()));
}

std::size_t offset_of(re2::StringPiece piece, std::string_view text) {
  return static_cast<std::size_t>(piece.data() - text.data());
}

// Behind an empty match go on with the next character.
std::size_t next_start(std::size_t end, bool empty, std::string_view text) {
  if (!empty) return end;
  ++end;
  while (end < text.size() && (text[end] & 0xc0) == 0x80) ++end;
  return end;
}

std::string expand(std::string_view replacement, const Groups& groups) {
  std::string out;
  for (std::size_t i = 0; i < replacement.size(); ++i) {
    if (replacement[i] != '\\' || i + 1 == replacement.size()) {
      out += replacement[i];
      continue;
    }
    const char c = replacement[++i];
    if (c == '&') {
      out.append(groups[0].data(), groups[0].size());
    } else if (c >= '1' && c <= '9') {
      const auto n = static_cast<std::size_t>(c - '0');
      if (n < groups.size() && groups[n].data() != nullptr)
        out.append(groups[n].data(), groups[n].size());
    } else if (c == '\\') {
      out += '\\';
    } else {
      out += '\\';
      out += c;
    }
  }
  return out;
}

std::string replace_matches(std::string_view text, std::string_view pattern,
                            std::string_view replacement, std::string_view flag_text) {
  const Flags flags = parse_flags(flag_text);
  const Compiled& compiled = compile_for_text(pattern, flags);
  std::string out;
  std::size_t copied = 0;
  std::size_t start = 0;
  Groups groups;
  while (start <= text.size() && match_at(compiled, text, start, groups)) {
    const std::size_t begin = offset_of(groups[0], text);
    out += text.substr(copied, begin - copied);
    out += expand(replacement, groups);
    copied = begin + groups[0].size();
    start = next_start(copied, groups[0].empty(), text);
    if (!flags.global) break;
  }
  return out + std::string(text.substr(std::min(copied, text.size())));
}

Datum groups_array(const Groups& groups) {
  std::vector<Datum> values;
  for (std::size_t i = groups.size() > 1 ? 1 : 0; i < groups.size(); ++i) {
    values.push_back(groups[i].data() == nullptr
                         ? Datum{}
                         : Datum::of(std::string(groups[i].data(), groups[i].size())));
  }
  return Datum::of(store_array(values, oid::kText));
}

Datum first_match(const Call& c, std::string_view flag_text) {
  const Flags flags = parse_flags(flag_text);
  if (flags.global)
    raise("22023", "regexp_match() does not support the \"global\" option",
          "Use the regexp_matches function instead.");
  Groups groups;
  if (!match_at(compile_for_text(c.text(1), flags), c.text(0), 0, groups)) return {};
  return groups_array(groups);
}

Datum substring(const Call& c) {
  Groups groups;
  if (!match_at(compile_for_text(c.text(1), {}), c.text(0), 0, groups)) return {};
  const re2::StringPiece& found = groups.size() > 1 ? groups[1] : groups[0];
  if (found.data() == nullptr) return {};
  return Datum::of(std::string(found.data(), found.size()));
}

std::vector<std::string> split(const Call& c) {
  const std::string_view text = c.text(0);
  const Flags flags = c.size() > 2 ? parse_flags(c.text(2)) : Flags{};
  const Compiled& compiled = compile_for_text(c.text(1), flags);
  std::vector<std::string> parts;
  std::size_t begin = 0;
  std::size_t start = 0;
  Groups groups;
  while (start < text.size() && match_at(compiled, text, start, groups)) {
    const std::size_t found = offset_of(groups[0], text);
    const bool empty = groups[0].empty();
    if (empty && found >= text.size()) break;
    if (!empty || found > begin) {
      parts.emplace_back(text.substr(begin, found - begin));
      begin = found + groups[0].size();
    }
    start = next_start(found + groups[0].size(), empty, text);
  }
  parts.emplace_back(text.substr(begin));
  return parts;
}

class TextRows final : public RowSource {
 public:
  explicit TextRows(std::vector<Datum> values) : values_(std::move(values)) {}
  bool next(std::vector<Datum>& row) override {
    if (at_ == values_.size()) return false;
    row = {values_[at_++]};
    return true;
  }

 private:
  std::vector<Datum> values_;
  std::size_t at_ = 0;
};

std::unique_ptr<RowSource> split_rows(const Call& c) {
  std::vector<Datum> values;
  for (std::string& part : split(c)) values.push_back(Datum::of(std::move(part)));
  return std::make_unique<TextRows>(std::move(values));
}

std::unique_ptr<RowSource> match_rows(const Call& c) {
  const Flags flags = c.size() > 2 ? parse_flags(c.text(2)) : Flags{};
  const Compiled& compiled = compile_for_text(c.text(1), flags);
  const std::string_view text = c.text(0);
  std::vector<Datum> values;
  Groups groups;
  std::size_t start = 0;
  while (start <= text.size() && match_at(compiled, text, start, groups)) {
    values.push_back(groups_array(groups));
    if (!flags.global) break;
    start = next_start(offset_of(groups[0], text) + groups[0].size(), groups[0].empty(), text);
  }
  return std::make_unique<TextRows>(std::move(values));
}

Datum split_array(const Call& c) {
  std::vector<Datum> values;
  for (std::string& part : split(c)) values.push_back(Datum::of(std::move(part)));
  return Datum::of(store_array(values, oid::kText));
}

Datum count_matches(const Call& c) {
  const Compiled& compiled = compile_for_text(c.text(1), {});
  const std::string_view text = c.text(0);
  std::int64_t count = 0;
  Groups groups;
  for (std::size_t start = 0; start <= text.size() && match_at(compiled, text, start, groups);
       ++count) {
    start = next_start(offset_of(groups[0], text) + groups[0].size(), groups[0].empty(), text);
  }
  return Datum::of(count);
}

}  // namespace

void add_regex_functions(FunctionTable& t) {
  t.scalar("~(text,text) bool",
           [](const Call& c) { return Datum::of_bool(matches(c.text(0), c.text(1), false)); });
  t.scalar("!~(text,text) bool",
           [](const Call& c) { return Datum::of_bool(!matches(c.text(0), c.text(1), false)); });
  t.scalar("~*(text,text) bool",
           [](const Call& c) { return Datum::of_bool(matches(c.text(0), c.text(1), true)); });
  t.scalar("!~*(text,text) bool",
           [](const Call& c) { return Datum::of_bool(!matches(c.text(0), c.text(1), true)); });
  t.scalar("regexp_like(text,text) bool",
           [](const Call& c) { return Datum::of_bool(matches(c.text(0), c.text(1), false)); });
  t.scalar("regexp_replace(text,text,text) text", [](const Call& c) {
    return Datum::of(replace_matches(c.text(0), c.text(1), c.text(2), ""));
  });
  t.scalar("regexp_replace(text,text,text,text) text", [](const Call& c) {
    return Datum::of(replace_matches(c.text(0), c.text(1), c.text(2), c.text(3)));
  });
  t.scalar("regexp_match(text,text) text[]", [](const Call& c) { return first_match(c, ""); });
  t.scalar("regexp_match(text,text,text) text[]",
           [](const Call& c) { return first_match(c, c.text(2)); });
  t.scalar("regexp_count(text,text) int4", count_matches);
  t.scalar("regexp_substr(text,text) text", [](const Call& c) {
    Groups groups;
    if (!match_at(compile_for_text(c.text(1), {}), c.text(0), 0, groups)) return Datum{};
    return Datum::of(std::string(groups[0].data(), groups[0].size()));
  });
  t.scalar("substring(text,text) text", substring);
  t.scalar("regexp_split_to_array(text,text) text[]", split_array);
  t.scalar("regexp_split_to_array(text,text,text) text[]", split_array);
  t.rows("regexp_split_to_table(text,text) text", split_rows);
  t.rows("regexp_split_to_table(text,text,text) text", split_rows);
  t.rows("regexp_matches(text,text) text[]", match_rows);
  t.rows("regexp_matches(text,text,text) text[]", match_rows);
}

}  // namespace calf::sqlite
