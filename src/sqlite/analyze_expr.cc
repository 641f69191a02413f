// Expressions that are neither operators nor function calls.
#include <algorithm>
#include <charconv>
#include <utility>

#include "sqlite/analyzer.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {

std::vector<Oid> Analyzer::parameter_types() const {
  std::vector<Oid> types = options_.parameter_types;
  for (Oid& type : types) {
    if (type == 0 || type == oid::kUnknown) type = oid::kText;
  }
  return types;
}

namespace {

// SQLite takes no expression that is deeper.
constexpr int kMaxExpressionDepth = 1000;

struct Depth {
  static thread_local int current;
  Depth() {
    if (++current > kMaxExpressionDepth) {
      --current;
      raise("54001", "stack depth limit exceeded", "The expression is nested too deeply.");
    }
  }
  ~Depth() { --current; }
};
thread_local int Depth::current = 0;

// Where PostgreSQL refuses set-returning functions, for the rows' number would depend on a row.
class NoRowCalls {
 public:
  NoRowCalls(Scope& scope, const char* clause)
      : scope_(scope),
        calls_(std::exchange(scope.row_calls, nullptr)),
        clause_(std::exchange(scope.clause, clause)) {}
  ~NoRowCalls() {
    scope_.row_calls = calls_;
    scope_.clause = clause_;
  }
  NoRowCalls(const NoRowCalls&) = delete;
  NoRowCalls& operator=(const NoRowCalls&) = delete;

 private:
  Scope& scope_;
  std::vector<RowCall>* calls_;
  const char* clause_;
};

void check_system_column(std::string_view name, int location) {
  for (const std::string_view known : {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}) {
    if (name == known) unsupported("the system column " + std::string(name), location);
  }
}

}  // namespace

Expr Analyzer::expr(const pg::Node& node, Scope& scope) {
  const Depth depth;
  const std::size_t before = scope.ungrouped.size();
  Expr made = expr_of_kind(node, scope);
  // A whole expression of GROUP BY: the columns inside are no longer on their own.
  if (!scope.group_sql.empty() && scope.ungrouped.size() > before &&
      std::find(scope.group_sql.begin(), scope.group_sql.end(), made.sql) !=
          scope.group_sql.end()) {
    scope.ungrouped.resize(before);
  }
  return as_grouped(std::move(made), scope);
}

Expr Analyzer::expr_of_kind(const pg::Node& node, Scope& scope) {
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
      return constant(*node.a_const);
    case PG_QUERY__NODE__NODE_COLUMN_REF:
      return column_ref(*node.column_ref, scope);
    case PG_QUERY__NODE__NODE_A_EXPR:
      return a_expr(*node.a_expr, scope);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
      return bool_expr(*node.bool_expr, scope);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
      return type_cast(*node.type_cast, scope);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
      return function_call(*node.func_call, scope);
    case PG_QUERY__NODE__NODE_PARAM_REF:
      return parameter(node.param_ref->number, scope, node.param_ref->location);
    case PG_QUERY__NODE__NODE_SUB_LINK:
      return sub_link(*node.sub_link, scope);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
      return case_expr(*node.case_expr, scope);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
      return value_function(*node.sqlvalue_function);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
      return array_expr(*node.a_array_expr, scope, nullptr);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
      return indirection(*node.a_indirection, scope);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
      return common_list(CALF_LIST(node.coalesce_expr, args), scope, "coalesce", "COALESCE",
                         "coalesce");
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: {
      const bool greatest = node.min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST;
      return common_list(CALF_LIST(node.min_max_expr, args), scope, greatest ? "max" : "min",
                         greatest ? "GREATEST" : "LEAST", greatest ? "greatest" : "least");
    }
    case PG_QUERY__NODE__NODE_NULL_TEST: {
      const Expr value = expr(*node.null_test->arg, scope);
      const bool is_null = node.null_test->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NULL;
      if (value.parts != nullptr) {  // of a row: all of it is, or all of it is not
        std::string all;
        for (const Expr& part : *value.parts)
          all += (all.empty() ? "(" : " AND ") + part.sql + (is_null ? " IS NULL" : " IS NOT NULL");
        return {.sql = all + ")", .type = {oid::kBool}, .not_null = true};
      }
      return {.sql = "(" + value.sql + (is_null ? " IS NULL)" : " IS NOT NULL)"),
              .type = {oid::kBool},
              .not_null = true};
    }
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST: {
      const Expr value = condition(*node.boolean_test->arg, scope, "IS");
      static const char* const kTests[] = {"",         "IS 1",    "IS NOT 1",   "IS 0",
                                           "IS NOT 0", "IS NULL", "IS NOT NULL"};
      return {.sql = "(" + value.sql + " " + kTests[node.boolean_test->booltesttype] + ")",
              .type = {oid::kBool},
              .not_null = true};
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: {
      const auto names = CALF_LIST(node.collate_clause, collname);
      const std::string_view name = string_of(names.back());
      if (name != "C" && name != "default" && name != "POSIX" && name != "ucs_basic" &&
          name != "pg_c_utf8" && name != "C.UTF-8") {
        unsupported("the collation \"" + std::string(name) + "\"", node.collate_clause->location);
      }
      return expr(*node.collate_clause->arg, scope);
    }
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT:
      raise_at(node.set_to_default->location, "42601", "DEFAULT is not allowed in this context");
    case PG_QUERY__NODE__NODE_ROW_EXPR:
      return row_expr(*node.row_expr, scope);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
      return grouping(*node.grouping_func, scope);
    case PG_QUERY__NODE__NODE_XML_EXPR:
      unsupported("XML", node.xml_expr->location);
    default:
      break;
  }
  unsupported("this kind of expression");
}

Expr Analyzer::constant(const PgQuery__AConst& value) {
  if (value.isnull != 0)
    return {.sql = "NULL", .form = Expr::Form::kNull, .location = value.location};
  switch (value.val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL: {
      const std::string text = std::to_string(value.ival->ival);
      return {.sql = text,
              .type = {oid::kInt4},
              .form = Expr::Form::kLiteral,
              .literal = text,
              .not_null = true,
              .location = value.location};
    }
    case PG_QUERY__A__CONST__VAL_FVAL: {
      const std::string text = value.fval->fval;
      std::int64_t integer = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), integer);
      const bool whole = error == std::errc() && end == text.data() + text.size();
      const bool small = whole && integer >= INT32_MIN && integer <= INT32_MAX;
      const Type type{small ? oid::kInt4 : whole ? oid::kInt8 : oid::kNumeric};
      Expr made = literal(from_text(text, type, *options_.conversion), type);
      made.form = Expr::Form::kLiteral;
      made.literal = text;
      made.location = value.location;
      return made;
    }
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
      return {.sql = value.boolval->boolval != 0 ? "1" : "0",
              .type = {oid::kBool},
              .not_null = true,
              .location = value.location};
    case PG_QUERY__A__CONST__VAL_BSVAL:
      unsupported("a bit string", value.location);
    default:
      break;
  }
  const std::string text = value.val_case == PG_QUERY__A__CONST__VAL_SVAL ? value.sval->sval : "0";
  if (value.val_case != PG_QUERY__A__CONST__VAL_SVAL) {  // protobuf leaves out an integer 0
    return {.sql = "0",
            .type = {oid::kInt4},
            .form = Expr::Form::kLiteral,
            .literal = "0",
            .not_null = true,
            .location = value.location};
  }
  return {.sql = quote_text(text),
          .form = Expr::Form::kLiteral,
          .literal = text,
          .not_null = true,
          .location = value.location};
}

Expr Analyzer::parameter(int number, const Scope& scope, int location) {
  constexpr int kMaxParameters = 65535;
  if (number < 1 || number > kMaxParameters)
    raise_at(location, "42P02", "there is no parameter $" + std::to_string(number));
  const auto index = static_cast<std::size_t>(number - 1);
  if (index >= options_.parameter_types.size()) options_.parameter_types.resize(index + 1, 0);
  Oid type = options_.parameter_types[index];
  if (type == oid::kUnknown) type = 0;
  return {.sql = from_outside("?" + std::to_string(number), scope, nullptr),
          .type = {type == 0 ? oid::kUnknown : type},
          .form = type == 0 ? Expr::Form::kParameter : Expr::Form::kPlain,
          .parameter = number,
          .location = location};
}

const ScopeColumn* Analyzer::find_column(std::string_view table, std::string_view name,
                                         Scope& scope, Scope*& owner, int location) {
  for (Scope* level = &scope; level != nullptr; level = level->parent) {
    const ScopeColumn* found = nullptr;
    bool table_seen = false;
    for (const ScopeTable& candidate : level->tables) {
      const bool matches = table.empty() || candidate.alias == table ||
                           (candidate.relation != nullptr && candidate.relation->foreign &&
                            upper_text(candidate.alias) == upper_text(table));
      if (!matches) continue;
      table_seen = table_seen || !table.empty();
      for (const ScopeColumn& column : candidate.columns) {
        const bool same =
            column.name == name || (column.relation != nullptr && column.relation->foreign &&
                                    upper_text(column.name) == upper_text(name));
        if (!same || (table.empty() && column.hidden)) continue;
        if (found != nullptr)
          raise_at(location, "42702",
                   "column reference \"" + std::string(name) + "\" is ambiguous");
        found = &column;
      }
    }
    if (found != nullptr) {
      owner = level;
      return found;
    }
    if (table_seen) check_system_column(name, location);
    if (table_seen)
      raise_at(location, "42703",
               "column " + std::string(table) + "." + std::string(name) + " does not exist");
  }
  return nullptr;
}

Expr Analyzer::column_ref(const PgQuery__ColumnRef& ref, Scope& scope) {
  const auto fields = CALF_LIST(&ref, fields);
  if (CALF_IS(fields.back(), A_STAR)) {
    if (fields.size() != 2) unsupported("a whole row as a value", ref.location);
    for (Scope* level = &scope; level != nullptr; level = level->parent) {
      for (const ScopeTable& candidate : level->tables) {
        if (candidate.alias == string_of(fields[0]))
          return whole_row(candidate, scope, level, ref.location);
      }
    }
  }
  const std::string_view name =
      CALF_IS(fields.back(), A_STAR) ? std::string_view("*") : string_of(fields.back());
  const std::string_view table =
      fields.size() > 1 ? string_of(fields[fields.size() - 2]) : std::string_view();
  Scope* owner = nullptr;
  const ScopeColumn* column = find_column(table, name, scope, owner, ref.location);
  if (column == nullptr && table.empty()) {
    // The name of a function in FROM means its value: SELECT g FROM generate_series(1, 3) g.
    for (Scope* level = &scope; level != nullptr && column == nullptr; level = level->parent) {
      for (const ScopeTable& candidate : level->tables) {
        if (candidate.alias != name) continue;
        if (!candidate.function) return whole_row(candidate, scope, level, ref.location);
        column = &candidate.columns[0];
        owner = level;
      }
    }
  }
  if (column == nullptr) {
    if (!table.empty()) {
      bool known = false;
      for (Scope* level = &scope; level != nullptr; level = level->parent) {
        for (const ScopeTable& t : level->tables) known = known || t.alias == table;
      }
      if (!known)
        raise_at(ref.location, "42P01",
                 "missing FROM-clause entry for table \"" + std::string(table) + "\"");
    }
    check_system_column(name, ref.location);
    raise_at(ref.location, "42703", "column \"" + std::string(name) + "\" does not exist");
  }
  if (!owner->inside_aggregate) {
    const std::string label =
        table.empty() ? std::string(name) : std::string(table) + "." + std::string(name);
    owner->ungrouped.emplace_back(label, column);
  }
  return {.sql = from_outside(column->sql, scope, owner),
          .type = column->type,
          .name = column->name,
          .relation = column->relation,
          .number = column->number,
          .not_null = column->not_null,
          .fields = column->fields,
          .location = ref.location};
}

Expr Analyzer::condition(const pg::Node& node, Scope& scope, const char* clause) {
  Expr value = expr(node, scope);
  if (value.unknown()) value = coerce(std::move(value), {oid::kBool}, CastContext::kImplicit);
  if (value.type.oid != oid::kBool) {
    raise_at(value.location, "42804",
             std::string("argument of ") + clause + " must be type boolean, not type " +
                 format_type({value.type.oid}));
  }
  return value;
}

Expr Analyzer::bool_expr(const PgQuery__BoolExpr& node, Scope& scope) {
  const auto arguments = CALF_LIST(&node, args);
  if (node.boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR) {
    const Expr value = condition(*arguments[0], scope, "NOT");
    return {.sql = "(NOT " + value.sql + ")",
            .type = {oid::kBool},
            .not_null = value.not_null,
            .location = node.location};
  }
  const bool is_and = node.boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
  std::string sql;
  for (const pg::Node* argument : arguments) {
    sql += (sql.empty() ? ""
            : is_and    ? " AND "
                        : " OR ") +
           condition(*argument, scope, is_and ? "AND" : "OR").sql;
  }
  return {.sql = "(" + sql + ")", .type = {oid::kBool}, .location = node.location};
}

Expr Analyzer::case_expr(const PgQuery__CaseExpr& node, Scope& scope) {
  const NoRowCalls here(scope, "CASE");
  std::vector<Expr> results;
  std::vector<std::string> conditions;
  for (const pg::Node* branch : CALF_LIST(&node, args)) {
    const PgQuery__CaseWhen& when = *branch->case_when;
    conditions.push_back(
        node.arg == nullptr
            ? condition(*when.expr, scope, "CASE/WHEN").sql
            : binary("=", expr(*node.arg, scope), expr(*when.expr, scope), when.location).sql);
    results.push_back(expr(*when.result, scope));
  }
  std::string name = "case";
  bool weak = true;
  if (node.defresult != nullptr) {
    results.push_back(expr(*node.defresult, scope));
    if (results.back().name != "?column?" && !results.back().weak_name) {
      name = results.back().name;
      weak = false;
    }
  }
  std::vector<const Expr*> all;
  if (node.defresult != nullptr) all.push_back(&results.back());
  for (std::size_t i = 0; i < conditions.size(); ++i) all.push_back(&results[i]);
  const Type type = common_type(all, "CASE");
  std::string sql = "CASE";
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    sql +=
        " WHEN " + conditions[i] + " THEN " + coerce(results[i], type, CastContext::kImplicit).sql;
  }
  if (node.defresult != nullptr)
    sql += " ELSE " + coerce(results.back(), type, CastContext::kImplicit).sql;
  return {.sql = "(" + sql + " END)",
          .type = type,
          .name = name,
          .weak_name = weak,
          .location = node.location};
}

// COALESCE, GREATEST, LEAST. The last two skip NULLs, which SQLite's max() and min() do not.
Expr Analyzer::common_list(std::span<PgQuery__Node* const> nodes, Scope& scope,
                           const std::string& before, const char* what, const char* name) {
  const NoRowCalls here(scope, what);
  std::vector<Expr> values;
  for (const pg::Node* node : nodes) values.push_back(expr(*node, scope));
  std::vector<const Expr*> all;
  for (const Expr& value : values) all.push_back(&value);
  const Type type = common_type(all, what);
  bool not_null = false;
  for (Expr& value : values) {
    value = coerce(std::move(value), type, CastContext::kImplicit);
    not_null = not_null || value.not_null;
  }
  if (values.size() == 1)
    return {.sql = values[0].sql, .type = type, .name = name, .not_null = not_null};
  std::string sql;
  if (before == "coalesce") {
    for (const Expr& value : values) sql += (sql.empty() ? "" : ", ") + value.sql;
    return {.sql = "coalesce(" + sql + ")", .type = type, .name = name, .not_null = not_null};
  }
  for (const Expr& value : values)
    sql +=
        (sql.empty() ? "SELECT " : " UNION ALL SELECT ") + value.sql + (sql.empty() ? " AS v" : "");
  const std::string_view collation = collation_of(type.oid);
  return {.sql = "(SELECT " + before + "(v" +
                 (collation.empty() ? "" : " COLLATE " + std::string(collation)) + ") FROM (" +
                 sql + "))",
          .type = type,
          .name = name,
          .not_null = not_null};
}

Expr Analyzer::type_cast(const PgQuery__TypeCast& cast, Scope& scope) {
  const Type type = type_of(*cast.type_name);
  Expr value = CALF_IS(cast.arg, A_ARRAY_EXPR) ? array_expr(*cast.arg->a_array_expr, scope, &type)
                                               : expr(*cast.arg, scope);
  const std::string name = value.name;
  const bool weak = value.weak_name;
  if (value.form == Expr::Form::kParameter && value.unknown() && type.typmod < 0) {
    value = coerce(std::move(value), {type.oid}, CastContext::kExplicit, cast.location);
  }
  value = coerce(std::move(value), type, CastContext::kExplicit, cast.location);
  if (name == "?column?" || weak) {
    const TypeInfo* info = find_type(is_array(type.oid) ? element_of(type.oid) : type.oid);
    value.name = info == nullptr ? name : info->name;
    value.weak_name = true;
  } else {
    value.name = name;
  }
  value.location = cast.location;
  return value;
}

Expr Analyzer::value_function(const PgQuery__SQLValueFunction& function) {
  const auto by_name = [&](const char* name, const char* called, Oid type) {
    const Function* entry = FunctionTable::get().named(name)[0];
    Expr made = call(*entry, {});
    made.name = called;
    if (function.typmod >= 0)
      made = coerce(std::move(made), {type, function.typmod}, CastContext::kExplicit);
    return made;
  };
  switch (function.op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
      return by_name("current_date", "current_date", oid::kDate);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N:
      return by_name("now", "current_timestamp", oid::kTimestamptz);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N:
      return by_name("localtimestamp", "localtimestamp", oid::kTimestamp);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N:
      return by_name("localtime", "localtime", oid::kTime);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE:
      return by_name("current_role", "current_role", oid::kName);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER:
      return by_name("current_user", "current_user", oid::kName);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER:
      return by_name("current_user", "user", oid::kName);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER:
      return by_name("session_user", "session_user", oid::kName);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG:
      return by_name("current_database", "current_catalog", oid::kName);
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA:
      return by_name("current_schema", "current_schema", oid::kName);
    default:
      unsupported("CURRENT_TIME: a time with time zone");
  }
}

Expr Analyzer::array_expr(const PgQuery__AArrayExpr& array, Scope& scope, const Type* wanted) {
  std::vector<Expr> values;
  for (const pg::Node* element : CALF_LIST(&array, elements)) {
    if (CALF_IS(element, A_ARRAY_EXPR))
      unsupported("an array of more than one dimension", array.location);
    values.push_back(expr(*element, scope));
  }
  Type type;
  if (wanted != nullptr && is_array(wanted->oid)) {
    type = {element_of(wanted->oid)};
  } else {
    if (values.empty())
      raise_at(array.location, "42P18", "cannot determine type of empty array",
               "Explicitly cast to the desired type, for example ARRAY[]::integer[].");
    std::vector<const Expr*> all;
    for (const Expr& value : values) all.push_back(&value);
    type = {common_type(all, "ARRAY").oid};
  }
  std::string sql = "\"calf_array(int4,any...)\"(" + std::to_string(type.oid);
  for (Expr& value : values)
    sql += ", " + coerce(std::move(value), type,
                         wanted != nullptr ? CastContext::kExplicit : CastContext::kImplicit)
                      .sql;
  return {.sql = sql + ")",
          .type = {array_of(type.oid)},
          .name = "array",
          .not_null = true,
          .location = array.location};
}

Expr Analyzer::indirection(const PgQuery__AIndirection& node, Scope& scope) {
  Expr value = expr(*node.arg, scope);
  for (const pg::Node* step : CALF_LIST(&node, indirection)) {
    if (CALF_IS(step, STRING)) {
      value = field_of(value, string_of(step));
      continue;
    }
    if (!CALF_IS(step, A_INDICES)) unsupported("all fields of a composite value", value.location);
    const PgQuery__AIndices& indices = *step->a_indices;
    const auto bound = [&](const pg::Node* at) {
      return at == nullptr ? Expr{.sql = "NULL", .type = {oid::kInt4}}
                           : coerce(expr(*at, scope), {oid::kInt4}, CastContext::kAssignment);
    };
    if (value.type.oid == oid::kJsonb && indices.is_slice == 0) {
      const std::string name = value.name;
      value = binary("->", std::move(value), expr(*indices.uidx, scope), -1);
      value.name = name;
      continue;
    }
    if (value.type.oid == oid::kInt2Vector || value.type.oid == oid::kOidVector) {
      value = coerce(std::move(value),
                     {array_of(value.type.oid == oid::kInt2Vector ? oid::kInt2 : oid::kOid)},
                     CastContext::kExplicit);
      const Oid element = element_of(value.type.oid);
      value = {.sql = "\"calf_array_element(any,int4,int4)\"(" + value.sql + ", " +
                      bound(indices.uidx).sql + " + 1, " + std::to_string(element) + ")",
               .type = {element},
               .name = value.name};
      continue;
    }
    if (!is_array(value.type.oid))
      raise_at(value.location, "42804",
               "cannot subscript type " + format_type({value.type.oid}) +
                   " because it does not support subscripting");
    if (indices.is_slice != 0) {
      value = {.sql = "\"calf_array_slice(any,any,any)\"(" + value.sql + ", " +
                      bound(indices.lidx).sql + ", " + bound(indices.uidx).sql + ")",
               .type = value.type,
               .name = value.name};
    } else {
      const Oid element = element_of(value.type.oid);
      value = {.sql = "\"calf_array_element(any,int4,int4)\"(" + value.sql + ", " +
                      bound(indices.uidx).sql + ", " + std::to_string(element) + ")",
               .type = {element},
               .name = value.name};
    }
  }
  return value;
}

}  // namespace calf::sqlite
