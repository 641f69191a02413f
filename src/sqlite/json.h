// JSON as PostgreSQL has it: json is checked and kept, jsonb is read into a tree and printed in its
// canonical form. Numbers keep their digits. Also the form in which arrays are stored.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace calf::sqlite {

struct Json {
  enum class Kind { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  std::string text{};                                   // of a number or a string (decoded)
  std::vector<Json> items{};                            // of an array
  std::vector<std::pair<std::string, Json>> members{};  // of an object, in the order read
  std::string_view raw{};  // as it stands in the text that was parsed, while that lives

  // Raises 22P02. Nesting is bounded (54001).
  static Json parse(std::string_view text);
  static Json string(std::string text) { return {.kind = Kind::kString, .text = std::move(text)}; }
  static Json number(std::string text) { return {.kind = Kind::kNumber, .text = std::move(text)}; }
  static Json boolean(bool value) { return {.kind = value ? Kind::kTrue : Kind::kFalse}; }

  // jsonb's form: keys by length and bytes, the last duplicate wins, numbers in plain digits.
  void canonicalize();
  [[nodiscard]] std::string to_jsonb() const;    // {"a": 1, "b": [1, 2]}
  [[nodiscard]] std::string to_compact() const;  // {"a":1,"b":[1,2]}
  [[nodiscard]] std::string pretty(int depth = 0) const;
  // As ->> gives it: strings without quotes; null is no value.
  [[nodiscard]] std::string as_text() const;
  [[nodiscard]] const Json* member(std::string_view key) const;
  [[nodiscard]] const char* type_name() const;
};

std::string json_quote(std::string_view text);
int compare(const Json& a, const Json& b);           // jsonb's order
bool contains(const Json& whole, const Json& part);  // jsonb @>

// Raises 22P02; the text itself, in jsonb's canonical form.
std::string canonical_jsonb(std::string_view text);
// Raises 22P02 if it is not JSON.
void check_json(std::string_view text);

}  // namespace calf::sqlite
