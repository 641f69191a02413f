// Function calls: overloads, aggregates, and those that need the types of their arguments. What
// stands behind OVER is in analyze_window.cc.
#include <algorithm>

#include "sqlite/analyzer.h"
#include "sqlite/postgres_names.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

bool is_vector(Oid type) {
  return type == oid::kInt2Vector || type == oid::kOidVector;
}

bool fits(Oid wanted, const Expr& argument) {
  switch (wanted) {
    case oid::kAny:
    case oid::kAnyElement:
      return true;
    case oid::kAnyNonArray:
      return !is_array(argument.type.oid);
    case oid::kAnyArray:
      return is_array(argument.type.oid) || is_vector(argument.type.oid) || argument.unknown();
    default:
      return can_cast(argument.type.oid, wanted, CastContext::kImplicit) ||
             argument.form == Expr::Form::kNull;
  }
}

Oid argument_type(const Function& function, std::size_t i) {
  return function.arguments[std::min(i, function.arguments.size() - 1)];
}

bool takes(const Function& function, std::size_t count) {
  if (function.variadic) return count + 1 >= function.arguments.size();
  return function.arguments.size() == count;
}

std::string describe(const std::vector<Expr>& arguments) {
  std::string text;
  for (const Expr& argument : arguments)
    text += (text.empty() ? "" : ", ") + format_type({argument.type.oid});
  return text;
}

}  // namespace

std::string Analyzer::fill(std::string_view pattern, const std::vector<Expr>& arguments) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '$' && i + 1 < pattern.size() && pattern[i + 1] >= '1' &&
        pattern[i + 1] <= '9') {
      out += arguments[static_cast<std::size_t>(pattern[++i] - '1')].sql;
    } else {
      out += pattern[i];
    }
  }
  return out;
}

// PostgreSQL's func_select_candidate: most exact matches, then most preferred types, then strings
// for what is unknown. Coerces the arguments of the one that it chooses; nullptr: none fits.
const Function* Analyzer::resolve(const std::vector<const Function*>& all,
                                  std::vector<Expr>& arguments) {
  std::vector<const Function*> candidates;
  for (const Function* function : all) {
    bool good = takes(*function, arguments.size());
    for (std::size_t i = 0; good && i < arguments.size(); ++i)
      good = fits(argument_type(*function, i), arguments[i]);
    if (good) candidates.push_back(function);
  }
  const auto keep_best = [&](auto score) {
    int best = -1;
    for (const Function* function : candidates) best = std::max(best, score(*function));
    std::erase_if(candidates, [&](const Function* function) { return score(*function) != best; });
  };
  if (arguments.size() == 2) {
    // A binary operator's unknown side is first assumed to be of the other one's type.
    for (const std::size_t known : {0, 1}) {
      if (candidates.size() < 2 || arguments[known].unknown() || !arguments[1 - known].unknown())
        continue;
      for (const Function* function : candidates) {
        if (function->arguments.size() == 2 &&
            function->arguments[0] == arguments[known].type.oid &&
            function->arguments[1] == arguments[known].type.oid) {
          candidates = {function};
          break;
        }
      }
    }
  }
  if (candidates.size() > 1) {
    keep_best([&](const Function& f) {
      int score = 0;
      for (std::size_t i = 0; i < arguments.size(); ++i)
        score += argument_type(f, i) == arguments[i].type.oid ||
                         (is_string(arguments[i].type.oid) && argument_type(f, i) == oid::kText)
                     ? 1
                     : 0;
      return score;
    });
  }
  if (candidates.size() > 1) {
    keep_best([&](const Function& f) {
      int score = 0;
      for (std::size_t i = 0; i < arguments.size(); ++i) {
        const TypeInfo* info = find_type(argument_type(f, i));
        const TypeInfo* given = find_type(arguments[i].type.oid);
        if (info != nullptr &&
            (argument_type(f, i) == arguments[i].type.oid ||
             (info->preferred && given != nullptr && given->category == info->category)))
          ++score;
      }
      return score;
    });
  }
  // Where nothing takes a string, what is unknown must at least be of one category.
  const auto conflict = [&] {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      std::string categories;
      for (const Function* function : candidates) {
        const TypeInfo* info = find_type(argument_type(*function, i));
        if (arguments[i].unknown() && info != nullptr &&
            categories.find(info->category) == std::string::npos)
          categories += info->category;
      }
      if (categories.size() > 1 && categories.find('S') == std::string::npos) return true;
    }
    return false;
  };
  if (candidates.size() > 1 && !conflict()) {
    keep_best([&](const Function& f) {
      int score = 0;
      for (std::size_t i = 0; i < arguments.size(); ++i) {
        const TypeInfo* info = find_type(argument_type(f, i));
        if (arguments[i].unknown() && info != nullptr)
          score += (info->category == 'S' ? 2 : 0) + (info->preferred ? 1 : 0);
      }
      return score;
    });
  }
  if (candidates.size() > 1 &&
      std::any_of(arguments.begin(), arguments.end(), [](const Expr& e) { return e.unknown(); })) {
    raise_at(arguments[0].location, "42725",
             "function or operator is not unique: " + candidates[0]->name + " (" +
                 describe(arguments) + ")",
             "Could not choose a best candidate. You might need to add explicit type casts.");
  }
  if (candidates.empty()) return nullptr;
  const Function* chosen = candidates[0];
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    Oid wanted = argument_type(*chosen, i);
    if (wanted == oid::kAnyArray && is_vector(arguments[i].type.oid)) {
      const Oid element = arguments[i].type.oid == oid::kInt2Vector ? oid::kInt2 : oid::kOid;
      arguments[i] = coerce(std::move(arguments[i]), {array_of(element)}, CastContext::kExplicit);
      continue;
    }
    if (wanted == oid::kAnyArray) {
      if (!arguments[i].unknown()) continue;
      const Expr& other = arguments[i == 0 ? arguments.size() - 1 : 0];
      if (!is_array(other.type.oid))
        raise_at(arguments[i].location, "42804",
                 "could not determine polymorphic type because input has type unknown");
      wanted = other.type.oid;
    }
    if (wanted == oid::kAny || wanted == oid::kAnyElement || wanted == oid::kAnyNonArray) {
      if (arguments[i].unknown())
        arguments[i] = coerce(std::move(arguments[i]), {oid::kText}, CastContext::kImplicit);
      continue;
    }
    arguments[i] = coerce(std::move(arguments[i]), {wanted}, CastContext::kImplicit);
  }
  return chosen;
}

Expr Analyzer::call(const Function& function, std::vector<Expr> arguments) {
  Expr made{.type = {function.result}, .name = function.name};
  volatile_ = volatile_ || !function.stable;
  if (function.result == oid::kAnyElement && !arguments.empty()) {
    made.type = arguments[0].type;
    if (function.kind == Function::Kind::kRows) made.type = {element_of(arguments[0].type.oid)};
  }
  if (function.result == oid::kAnyArray && !arguments.empty()) made.type = arguments[0].type;
  if (!function.sql.empty()) {
    made.sql = fill(function.sql, arguments);
    return made;
  }
  made.sql = quote_name(function.internal) + "(";
  for (std::size_t i = 0; i < arguments.size(); ++i)
    made.sql += (i > 0 ? ", " : "") + arguments[i].sql;
  made.sql += ")";
  return made;
}

Expr Analyzer::as_json(Expr value) {
  if (value.form == Expr::Form::kNull) return {.sql = "'null'", .type = {oid::kJson}};
  if (value.fields != nullptr) return row_as_json(value);
  if (value.unknown()) value = coerce(std::move(value), {oid::kText}, CastContext::kImplicit);
  return {
      .sql = "\"calf_json(any,int4)\"(" + value.sql + ", " + std::to_string(value.type.oid) + ")",
      .type = {oid::kJson},
      .name = value.name,
      .not_null = true};
}

// Functions whose translation depends on the types of their arguments.
std::optional<Expr> Analyzer::special_function(const std::string& name, std::vector<Expr>& a,
                                               const PgQuery__FuncCall& node) {
  const auto made = [&](std::string sql, Oid type) {
    return Expr{.sql = std::move(sql), .type = {type}, .name = name, .location = node.location};
  };
  const auto one_element = [&](Expr value, Oid array) {
    value = coerce(std::move(value), {element_of(array)}, CastContext::kImplicit);
    return "\"calf_array(int4,any...)\"(" + std::to_string(element_of(array)) + ", " + value.sql +
           ")";
  };
  if (name == "enum_range" || name == "enum_first" || name == "enum_last")
    return enum_function(name, a, node.location);
  if (name == "pg_typeof" && a.size() == 1) {
    // The argument stays, for it may be an aggregate.
    const std::string type = std::to_string(a[0].type.oid);
    return made("iif((" + a[0].sql + ") IS NULL, " + type + ", " + type + ")", oid::kRegtype);
  }
  if ((name == "to_json" || name == "to_jsonb" || name == "array_to_json" ||
       (name == "row_to_json" && a.size() == 1 && a[0].fields != nullptr)) &&
      a.size() == 1) {
    if (a[0].form == Expr::Form::kNull)
      return made("NULL", name == "to_jsonb" ? oid::kJsonb : oid::kJson);
    const Expr value = a[0];
    Expr json = as_json(a[0]);
    if (name == "to_jsonb") json = coerce(std::move(json), {oid::kJsonb}, CastContext::kAssignment);
    return made("CASE WHEN " + value.sql + " IS NULL THEN NULL ELSE " + json.sql + " END",
                json.type.oid);
  }
  if (name == "json_build_object" || name == "jsonb_build_object" || name == "json_build_array" ||
      name == "jsonb_build_array") {
    if (name.ends_with("object") && a.size() % 2 != 0)
      raise_at(node.location, "22023", "argument list must have even number of elements",
               "The arguments of " + name + "() must consist of alternating keys and values.");
    for (Expr& value : a) value = as_json(std::move(value));
    return call(*FunctionTable::get().named(name)[0], a);
  }
  if (name == "concat" || name == "concat_ws" || name == "format") {
    for (Expr& value : a) {
      // concat prints booleans as output does: t and f.
      if (value.type.oid == oid::kBool)
        value = made("CASE WHEN " + value.sql + " THEN 't' WHEN NOT " + value.sql + " THEN 'f' END",
                     oid::kText);
      else
        value = to_text(std::move(value));
    }
    return std::nullopt;
  }
  if (a.empty()) return std::nullopt;
  if (name == "array_append" && a.size() == 2 && is_array(a[0].type.oid))
    return made(
        "\"calf_array_cat(any,any)\"(" + a[0].sql + ", " + one_element(a[1], a[0].type.oid) + ")",
        a[0].type.oid);
  if (name == "array_prepend" && a.size() == 2 && is_array(a[1].type.oid))
    return made(
        "\"calf_array_cat(any,any)\"(" + one_element(a[0], a[1].type.oid) + ", " + a[1].sql + ")",
        a[1].type.oid);
  if (name == "array_cat" && a.size() == 2) {
    Expr joined = concatenate(a[0], a[1], node.location);
    joined.name = name;
    return joined;
  }
  if (!is_array(a[0].type.oid)) return std::nullopt;
  const Oid array = a[0].type.oid;
  if (name == "array_position" && a.size() == 2)
    return made(
        "\"calf_array_position(any,any)\"(" + a[0].sql + ", " + one_element(a[1], array) + ")",
        oid::kInt4);
  if (name == "array_remove" && a.size() == 2)
    return made(
        "\"calf_array_remove(any,any)\"(" + a[0].sql + ", " + one_element(a[1], array) + ")",
        array);
  if (name == "array_replace" && a.size() == 3)
    return made("\"calf_array_replace(any,any,any)\"(" + a[0].sql + ", " +
                    one_element(a[1], array) + ", " + one_element(a[2], array) + ")",
                array);
  if (name == "array_to_string" && (a.size() == 2 || a.size() == 3)) {
    const std::string missing = a.size() == 3 ? to_text(a[2]).sql : "NULL";
    return made("\"calf_array_to_string(any,any,any,int4)\"(" + a[0].sql + ", " +
                    to_text(a[1]).sql + ", " + missing + ", " + std::to_string(element_of(array)) +
                    ")",
                oid::kText);
  }
  return std::nullopt;
}

static bool can_be_float8(Oid type) {
  return type == oid::kInt2 || type == oid::kInt4 || type == oid::kInt8 || type == oid::kFloat4 ||
         type == oid::kFloat8 || type == oid::kNumeric;
}

// Ordered-set aggregates stand with WITHIN GROUP, and nothing else does.
static void check_within_group(const std::string& name, const PgQuery__FuncCall& node) {
  const bool within = node.agg_within_group != 0;
  const bool ordered_set = name == "percentile_cont" || name == "percentile_disc" || name == "mode";
  if (within && !ordered_set) unsupported("WITHIN GROUP for " + name + "()", node.location);
  if (!ordered_set) return;
  if (!within)
    raise_at(node.location, "42883", "function " + name + " does not exist without WITHIN GROUP");
  if (node.over != nullptr) unsupported("OVER for ordered-set aggregate " + name, node.location);
  if (node.n_agg_order != 1 || node.n_args != (name == "mode" ? 0U : 1U))
    raise_at(node.location, "42883", "function " + name + " does not exist with these arguments");
}

Expr Analyzer::aggregate_call(const Function& function, std::vector<Expr> arguments,
                              const PgQuery__FuncCall& node, Scope& scope) {
  Expr made{.type = {function.result}, .name = function.name, .location = node.location};
  const bool several =
      node.agg_within_group != 0 && !arguments.empty() && is_array(arguments[0].type.oid);
  const std::string distinct = node.agg_distinct != 0 ? "DISTINCT " : "";
  if (function.name == "array_agg") made.type = {array_of(arguments[0].type.oid)};
  if (!function.ordered) {
    if (!distinct.empty() && !arguments.empty()) arguments[0].sql = collated(arguments[0]);
    std::string list;
    for (const Expr& argument : arguments) list += (list.empty() ? distinct : ", ") + argument.sql;
    made.sql = (function.sql.empty() ? quote_name(function.internal)
                                     : function.sql.substr(0, function.sql.find('('))) +
               "(" + list + ")";
    return made;
  }
  // The order goes in as keys; DISTINCT sorts by the value itself.
  std::string spec = node.agg_distinct != 0 ? "d" : "";
  std::string keys;
  const auto add_key = [&](const Expr& key, bool descending, bool nulls_first) {
    const std::string_view collation = collation_of(key.type.oid);
    spec += descending ? 'd' : 'a';
    spec += nulls_first ? 'f' : 'l';
    spec += collation == "pg_numeric"    ? 'n'
            : collation == "pg_interval" ? 'i'
            : collation == "pg_jsonb"    ? 'j'
                                         : '-';
    keys += ", " + key.sql;
  };
  for (const pg::Node* item : CALF_LIST(&node, agg_order)) {
    const PgQuery__SortBy& sort = *item->sort_by;
    const bool descending = sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    const bool first =
        sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
        (descending && sort.sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    Expr key = expr(*sort.node, scope);
    if (key.unknown()) key = coerce(std::move(key), {oid::kText}, CastContext::kImplicit);
    if (node.agg_within_group != 0) {
      const bool continuous = function.name == "percentile_cont";
      if (continuous) {
        if (key.type.oid == oid::kInterval)
          unsupported("percentile_cont of intervals", node.location);
        if (!can_be_float8(key.type.oid))
          raise_at(node.location, "42883",
                   "function percentile_cont(double precision, " + format_type(key.type) +
                       ") does not exist");
        key = coerce(std::move(key), {oid::kFloat8}, CastContext::kImplicit);
      } else {
        if (const TypeInfo* info = find_type(key.type.oid); info == nullptr || !info->ordered)
          unsupported("WITHIN GROUP over " + format_type(key.type), node.location);
        made.type = {key.type.oid};
      }
      if (several) {
        Expr type{.sql = std::to_string(continuous ? oid::kFloat8 : key.type.oid)};
        arguments.push_back(std::move(type));
        made.type = {array_of(continuous ? oid::kFloat8 : key.type.oid)};
      }
    }
    add_key(key, descending, first);
  }
  if (node.agg_distinct != 0 && node.n_agg_order == 0) add_key(arguments[0], false, false);
  const bool json = function.name.find("json") != std::string::npos;
  const bool structured =
      !arguments.empty() && (is_array(arguments[0].type.oid) || arguments[0].fields != nullptr);
  if (json)
    for (Expr& argument : arguments) argument = as_json(std::move(argument));
  std::string list = quote_text(spec);
  for (const Expr& argument : arguments) list += ", " + argument.sql;
  if (function.name == "array_agg") list += ", " + std::to_string(arguments[0].type.oid);
  if (function.name == "json_agg") list += structured ? ", 1" : ", 0";
  made.sql = quote_name(function.internal) + "(" + list + keys + ")";
  return made;
}

// enum_range, enum_first, enum_last: of the argument's type, whatever its value.
Expr Analyzer::enum_function(const std::string& name, const std::vector<Expr>& arguments,
                             int location) {
  const auto is_of_enum = [](const Expr& e) { return is_enum(e.type.oid); };
  const auto typed = std::find_if(arguments.begin(), arguments.end(), is_of_enum);
  if (typed == arguments.end() || arguments.size() > (name == "enum_range" ? 2 : 1))
    raise_at(location, "42883",
             "function " + name + "(" + describe(arguments) + ") does not exist");
  const EnumType* type = catalog_.enum_by_oid(typed->type.oid);
  if (type == nullptr || type->labels.empty())
    raise_at(location, "55000", "enum " + format_type(typed->type) + " contains no values");
  if (arguments.size() == 2) unsupported("enum_range() with bounds", location);
  if (name == "enum_range") {
    std::vector<Datum> values;
    for (const EnumType::Label& label : type->labels) values.push_back(Datum::of(label.value));
    return literal(Datum::of(store_array(values, type->oid)), {array_of(type->oid)});
  }
  const auto& label = name == "enum_first" ? type->labels.front() : type->labels.back();
  return literal(Datum::of(label.value), {type->oid});
}

// A set-returning function in a select list: the column, or columns, of a row call.
Expr Analyzer::row_value(const Function& function, const std::vector<Expr>& arguments, Scope& scope,
                         int location) {
  if (scope.row_calls == nullptr)
    raise_at(location, "0A000",
             std::string("set-returning functions are not allowed in ") + scope.clause);
  for (const RowCall& other : *scope.row_calls) {
    for (const Expr& argument : arguments) {
      if (argument.sql.find(other.alias + ".") != std::string::npos)
        unsupported("a set-returning function of another one's rows", location);
    }
  }
  const std::string alias = fresh("t");
  scope.row_calls->push_back({.alias = alias, .sql = rows_call(function, arguments, alias)});
  Expr made{.sql = alias + ".c1", .name = function.name, .location = location};
  const auto type_of_column = [&](Oid type) {
    return Type{type == oid::kAnyElement ? element_of(arguments[0].type.oid) : type};
  };
  if (function.columns.size() == 1) {
    made.type = type_of_column(function.columns[0].second);
    return made;
  }
  auto fields = std::make_shared<std::vector<std::pair<std::string, Type>>>();
  std::string list;
  for (const auto& [name, type] : function.columns) {
    fields->emplace_back(name, type_of_column(type));
    list += (list.empty() ? "" : ", ") + alias + ".c" + std::to_string(fields->size());
  }
  made.sql = "json_array(" + list + ")";
  made.type = {oid::kRecord};
  made.fields = std::move(fields);
  return made;
}

Expr Analyzer::function_call(const PgQuery__FuncCall& node, Scope& scope) {
  const auto names = CALF_LIST(&node, funcname);
  const std::string name(string_of(names.back()));
  const std::string_view schema = names.size() > 1 ? string_of(names[0]) : std::string_view();
  if (!schema.empty() && schema != "pg_catalog" && schema != "public" &&
      schema != "information_schema")
    raise_at(node.location, "3F000", "schema \"" + std::string(schema) + "\" does not exist");
  if (node.func_variadic != 0) unsupported("VARIADIC", node.location);
  check_within_group(name, node);
  const auto& candidates = FunctionTable::get().named(name);
  const bool extremum = name == "min" || name == "max";
  const bool aggregate = extremum || node.agg_star != 0 ||
                         (!candidates.empty() && candidates[0]->kind == Function::Kind::kAggregate);
  const bool window = node.over != nullptr;
  if (window && scope.grouping_sets)
    unsupported("a window function together with GROUPING SETS", node.location);
  if (window && !scope.aggregates_allowed)
    raise_at(node.location, "42P20",
             std::string("window functions are not allowed in ") + scope.clause);
  if (aggregate && !window) {
    if (scope.inside_aggregate)
      raise_at(node.location, "42803", "aggregate function calls cannot be nested");
    if (!scope.aggregates_allowed)
      raise_at(node.location, "42803",
               std::string("aggregate functions are not allowed in ") + scope.clause);
    scope.saw_aggregate = true;
  }
  const bool was_inside = scope.inside_aggregate;
  if (aggregate && !window) scope.inside_aggregate = true;
  std::vector<Expr> arguments;
  for (const pg::Node* argument : CALF_LIST(&node, args)) {
    if (CALF_IS(argument, NAMED_ARG_EXPR)) unsupported("a named argument", node.location);
    arguments.push_back(expr(*argument, scope));
  }
  Expr made;
  if (aggregate && extremum) {
    if (arguments.size() != 1)
      raise_at(node.location, "42883",
               "function " + name + "(" + describe(arguments) + ") does not exist");
    if (arguments[0].unknown())
      arguments[0] = coerce(std::move(arguments[0]), {oid::kText}, CastContext::kImplicit);
    if (is_array(arguments[0].type.oid)) unsupported(name + "() of arrays", node.location);
    const TypeInfo* info = find_type(arguments[0].type.oid);
    if (info == nullptr || !info->ordered || info->oid == oid::kBool || info->oid == oid::kUuid ||
        info->oid == oid::kJsonb)
      raise_at(node.location, "42883",
               "function " + name + "(" + describe(arguments) + ") does not exist",
               "No function matches the given name and argument types. You might need to add "
               "explicit type casts.");
    made = {.sql = name + "(" + collated(arguments[0]) + ")",
            .type = {arguments[0].type.oid == oid::kVarchar ? oid::kText : arguments[0].type.oid},
            .name = name};
  } else if (node.agg_star != 0) {
    if (name != "count")
      raise_at(node.location, "42809",
               name + "(*) specified, but " + name + " is not an aggregate function");
    made = {.sql = "count(*)", .type = {oid::kInt8}, .name = name, .not_null = true};
  } else if (name == "merge_action" && arguments.empty()) {
    if (scope.merge_actions.empty())
      raise_at(node.location, "42601",
               "MERGE_ACTION() can only be used in the RETURNING list of a MERGE command");
    made = {.sql = scope.merge_actions, .type = {oid::kText}, .name = name};
  } else if (auto special = aggregate ? std::nullopt : special_function(name, arguments, node)) {
    made = std::move(*special);
    made.name = name;
  } else {
    if (candidates.empty()) {
      if (is_function_of_postgres(name)) unsupported("the function " + name, node.location);
      raise_at(node.location, "42883",
               "function " + name + "(" + describe(arguments) + ") does not exist",
               "No function matches the given name and argument types. You might need to add "
               "explicit type casts.");
    }
    const Function* function = resolve(candidates, arguments);
    if (function == nullptr && name == "array_agg" && arguments.size() == 1 &&
        is_array(arguments[0].type.oid))
      unsupported("an array of arrays", node.location);
    if (function == nullptr) {
      raise_at(node.location, "42883",
               "function " + name + "(" + describe(arguments) + ") does not exist",
               "No function matches the given name and argument types. You might need to add "
               "explicit type casts.");
    }
    if (function->kind == Function::Kind::kRows)
      return row_value(*function, arguments, scope, node.location);
    if (function->kind == Function::Kind::kWindow && !window)
      raise_at(node.location, "42809", "window function " + name + " requires an OVER clause");
    if (name == "nextval" || name == "setval") uses_sequences_ = true;
    made = aggregate ? aggregate_call(*function, std::move(arguments), node, scope)
                     : call(*function, std::move(arguments));
  }
  if (node.agg_filter != nullptr)
    made.sql += " FILTER (WHERE " + condition(*node.agg_filter, scope, "FILTER").sql + ")";
  scope.inside_aggregate = was_inside;
  if (window) {
    if (!aggregate && (candidates.empty() || candidates[0]->kind != Function::Kind::kWindow)) {
      raise_at(
          node.location, "42809",
          "OVER specified, but " + name + " is not a window function nor an aggregate function");
    }
    if (node.agg_distinct != 0)
      raise_at(node.location, "0A000", "DISTINCT is not implemented for window functions");
    made.sql += " OVER (" + over_clause(*node.over, scope) + ")";
  }
  made.location = node.location;
  if (names.back() != nullptr && name == "extract") made.name = "extract";
  return made;
}

}  // namespace calf::sqlite
