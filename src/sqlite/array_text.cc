#include "sqlite/array_text.h"

#include <algorithm>

#include "sqlite/json.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

class ArrayReader {
 public:
  ArrayReader(std::string_view text, Type array, const ConversionContext& context)
      : text_(text),
        rest_(text),
        element_{element_of(array.oid), array.typmod},
        context_(context) {}

  std::vector<Datum> read() {
    skip_spaces();
    if (!take('{')) fail("Array value must start with \"{\" or dimension information.");
    std::vector<Datum> elements;
    skip_spaces();
    if (!take('}')) {
      do {
        elements.push_back(read_element());
        skip_spaces();
      } while (take(','));
      if (!take('}')) fail("Unexpected end of input.");
    }
    skip_spaces();
    if (!rest_.empty()) fail("Junk after closing right brace.");
    return elements;
  }

 private:
  [[noreturn]] void fail(std::string detail) const {
    raise("22P02", "malformed array literal: \"" + std::string(text_) + "\"", {},
          std::move(detail));
  }
  void skip_spaces() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_[0])) != 0)
      rest_.remove_prefix(1);
  }
  bool take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  Datum read_element() {
    skip_spaces();
    if (!rest_.empty() && rest_[0] == '{') unsupported("an array of more than one dimension");
    if (take('"')) return from_text(read_quoted(), element_, context_);
    std::string word;
    while (!rest_.empty() && rest_[0] != ',' && rest_[0] != '}') {
      if (rest_[0] == '"' || rest_[0] == '{') fail("Incorrectly quoted array element.");
      if (rest_[0] == '\\') rest_.remove_prefix(1);
      if (rest_.empty()) break;
      word += rest_[0];
      rest_.remove_prefix(1);
    }
    word.erase(word.find_last_not_of(" \t\n\r") + 1);
    if (word.empty()) fail("Unexpected \"" + std::string(rest_.substr(0, 1)) + "\" character.");
    std::string lowered = word;
    std::transform(lowered.begin(), lowered.end(), lowered.begin(), ::tolower);
    if (lowered == "null") return {};
    return from_text(word, element_, context_);
  }

  std::string read_quoted() {
    std::string out;
    while (true) {
      if (rest_.empty()) fail("Unexpected end of input.");
      if (take('"')) return out;
      take('\\');
      if (rest_.empty()) fail("Unexpected end of input.");
      out += rest_[0];
      rest_.remove_prefix(1);
    }
  }

  std::string_view text_;
  std::string_view rest_;
  Type element_;
  const ConversionContext& context_;
};

bool needs_quotes(std::string_view text) {
  if (text.empty() || text.find_first_of(" \t\n\r\v\f,{}\"\\") != std::string_view::npos)
    return true;
  return text.size() == 4 && std::equal(text.begin(), text.end(), "null", [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         });
}

}  // namespace

std::vector<Datum> array_elements(std::string_view stored, Oid element) {
  static const ConversionContext kPlain;
  const Json json = Json::parse(stored);
  if (json.kind != Json::Kind::kArray) raise("22P02", "malformed array in the database");
  std::vector<Datum> elements;
  elements.reserve(json.items.size());
  for (const Json& item : json.items) {
    if (item.kind == Json::Kind::kNull) {
      elements.emplace_back();
    } else if (item.kind == Json::Kind::kTrue || item.kind == Json::Kind::kFalse) {
      elements.push_back(Datum::of_bool(item.kind == Json::Kind::kTrue));
    } else if (storage_of(element) == Storage::kInteger) {
      elements.push_back(from_text(item.text, {oid::kInt8}, kPlain));
    } else if (storage_of(element) == Storage::kReal) {
      elements.push_back(from_text(item.text, {oid::kFloat8}, kPlain));
    } else if (element == oid::kBytea) {
      elements.push_back(from_text(item.text, {oid::kBytea}, kPlain));
    } else {
      elements.push_back(Datum::of(item.text));
    }
  }
  return elements;
}

std::string store_array(const std::vector<Datum>& elements, Oid element) {
  static const ConversionContext kPlain;
  std::string out = "[";
  for (const Datum& value : elements) {
    if (out.size() > 1) out += ',';
    if (value.null()) {
      out += "null";
    } else if (element == oid::kBool) {
      out += value.integer != 0 ? "true" : "false";
    } else if (storage_of(element) == Storage::kInteger) {
      out += std::to_string(value.integer);
    } else if (storage_of(element) == Storage::kReal) {
      const std::string text = float_text(value.as_real(), element);
      out += std::isalpha(static_cast<unsigned char>(text.back())) != 0 ? json_quote(text) : text;
    } else if (element == oid::kBytea) {
      out += json_quote(to_text(value, oid::kBytea, kPlain));
    } else if (element == oid::kNumeric &&
               std::isdigit(static_cast<unsigned char>(value.text.back())) != 0) {
      out += value.text;
    } else {
      out += json_quote(value.text);
    }
  }
  return out + "]";
}

std::string read_array_text(std::string_view text, Type array, const ConversionContext& context) {
  return store_array(ArrayReader(text, array, context).read(), element_of(array.oid));
}

std::string array_text(std::string_view stored, Oid element, const ConversionContext& context) {
  std::string out = "{";
  for (const Datum& value : array_elements(stored, element)) {
    if (out.size() > 1) out += ',';
    if (value.null()) {
      out += "NULL";
      continue;
    }
    const std::string text = to_text(value, element, context);
    if (!needs_quotes(text)) {
      out += text;
      continue;
    }
    out += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

}  // namespace calf::sqlite
