#include "sqlite/json.h"

#include <algorithm>

#include "sqlite/decimal.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

constexpr int kMaxDepth = 3000;

class Parser {
 public:
  explicit Parser(std::string_view text, bool keep_nul = false)
      : rest_(text), keep_nul_(keep_nul) {}

  Json parse_all() {
    Json value = parse_value(0);
    skip_spaces();
    if (!rest_.empty()) fail();
    return value;
  }

 private:
  [[noreturn]] void fail(std::string detail = {}) const {
    if (detail.empty()) {
      detail = rest_.empty() ? "The input string ended unexpectedly."
                             : "Token \"" + token() + "\" is invalid.";
    }
    raise("22P02", "invalid input syntax for type json", {}, std::move(detail));
  }
  [[nodiscard]] std::string token() const {
    std::size_t end = 0;
    while (end < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[end])) != 0 ||
                                  rest_[end] == '_' || (rest_[end] & 0x80) != 0)) {
      ++end;
    }
    return std::string(rest_.substr(0, std::max<std::size_t>(end, 1)));
  }
  void skip_spaces() {
    while (!rest_.empty() &&
           (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\n' || rest_[0] == '\r')) {
      rest_.remove_prefix(1);
    }
  }
  bool take(char c) {
    skip_spaces();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_word(std::string_view word) {
    if (!rest_.starts_with(word) ||
        (rest_.size() > word.size() &&
         std::isalnum(static_cast<unsigned char>(rest_[word.size()])) != 0)) {
      return false;
    }
    rest_.remove_prefix(word.size());
    return true;
  }

  Json parse_value(int depth) {
    if (depth > kMaxDepth) raise("54001", "stack depth limit exceeded");
    skip_spaces();
    const char* begin = rest_.data();
    Json value = parse_any(depth);
    value.raw = {begin, static_cast<std::size_t>(rest_.data() - begin)};
    return value;
  }

  Json parse_any(int depth) {
    if (rest_.empty()) fail();
    if (rest_[0] == '{') return parse_object(depth);
    if (rest_[0] == '[') return parse_array(depth);
    if (rest_[0] == '"') return Json::string(parse_string());
    if (take_word("null")) return {};
    if (take_word("true")) return Json::boolean(true);
    if (take_word("false")) return Json::boolean(false);
    return parse_number();
  }

  Json parse_object(int depth) {
    Json value{.kind = Json::Kind::kObject};
    take('{');
    if (take('}')) return value;
    do {
      skip_spaces();
      if (rest_.empty() || rest_[0] != '"') fail();
      std::string key = parse_string();
      if (!take(':')) fail();
      value.members.emplace_back(std::move(key), parse_value(depth + 1));
    } while (take(','));
    if (!take('}')) fail();
    return value;
  }

  Json parse_array(int depth) {
    Json value{.kind = Json::Kind::kArray};
    take('[');
    if (take(']')) return value;
    do {
      value.items.push_back(parse_value(depth + 1));
    } while (take(','));
    if (!take(']')) fail();
    return value;
  }

  Json parse_number() {
    std::size_t n = rest_[0] == '-' ? 1 : 0;
    const auto digits = [&] {
      const std::size_t first = n;
      while (n < rest_.size() && std::isdigit(static_cast<unsigned char>(rest_[n])) != 0) ++n;
      return n - first;
    };
    const std::size_t first = n;
    const std::size_t whole = digits();
    if (whole == 0 || (whole > 1 && rest_[first] == '0')) fail();
    if (n < rest_.size() && rest_[n] == '.' && (++n, digits() == 0)) fail();
    if (n < rest_.size() && (rest_[n] == 'e' || rest_[n] == 'E')) {
      ++n;
      if (n < rest_.size() && (rest_[n] == '+' || rest_[n] == '-')) ++n;
      if (digits() == 0) fail();
    }
    if (n < rest_.size() && std::isalpha(static_cast<unsigned char>(rest_[n])) != 0) fail();
    Json value = Json::number(std::string(rest_.substr(0, n)));
    rest_.remove_prefix(n);
    return value;
  }

  std::string parse_string() {
    std::string out;
    rest_.remove_prefix(1);
    while (true) {
      if (rest_.empty()) fail("Token \"\"\" is invalid.");
      const char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') return out;
      if (static_cast<unsigned char>(c) < 0x20) {
        fail("Character with value 0x" + std::string(1, "0123456789abcdef"[c >> 4]) +
             std::string(1, "0123456789abcdef"[c & 15]) + " must be escaped.");
      }
      if (c == '\\') {
        parse_escape(out);
      } else {
        out += c;
      }
    }
  }

  void parse_escape(std::string& out) {
    if (rest_.empty()) fail();
    const char c = rest_[0];
    rest_.remove_prefix(1);
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    if (c == 'u') {
      append_utf8(out, parse_code_point());
    } else if (const std::size_t at = kNames.find(c); at != std::string_view::npos) {
      out += kValues[at];
    } else {
      fail("Escape sequence \"\\" + std::string(1, c) + "\" is invalid.");
    }
  }

  unsigned parse_hex4() {
    unsigned value = 0;
    for (int i = 0; i < 4; ++i) {
      if (rest_.empty() || std::isxdigit(static_cast<unsigned char>(rest_[0])) == 0) {
        fail("\"\\u\" must be followed by four hexadecimal digits.");
      }
      const char c = static_cast<char>(std::tolower(static_cast<unsigned char>(rest_[0])));
      value = value * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
      rest_.remove_prefix(1);
    }
    return value;
  }

  unsigned parse_code_point() {
    const unsigned first = parse_hex4();
    if (first == 0 && !keep_nul_)
      raise("22P05", "unsupported Unicode escape sequence", {},
            "\\u0000 cannot be converted to text.");
    if (first < 0xd800 || first > 0xdfff) return first;
    if (first > 0xdbff || !rest_.starts_with("\\u")) {
      fail("Unicode low surrogate must follow a high surrogate.");
    }
    rest_.remove_prefix(2);
    const unsigned second = parse_hex4();
    if (second < 0xdc00 || second > 0xdfff)
      fail("Unicode low surrogate must follow a high surrogate.");
    return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
  }

  static void append_utf8(std::string& out, unsigned c) {
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else if (c < 0x800) {
      out += static_cast<char>(0xc0 | c >> 6);
      out += static_cast<char>(0x80 | (c & 63));
    } else if (c < 0x10000) {
      out += static_cast<char>(0xe0 | c >> 12);
      out += static_cast<char>(0x80 | (c >> 6 & 63));
      out += static_cast<char>(0x80 | (c & 63));
    } else {
      out += static_cast<char>(0xf0 | c >> 18);
      out += static_cast<char>(0x80 | (c >> 12 & 63));
      out += static_cast<char>(0x80 | (c >> 6 & 63));
      out += static_cast<char>(0x80 | (c & 63));
    }
  }

  std::string_view rest_;
  bool keep_nul_;  // json keeps \u0000 as it stands; it has no text
};

void print(const Json& value, std::string& out, std::string_view comma, std::string_view colon) {
  switch (value.kind) {
    case Json::Kind::kNull:
      out += "null";
      return;
    case Json::Kind::kFalse:
      out += "false";
      return;
    case Json::Kind::kTrue:
      out += "true";
      return;
    case Json::Kind::kNumber:
      out += value.text;
      return;
    case Json::Kind::kString:
      out += json_quote(value.text);
      return;
    case Json::Kind::kArray:
      out += '[';
      for (std::size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) out += comma;
        print(value.items[i], out, comma, colon);
      }
      out += ']';
      return;
    case Json::Kind::kObject:
      out += '{';
      for (std::size_t i = 0; i < value.members.size(); ++i) {
        if (i > 0) out += comma;
        out += json_quote(value.members[i].first);
        out += colon;
        print(value.members[i].second, out, comma, colon);
      }
      out += '}';
      return;
  }
}

bool key_before(std::string_view a, std::string_view b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// Object > Array > Boolean > Number > String > null.
int rank_of(const Json& value) {
  switch (value.kind) {
    case Json::Kind::kNull:
      return 0;
    case Json::Kind::kString:
      return 1;
    case Json::Kind::kNumber:
      return 2;
    case Json::Kind::kFalse:
    case Json::Kind::kTrue:
      return 3;
    case Json::Kind::kArray:
      return 4;
    case Json::Kind::kObject:
      break;
  }
  return 5;
}

int compare_sizes(std::size_t a, std::size_t b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

}  // namespace

Json Json::parse(std::string_view text) {
  return Parser(text).parse_all();
}

void Json::canonicalize() {
  if (kind == Kind::kNumber) text = Decimal::read(text).to_string();
  for (Json& item : items) item.canonicalize();
  for (auto& [key, value] : members) value.canonicalize();
  std::stable_sort(members.begin(), members.end(),
                   [](const auto& a, const auto& b) { return key_before(a.first, b.first); });
  // The last of equal keys stays.
  std::vector<std::pair<std::string, Json>> unique;
  for (auto& member : members) {
    if (!unique.empty() && unique.back().first == member.first) unique.pop_back();
    unique.push_back(std::move(member));
  }
  members = std::move(unique);
}

std::string Json::to_jsonb() const {
  std::string out;
  print(*this, out, ", ", ": ");
  return out;
}

std::string Json::to_compact() const {
  std::string out;
  print(*this, out, ",", ":");
  return out;
}

std::string Json::pretty(int depth) const {
  const std::string indent(static_cast<std::size_t>(depth + 1) * 4, ' ');
  const std::string end = "\n" + std::string(static_cast<std::size_t>(depth) * 4, ' ');
  std::string out;
  if (kind == Kind::kArray) {
    for (const Json& item : items)
      out += (out.empty() ? "\n" : ",\n") + indent + item.pretty(depth + 1);
    return "[" + out + end + "]";
  }
  if (kind == Kind::kObject) {
    for (const auto& [key, value] : members) {
      out +=
          (out.empty() ? "\n" : ",\n") + indent + json_quote(key) + ": " + value.pretty(depth + 1);
    }
    return "{" + out + end + "}";
  }
  return to_jsonb();
}

std::string Json::as_text() const {
  return kind == Kind::kString ? text : to_jsonb();
}

const Json* Json::member(std::string_view key) const {
  const Json* found = nullptr;
  for (const auto& [name, value] : members) {
    if (name == key) found = &value;
  }
  return found;
}

const char* Json::type_name() const {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kFalse:
    case Kind::kTrue:
      return "boolean";
    case Kind::kNumber:
      return "number";
    case Kind::kString:
      return "string";
    case Kind::kArray:
      return "array";
    case Kind::kObject:
      break;
  }
  return "object";
}

std::string json_quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    constexpr std::string_view kValues = "\"\\\b\f\n\r\t";
    constexpr std::string_view kNames = "\"\\bfnrt";
    if (const std::size_t at = kValues.find(c); at != std::string_view::npos) {
      out += '\\';
      out += kNames[at];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

int compare(const Json& a, const Json& b) {
  if (const int ranks = rank_of(a) - rank_of(b); ranks != 0) {
    // An empty array is less than anything else: PostgreSQL's history.
    if (a.kind == Json::Kind::kArray && a.items.empty()) return -1;
    if (b.kind == Json::Kind::kArray && b.items.empty()) return 1;
    return ranks;
  }
  switch (a.kind) {
    case Json::Kind::kNull:
      return 0;
    case Json::Kind::kString:
      return a.text.compare(b.text);
    case Json::Kind::kNumber:
      return compare(Decimal::read(a.text), Decimal::read(b.text));
    case Json::Kind::kFalse:
    case Json::Kind::kTrue:
      return int(a.kind == Json::Kind::kTrue) - int(b.kind == Json::Kind::kTrue);
    case Json::Kind::kArray:
      if (a.items.size() != b.items.size()) return compare_sizes(a.items.size(), b.items.size());
      for (std::size_t i = 0; i < a.items.size(); ++i) {
        if (const int c = compare(a.items[i], b.items[i]); c != 0) return c;
      }
      return 0;
    case Json::Kind::kObject:
      break;
  }
  if (a.members.size() != b.members.size()) {
    return compare_sizes(a.members.size(), b.members.size());
  }
  for (std::size_t i = 0; i < a.members.size(); ++i) {
    if (a.members[i].first != b.members[i].first) {
      return key_before(a.members[i].first, b.members[i].first) ? -1 : 1;
    }
    if (const int c = compare(a.members[i].second, b.members[i].second); c != 0) return c;
  }
  return 0;
}

bool contains(const Json& whole, const Json& part) {
  const bool scalar = part.kind != Json::Kind::kArray && part.kind != Json::Kind::kObject;
  if (whole.kind == Json::Kind::kArray && scalar) {
    return std::any_of(whole.items.begin(), whole.items.end(),
                       [&](const Json& item) { return compare(item, part) == 0; });
  }
  if (whole.kind != part.kind) return false;
  if (part.kind == Json::Kind::kArray) {
    return std::all_of(part.items.begin(), part.items.end(), [&](const Json& wanted) {
      return std::any_of(whole.items.begin(), whole.items.end(), [&](const Json& item) {
        return item.kind == wanted.kind && contains(item, wanted);
      });
    });
  }
  if (part.kind == Json::Kind::kObject) {
    return std::all_of(part.members.begin(), part.members.end(), [&](const auto& wanted) {
      const Json* value = whole.member(wanted.first);
      return value != nullptr && value->kind == wanted.second.kind &&
             contains(*value, wanted.second);
    });
  }
  return compare(whole, part) == 0;
}

std::string canonical_jsonb(std::string_view text) {
  Json value = Json::parse(text);
  value.canonicalize();
  return value.to_jsonb();
}

void check_json(std::string_view text) {
  Parser(text, true).parse_all();
}

}  // namespace calf::sqlite
