// Names of types.
#include <algorithm>

#include "sqlite/analyzer.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {

Type Analyzer::type_of(const pg::TypeName& name, bool* serial) {
  const auto names = CALF_LIST(&name, names);
  const std::string_view schema =
      names.size() > 1 ? string_of(names[names.size() - 2]) : std::string_view();
  std::string text(string_of(names.back()));
  const auto serial_of = [&](const char* a, const char* b, const char* c, const char* type) {
    if (serial == nullptr || (text != a && text != b && text != c)) return false;
    text = type;
    *serial = true;
    return true;
  };
  if (name.setof != 0 || name.pct_type != 0) unsupported("this kind of type", name.location);
  if (!serial_of("serial", "serial4", "", "int4") && !serial_of("bigserial", "serial8", "", "int8"))
    serial_of("smallserial", "serial2", "", "int2");
  Type type;
  if (text.starts_with('_') && find_type(std::string_view(text).substr(1)) != nullptr) {
    type.oid = array_of(find_type(std::string_view(text).substr(1))->oid);
  } else if (const TypeInfo* info = find_type(text);
             info != nullptr && (schema.empty() || schema == "pg_catalog")) {
    type.oid = info->oid;
  } else if (const EnumType* declared = catalog_.enumeration(schema, text); declared != nullptr) {
    type.oid = declared->oid;
  } else if (declared = text.starts_with('_')
                            ? catalog_.enumeration(schema, std::string_view(text).substr(1))
                            : nullptr;
             declared != nullptr) {
    type.oid = array_of(declared->oid);
  } else {
    for (const char* known :
         {"timetz",   "money",         "inet",        "cidr",      "macaddr",
          "macaddr8", "bit",           "varbit",      "xml",       "point",
          "line",     "lseg",          "box",         "path",      "polygon",
          "circle",   "tsvector",      "tsquery",     "int4range", "int8range",
          "numrange", "tsrange",       "tstzrange",   "daterange", "int4multirange",
          "pg_lsn",   "txid_snapshot", "pg_snapshot", "jsonpath",  "refcursor",
          "hstore",   "citext"}) {
      if (text == known) unsupported("the type " + text, name.location);
    }
    raise_at(
        name.location, "42704",
        "type \"" + (schema.empty() ? "" : std::string(schema) + ".") + text + "\" does not exist");
  }
  std::vector<std::int64_t> modifiers;
  for (const pg::Node* modifier : CALF_LIST(&name, typmods)) {
    if (!CALF_IS(modifier, A_CONST))
      raise_at(name.location, "42601", "type modifiers must be simple constants or identifiers");
    modifiers.push_back(modifier->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL
                            ? modifier->a_const->ival->ival
                            : 0);
  }
  if (!modifiers.empty()) {
    switch (type.oid) {
      case oid::kVarchar:
      case oid::kBpchar:
        if (modifiers[0] < 1)
          raise_at(name.location, "22023",
                   "length for type " +
                       std::string(type.oid == oid::kVarchar ? "varchar" : "char") +
                       " must be at least 1");
        type.typmod = static_cast<std::int32_t>(modifiers[0]) + 4;
        break;
      case oid::kNumeric: {
        const std::int64_t scale = modifiers.size() > 1 ? modifiers[1] : 0;
        if (modifiers[0] < 1 || modifiers[0] > 1000)
          raise_at(
              name.location, "22023",
              "NUMERIC precision " + std::to_string(modifiers[0]) + " must be between 1 and 1000");
        type.typmod = static_cast<std::int32_t>((modifiers[0] << 16 | (scale & 0x7ff)) + 4);
        break;
      }
      case oid::kInterval:
        if (modifiers.size() > 1 || modifiers[0] != 0x7fff) {
          if (modifiers[0] != 0x7fff) unsupported("an interval with fields", name.location);
          type.typmod = static_cast<std::int32_t>(modifiers[1]);
        }
        break;
      case oid::kFloat8:
      case oid::kFloat4:
        break;
      default:
        type.typmod = static_cast<std::int32_t>(std::min<std::int64_t>(modifiers[0], 6));
        break;
    }
  }
  if (name.n_array_bounds > 0) {
    if (name.n_array_bounds > 1) unsupported("an array of more than one dimension", name.location);
    type.oid = array_of(type.oid);
  }
  return type;
}

}  // namespace calf::sqlite
