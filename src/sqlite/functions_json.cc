// json and jsonb: operators and functions.
#include <algorithm>

#include "sqlite/functions.h"
#include "sqlite/json.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

Datum text_of(const Json* value) {
  return value == nullptr || value->kind == Json::Kind::kNull
             ? Datum{}
             : Datum::of(value->kind == Json::Kind::kString ? value->text
                                                            : std::string(value->raw));
}
// The text as it stands in the source: json keeps it so, and jsonb is canonical already.
Datum raw_of(const Json* value) {
  return value == nullptr ? Datum{} : Datum::of(value->raw);
}

const Json* element(const Json& value, std::int64_t index) {
  if (value.kind != Json::Kind::kArray) return nullptr;
  const auto size = static_cast<std::int64_t>(value.items.size());
  if (index < 0) index += size;
  return index >= 0 && index < size ? &value.items[static_cast<std::size_t>(index)] : nullptr;
}

const Json* at_path(const Json& value, const std::vector<Datum>& path) {
  const Json* at = &value;
  for (const Datum& step : path) {
    if (step.null()) return nullptr;
    if (at->kind == Json::Kind::kObject) {
      at = at->member(step.text);
    } else {
      char* end = nullptr;
      const long index = std::strtol(step.text.c_str(), &end, 10);
      at = step.text.empty() || *end != '\0' ? nullptr : element(*at, index);
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::vector<Datum> texts(const Datum& array) {
  return array_elements(array.text, oid::kText);
}

std::vector<Datum> variadic_path(const Call& c) {
  return {c.arguments.begin() + 1, c.arguments.end()};
}

bool has_key(const Json& value, std::string_view key) {
  if (value.kind == Json::Kind::kObject) return value.member(key) != nullptr;
  if (value.kind == Json::Kind::kString) return value.text == key;
  return std::any_of(value.items.begin(), value.items.end(), [&](const Json& item) {
    return item.kind == Json::Kind::kString && item.text == key;
  });
}

Datum jsonb(Json value) {
  value.canonicalize();
  return Datum::of(value.to_jsonb());
}

Datum concatenate(const Call& c) {
  Json a = Json::parse(c.text(0));
  Json b = Json::parse(c.text(1));
  const auto object = Json::Kind::kObject;
  if (a.kind == object && b.kind == object) {
    for (auto& member : b.members) a.members.push_back(std::move(member));
    return jsonb(std::move(a));
  }
  const auto as_array = [](Json value) {
    if (value.kind == Json::Kind::kArray) return value;
    Json array{.kind = Json::Kind::kArray};
    array.items.push_back(std::move(value));
    return array;
  };
  Json left = as_array(std::move(a));
  for (Json& item : as_array(std::move(b)).items) left.items.push_back(std::move(item));
  return jsonb(std::move(left));
}

void remove_key(Json& value, std::string_view key) {
  std::erase_if(value.members, [&](const auto& member) { return member.first == key; });
  std::erase_if(value.items, [&](const Json& item) {
    return item.kind == Json::Kind::kString && item.text == key;
  });
}

Datum remove_text(const Call& c) {
  Json value = Json::parse(c.text(0));
  if (value.kind != Json::Kind::kArray && value.kind != Json::Kind::kObject)
    raise("22023", "cannot delete from scalar");
  remove_key(value, c.text(1));
  return jsonb(std::move(value));
}
Datum remove_texts(const Call& c) {
  Json value = Json::parse(c.text(0));
  if (value.kind != Json::Kind::kArray && value.kind != Json::Kind::kObject)
    raise("22023", "cannot delete from scalar");
  for (const Datum& key : texts(c.arguments[1])) remove_key(value, key.text);
  return jsonb(std::move(value));
}
Datum remove_index(const Call& c) {
  Json value = Json::parse(c.text(0));
  if (value.kind == Json::Kind::kObject)
    raise("22023", "cannot delete from object using integer index");
  if (value.kind != Json::Kind::kArray) raise("22023", "cannot delete from scalar");
  if (const Json* found = element(value, c.integer(1)))
    value.items.erase(value.items.begin() + (found - value.items.data()));
  return jsonb(std::move(value));
}

// Where a path leads, for writing: the parent of its last step; nullptr when that is not there.
Json* parent_of(Json& value, const std::vector<Datum>& path) {
  const std::vector<Datum> front(path.begin(), path.end() - 1);
  return const_cast<Json*>(at_path(value, front));
}

Datum remove_path(const Call& c) {
  Json value = Json::parse(c.text(0));
  const std::vector<Datum> path = texts(c.arguments[1]);
  if (path.empty()) return c.arguments[0];
  Json* parent = parent_of(value, path);
  if (parent == nullptr) return c.arguments[0];
  if (parent->kind == Json::Kind::kObject) {
    remove_key(*parent, path.back().text);
  } else if (const Json* found = at_path(*parent, {path.back()})) {
    parent->items.erase(parent->items.begin() + (found - parent->items.data()));
  }
  return jsonb(std::move(value));
}

Datum set_path(const Call& c, bool create, bool insert, bool after) {
  Json value = Json::parse(c.text(0));
  const std::vector<Datum> path = texts(c.arguments[1]);
  if (value.kind != Json::Kind::kArray && value.kind != Json::Kind::kObject)
    raise("22023", "cannot set path in scalar");
  if (path.empty()) return c.arguments[0];
  Json replacement = Json::parse(c.text(2));
  Json* parent = parent_of(value, path);
  if (parent == nullptr) return c.arguments[0];
  if (parent->kind == Json::Kind::kObject) {
    const bool exists = parent->member(path.back().text) != nullptr;
    if (exists && insert)
      raise("22023", "cannot replace existing key",
            "Try using the function jsonb_set to replace key value.");
    if (exists || create) parent->members.emplace_back(path.back().text, std::move(replacement));
  } else if (parent->kind == Json::Kind::kArray) {
    char* end = nullptr;
    const long index = std::strtol(path.back().text.c_str(), &end, 10);
    if (*end != '\0')
      raise("22P02", "path element at position " + std::to_string(path.size()) +
                         " is not an integer: \"" + path.back().text + "\"");
    const Json* found = element(*parent, index);
    const auto place = found != nullptr ? parent->items.begin() + (found - parent->items.data())
                       : index < 0      ? parent->items.begin()
                                        : parent->items.end();
    if (insert) {
      parent->items.insert(found != nullptr && after ? place + 1 : place, std::move(replacement));
    } else if (found != nullptr) {
      *place = std::move(replacement);
    } else if (create) {
      parent->items.insert(place, std::move(replacement));
    }
  }
  return jsonb(std::move(value));
}

Json strip_nulls(Json value) {
  std::erase_if(value.members,
                [](const auto& member) { return member.second.kind == Json::Kind::kNull; });
  for (auto& [key, item] : value.members) item = strip_nulls(std::move(item));
  for (Json& item : value.items) item = strip_nulls(std::move(item));
  return value;
}

Datum array_length(const Call& c) {
  const Json value = Json::parse(c.text(0));
  if (value.kind == Json::Kind::kObject) raise("22023", "cannot get array length of a non-array");
  if (value.kind != Json::Kind::kArray) raise("22023", "cannot get array length of a scalar");
  return Datum::of(static_cast<std::int64_t>(value.items.size()));
}

// The arguments are json texts already: the rewriter converts each by its type.
Datum build_array(const Call& c) {
  std::string out = "[";
  for (std::size_t i = 0; i < c.size(); ++i) {
    out += (i > 0 ? ", " : "") + (c.null(i) ? "null" : c.text(i));
  }
  return Datum::of(out + "]");
}

std::string key_text(const Call& c, std::size_t i) {
  if (c.null(i)) raise("22004", "argument " + std::to_string(i + 1) + ": key must not be null");
  const Json key = Json::parse(c.text(i));
  return json_quote(key.kind == Json::Kind::kString ? key.text : std::string(key.raw));
}

Datum build_object(const Call& c) {
  if (c.size() % 2 != 0)
    raise("22023", "argument list must have even number of elements",
          "The arguments of json_build_object() must consist of alternating keys and values.");
  std::string out = "{";
  for (std::size_t i = 0; i < c.size(); i += 2) {
    out += (i > 0 ? ", " : "") + key_text(c, i) + " : " + (c.null(i + 1) ? "null" : c.text(i + 1));
  }
  return Datum::of(out + "}");
}

void add_access(FunctionTable& t, const std::string& type) {
  const Implementation member = [](const Call& c) {
    const Json v = Json::parse(c.text(0));
    return raw_of(v.member(c.text(1)));
  };
  const Implementation member_text = [](const Call& c) {
    const Json v = Json::parse(c.text(0));
    return text_of(v.member(c.text(1)));
  };
  const Implementation item = [](const Call& c) {
    const Json v = Json::parse(c.text(0));
    return raw_of(element(v, c.integer(1)));
  };
  const Implementation item_text = [](const Call& c) {
    const Json v = Json::parse(c.text(0));
    return text_of(element(v, c.integer(1)));
  };
  const Implementation path = [](const Call& c) {
    const Json v = Json::parse(c.text(0));
    return raw_of(at_path(v, texts(c.arguments[1])));
  };
  const Implementation path_text = [](const Call& c) {
    const Json v = Json::parse(c.text(0));
    return text_of(at_path(v, texts(c.arguments[1])));
  };
  t.scalar("->(" + type + ",text) " + type, member);
  t.scalar("->>(" + type + ",text) text", member_text);
  t.scalar("->(" + type + ",int4) " + type, item);
  t.scalar("->>(" + type + ",int4) text", item_text);
  t.scalar("#>(" + type + ",text[]) " + type, path);
  t.scalar("#>>(" + type + ",text[]) text", path_text);
  t.scalar(type + "_extract_path(" + type + ",text...) " + type, [](const Call& c) {
    const Json v = Json::parse(c.text(0));
    return raw_of(at_path(v, variadic_path(c)));
  });
  t.scalar(type + "_extract_path_text(" + type + ",text...) text", [](const Call& c) {
    const Json v = Json::parse(c.text(0));
    return text_of(at_path(v, variadic_path(c)));
  });
  t.scalar(type + "_typeof(" + type + ") text",
           [](const Call& c) { return Datum::of(Json::parse(c.text(0)).type_name()); });
  t.scalar(type + "_array_length(" + type + ") int4", array_length);
}

void add_jsonb(FunctionTable& t) {
  t.scalar("@>(jsonb,jsonb) bool", [](const Call& c) {
    return Datum::of_bool(contains(Json::parse(c.text(0)), Json::parse(c.text(1))));
  });
  t.scalar("<@(jsonb,jsonb) bool", [](const Call& c) {
    return Datum::of_bool(contains(Json::parse(c.text(1)), Json::parse(c.text(0))));
  });
  t.scalar("?(jsonb,text) bool", [](const Call& c) {
    return Datum::of_bool(has_key(Json::parse(c.text(0)), c.text(1)));
  });
  t.scalar("?|(jsonb,text[]) bool", [](const Call& c) {
    const Json value = Json::parse(c.text(0));
    const auto keys = texts(c.arguments[1]);
    return Datum::of_bool(std::any_of(keys.begin(), keys.end(),
                                      [&](const Datum& key) { return has_key(value, key.text); }));
  });
  t.scalar("?&(jsonb,text[]) bool", [](const Call& c) {
    const Json value = Json::parse(c.text(0));
    const auto keys = texts(c.arguments[1]);
    return Datum::of_bool(std::all_of(keys.begin(), keys.end(),
                                      [&](const Datum& key) { return has_key(value, key.text); }));
  });
  t.scalar("||(jsonb,jsonb) jsonb", concatenate);
  t.scalar("-(jsonb,text) jsonb", remove_text);
  t.scalar("-(jsonb,text[]) jsonb", remove_texts);
  t.scalar("-(jsonb,int4) jsonb", remove_index);
  t.scalar("#-(jsonb,text[]) jsonb", remove_path);
  t.scalar("jsonb_set(jsonb,text[],jsonb) jsonb",
           [](const Call& c) { return set_path(c, true, false, false); });
  t.scalar("jsonb_set(jsonb,text[],jsonb,bool) jsonb",
           [](const Call& c) { return set_path(c, c.integer(3) != 0, false, false); });
  t.scalar("jsonb_insert(jsonb,text[],jsonb) jsonb",
           [](const Call& c) { return set_path(c, true, true, false); });
  t.scalar("jsonb_insert(jsonb,text[],jsonb,bool) jsonb",
           [](const Call& c) { return set_path(c, true, true, c.integer(3) != 0); });
  t.scalar("jsonb_pretty(jsonb) text",
           [](const Call& c) { return Datum::of(Json::parse(c.text(0)).pretty()); });
  t.scalar("jsonb_strip_nulls(jsonb) jsonb",
           [](const Call& c) { return jsonb(strip_nulls(Json::parse(c.text(0)))); });
  t.scalar("json_strip_nulls(json) json", [](const Call& c) {
    return Datum::of(strip_nulls(Json::parse(c.text(0))).to_compact());
  });
  t.nullable("jsonb_build_array(any...) jsonb",
             [](const Call& c) { return Datum::of(canonical_jsonb(build_array(c).text)); });
  t.nullable("jsonb_build_object(any...) jsonb",
             [](const Call& c) { return Datum::of(canonical_jsonb(build_object(c).text)); });
  t.nullable("json_build_array(any...) json", build_array);
  t.nullable("json_build_object(any...) json", build_object);
}

// A value as json, by its type: how to_json and its relatives print.
std::string json_of(const Datum& value, Oid type, const ConversionContext& context) {
  if (value.null()) return "null";
  if (const Oid item = element_of(type); item != 0) {
    std::string out = "[";
    for (const Datum& entry : array_elements(value.text, item)) {
      out += (out.size() > 1 ? "," : "") + json_of(entry, item, context);
    }
    return out + "]";
  }
  if (type == oid::kJson || type == oid::kJsonb) return value.text;
  if (type == oid::kBool) return value.integer != 0 ? "true" : "false";
  std::string text = to_text(value, type, context);
  if (is_number(type) && std::isalpha(static_cast<unsigned char>(text.back())) == 0) return text;
  if (type == oid::kTimestamp || type == oid::kTimestamptz) {
    if (const std::size_t space = text.find(' '); space != std::string::npos) text[space] = 'T';
    if (type == oid::kTimestamptz && text.size() > 6 &&
        (text[text.size() - 3] == '+' || text[text.size() - 3] == '-'))
      text += ":00";
  }
  return json_quote(text);
}

}  // namespace

void add_json_functions(FunctionTable& t) {
  add_access(t, "json");
  add_access(t, "jsonb");
  add_jsonb(t);
  // (name, value as json, …): a row.
  t.nullable("calf_row_json(any...) json", [](const Call& c) {
    std::string out = "{";
    for (std::size_t i = 0; i + 1 < c.size(); i += 2)
      out += (i > 0 ? "," : "") + json_quote(c.text(i)) + ":" + c.text(i + 1);
    return Datum::of(out + "}");
  });
  t.scalar("calf_no_row() text", [](const Call&) -> Datum {
    unsupported("a row with floating-point, binary or composite columns as one value");
  });
  // (value, oid of its type): what the rewriter puts around arguments that become json.
  t.nullable("calf_json(any,int4) json", [](const Call& c) {
    return Datum::of(json_of(c.arguments[0], static_cast<Oid>(c.integer(1)), c.host.conversion()));
  });
}

}  // namespace calf::sqlite
