// Arrays, which are stored as JSON. Calls name the element's type in a last argument, which the
// rewriter adds: a value does not know it.
#include <algorithm>

#include "sqlite/functions.h"
#include "sqlite/json.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

// Elements in their stored form: equal text is equal value for the types that the rewriter lets
// through (not numeric, interval and jsonb, whose equal values have several texts).
std::vector<std::string> items(const Datum& array) {
  std::vector<std::string> out;
  const Json json = Json::parse(array.text);
  for (const Json& item : json.items) out.emplace_back(item.raw);
  return out;
}

Datum joined(const std::vector<std::string>& values) {
  std::string out = "[";
  for (const std::string& value : values) out += (out.size() > 1 ? "," : "") + value;
  return Datum::of(out + "]");
}

bool has(const std::vector<std::string>& values, const std::string& value) {
  return value != "null" && std::find(values.begin(), values.end(), value) != values.end();
}

// The last argument is one element as a one-element array.
Datum position(const Call& c) {
  const auto values = items(c.arguments[0]);
  const auto wanted = items(c.arguments[1]);
  const auto found = std::find(values.begin(), values.end(), wanted.at(0));
  return found == values.end() ? Datum{} : Datum::of(std::int64_t{found - values.begin() + 1});
}

Datum replace(const Call& c) {
  auto values = items(c.arguments[0]);
  std::replace(values.begin(), values.end(), items(c.arguments[1]).at(0),
               items(c.arguments[2]).at(0));
  return joined(values);
}

Datum remove(const Call& c) {
  auto values = items(c.arguments[0]);
  std::erase(values, items(c.arguments[1]).at(0));
  return joined(values);
}

Datum concatenate(const Call& c) {
  if (c.null(0)) return c.arguments[1];
  if (c.null(1)) return c.arguments[0];
  auto values = items(c.arguments[0]);
  for (std::string& value : items(c.arguments[1])) values.push_back(std::move(value));
  return joined(values);
}

Datum overlap(const Call& c) {
  const auto left = items(c.arguments[0]);
  const auto right = items(c.arguments[1]);
  return Datum::of_bool(
      std::any_of(left.begin(), left.end(), [&](const std::string& v) { return has(right, v); }));
}

Datum covers(const Call& c) {
  const auto whole = items(c.arguments[0]);
  const auto part = items(c.arguments[1]);
  return Datum::of_bool(
      std::all_of(part.begin(), part.end(), [&](const std::string& v) { return has(whole, v); }));
}

// (array, first, last, element type): from 1; NULL bounds are the array's own.
Datum slice(const Call& c) {
  if (c.null(0)) return {};
  const auto values = items(c.arguments[0]);
  const auto size = static_cast<std::int64_t>(values.size());
  const std::int64_t first = std::max<std::int64_t>(c.null(1) ? 1 : c.integer(1), 1);
  const std::int64_t last = std::min(c.null(2) ? size : c.integer(2), size);
  if (first > last) return Datum::of("[]");
  return joined({values.begin() + (first - 1), values.begin() + last});
}

Datum element(const Call& c) {
  const auto values = array_elements(c.text(0), static_cast<Oid>(c.integer(2)));
  const std::int64_t index = c.integer(1);
  if (index < 1 || index > static_cast<std::int64_t>(values.size())) return {};
  return values[static_cast<std::size_t>(index - 1)];
}

Datum build(const Call& c) {
  const std::vector<Datum> values(c.arguments.begin() + 1, c.arguments.end());
  return Datum::of(store_array(values, static_cast<Oid>(c.integer(0))));
}

Datum to_string(const Call& c) {
  if (c.null(0) || c.null(1)) return {};
  std::string out;
  bool first = true;
  const auto type = static_cast<Oid>(c.integer(3));
  for (const Datum& value : array_elements(c.text(0), type)) {
    if (value.null() && c.null(2)) continue;
    if (!first) out += c.text(1);
    out += value.null() ? c.text(2) : to_text(value, type, c.host.conversion());
    first = false;
  }
  return Datum::of(std::move(out));
}

Datum from_string(const Call& c) {
  if (c.null(0)) return {};
  std::vector<Datum> values;
  const std::string& text = c.text(0);
  const auto add = [&](std::string part) {
    const bool is_null = c.size() > 2 && !c.null(2) && part == c.text(2);
    values.push_back(is_null ? Datum{} : Datum::of(std::move(part)));
  };
  if (text.empty()) return Datum::of("[]");
  if (c.null(1)) {
    for (std::size_t i = 0; i < text.size();) {
      std::size_t end = i + 1;
      while (end < text.size() && (text[end] & 0xc0) == 0x80) ++end;
      add(text.substr(i, end - i));
      i = end;
    }
  } else if (c.text(1).empty()) {
    add(text);
  } else {
    for (std::size_t at = 0;;) {
      const std::size_t found = text.find(c.text(1), at);
      add(text.substr(at, found - at));
      if (found == std::string::npos) break;
      at = found + c.text(1).size();
    }
  }
  return Datum::of(store_array(values, oid::kText));
}

}  // namespace

void add_array_functions(FunctionTable& t) {
  t.scalar("array_length(anyarray,int4) int4", [](const Call& c) {
    const auto size = static_cast<std::int64_t>(items(c.arguments[0]).size());
    return c.integer(1) != 1 || size == 0 ? Datum{} : Datum::of(size);
  });
  t.scalar("array_upper(anyarray,int4) int4", [](const Call& c) {
    const auto size = static_cast<std::int64_t>(items(c.arguments[0]).size());
    return c.integer(1) != 1 || size == 0 ? Datum{} : Datum::of(size);
  });
  t.scalar("array_lower(anyarray,int4) int4", [](const Call& c) {
    return c.integer(1) != 1 || items(c.arguments[0]).empty() ? Datum{}
                                                              : Datum::of(std::int64_t{1});
  });
  t.scalar("array_ndims(anyarray) int4", [](const Call& c) {
    return items(c.arguments[0]).empty() ? Datum{} : Datum::of(std::int64_t{1});
  });
  t.scalar("cardinality(anyarray) int4", [](const Call& c) {
    return Datum::of(static_cast<std::int64_t>(items(c.arguments[0]).size()));
  });
  t.nullable("calf_array_cat(any,any) text", concatenate);
  t.scalar("&&(anyarray,anyarray) bool", overlap);
  t.scalar("@>(anyarray,anyarray) bool", covers);
  t.native("<@(anyarray,anyarray) bool", "\"@>(anyarray,anyarray)\"($2, $1)");
  t.scalar("calf_array_position(any,any) int4", position);
  t.scalar("calf_array_remove(any,any) text", remove);
  t.scalar("calf_array_replace(any,any,any) text", replace);
  t.nullable("calf_array_slice(any,any,any) text", slice);
  t.scalar("calf_array_element(any,int4,int4) text", element);
  t.nullable("calf_array(int4,any...) text", build);
  t.nullable("calf_array_to_string(any,any,any,int4) text", to_string);
  t.nullable("string_to_array(text,text) text[]", from_string);
  t.nullable("string_to_array(text,text,text) text[]", from_string);
}

}  // namespace calf::sqlite
