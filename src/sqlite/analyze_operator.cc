// Operators: which one, by the types of its operands.
#include <algorithm>

#include "sqlite/analyzer.h"
#include "sqlite/postgres_names.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

bool is_comparison(std::string_view op) {
  return op == "=" || op == "<>" || op == "!=" || op == "<" || op == ">" || op == "<=" ||
         op == ">=";
}

[[noreturn]] void no_operator(const std::string& op, const Expr& left, const Expr& right,
                              int location) {
  raise_at(location, "42883",
           "operator does not exist: " + format_type({left.type.oid}) + " " + op + " " +
               format_type({right.type.oid}),
           "No operator matches the given name and argument types. You might need to add explicit "
           "type casts.");
}

// The type in which two values of different types are compared; unknown: in none.
Oid comparison_type(Oid a, Oid b) {
  if (a == b) return a;
  if (is_number(a) && is_number(b)) {
    const auto either = [&](Oid type) { return a == type || b == type; };
    if (either(oid::kFloat8) || either(oid::kFloat4)) return oid::kFloat8;
    return either(oid::kNumeric) ? oid::kNumeric : oid::kInt8;
  }
  if (is_string(a) && is_string(b)) {
    // bpchar against varchar or text: as text, where blanks at the end count.
    return a == oid::kChar || b == oid::kChar ? oid::kText : oid::kText;
  }
  const auto number = [](Oid type) {
    return is_integer(type) || type == oid::kOid || is_reg(type);
  };
  if (number(a) && number(b)) return oid::kInt8;
  const auto moment = [](Oid type) {
    return type == oid::kDate ? 1 : type == oid::kTimestamp ? 2 : type == oid::kTimestamptz ? 3 : 0;
  };
  if (moment(a) != 0 && moment(b) != 0) return moment(a) > moment(b) ? a : b;
  return oid::kUnknown;
}

const TypeInfo* element_info(Oid type) {
  return is_array(type) ? find_type(element_of(type)) : nullptr;
}

}  // namespace

Expr Analyzer::a_expr(const PgQuery__AExpr& node, Scope& scope) {
  const auto names = CALF_LIST(&node, name);
  const std::string op(names.empty() ? "" : string_of(names.back()));
  const auto both = [&](const std::string& name) {
    return binary(name, expr(*node.lexpr, scope), expr(*node.rexpr, scope), node.location);
  };
  switch (node.kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
      if (node.lexpr == nullptr) return prefix(op, expr(*node.rexpr, scope), node.location);
      if (CALF_IS(node.lexpr, ROW_EXPR) && node.rexpr != nullptr && CALF_IS(node.rexpr, ROW_EXPR)) {
        return row_compare(op, *node.lexpr, *node.rexpr, scope, node.location);
      }
      return both(op);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
      return any_all(node, scope, false);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
      return any_all(node, scope, true);
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
      return both("IS NOT");
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
      return both("IS");
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF: {
      Expr left = expr(*node.lexpr, scope);
      const Expr equal = binary("=", left, expr(*node.rexpr, scope), node.location);
      if (left.unknown()) left = coerce(left, {oid::kText}, CastContext::kImplicit);
      return {.sql = "CASE WHEN " + equal.sql + " THEN NULL ELSE " + left.sql + " END",
              .type = left.type,
              .name = "nullif",
              .location = node.location};
    }
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
      return in_list(node, scope);
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE: {
      // The escape comes as like_escape(pattern, escape).
      const pg::Node& right = *node.rexpr;
      const bool escaped =
          CALF_IS(&right, FUNC_CALL) &&
          string_of(right.func_call->funcname[right.func_call->n_funcname - 1]) == "like_escape";
      if (!escaped) return both(op);
      const bool negated = op.starts_with('!');
      const std::string name = op.ends_with('*') ? "ilike" : "like";
      std::vector<Expr> arguments{expr(*node.lexpr, scope), expr(*right.func_call->args[0], scope),
                                  expr(*right.func_call->args[1], scope)};
      const Function* function = resolve(FunctionTable::get().named(name), arguments);
      if (function == nullptr) no_operator(op, arguments[0], arguments[1], node.location);
      Expr made = call(*function, std::move(arguments));
      if (negated) made.sql = "(NOT " + made.sql + ")";
      made.name = "?column?";
      return made;
    }
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
      unsupported("SIMILAR TO", node.location);
    default:
      break;
  }
  // BETWEEN: the value is written twice; it must not be volatile to be so, which SQLite's own is
  // not needed for.
  const auto bounds = CALF_LIST(node.rexpr->list, items);
  const Expr value = expr(*node.lexpr, scope);
  Expr low = expr(*bounds[0], scope);
  Expr high = expr(*bounds[1], scope);
  const bool negated = node.kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN ||
                       node.kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
  const bool symmetric = node.kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM ||
                         node.kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
  const auto range = [&](const Expr& a, const Expr& b) {
    return "(" + binary(">=", value, a, node.location).sql + " AND " +
           binary("<=", value, b, node.location).sql + ")";
  };
  std::string sql = range(low, high);
  if (symmetric) sql = "(" + sql + " OR " + range(high, low) + ")";
  return {
      .sql = negated ? "(NOT " + sql + ")" : sql, .type = {oid::kBool}, .location = node.location};
}

Expr Analyzer::binary(const std::string& op, Expr left, Expr right, int location) {
  if (is_comparison(op) || op == "IS" || op == "IS NOT")
    return compare(op, std::move(left), std::move(right), location);
  if (op == "||") return concatenate(std::move(left), std::move(right), location);
  // An unknown operand is first taken for the other's type.
  if (is_number(left.type.oid) && is_number(right.type.oid) && left.type.oid != right.type.oid &&
      op != "<<" && op != ">>") {
    const bool real = left.type.oid == oid::kFloat8 || right.type.oid == oid::kFloat8 ||
                      left.type.oid == oid::kFloat4 || right.type.oid == oid::kFloat4;
    if (real) {
      left = coerce(std::move(left), {oid::kFloat8}, CastContext::kImplicit);
      right = coerce(std::move(right), {oid::kFloat8}, CastContext::kImplicit);
    }
  }
  std::vector<Expr> arguments{std::move(left), std::move(right)};
  const auto& candidates = FunctionTable::get().named(op);
  const Function* function = resolve(candidates, arguments);
  if (function == nullptr) {
    if (candidates.empty() && is_operator_of_postgres(op))
      unsupported("the operator " + op, location);
    no_operator(op, arguments[0], arguments[1], location);
  }
  Expr made = call(*function, std::move(arguments));
  made.name = "?column?";
  made.location = location;
  return made;
}

Expr Analyzer::compare(const std::string& op, Expr left, Expr right, int location) {
  const bool left_null = left.form == Expr::Form::kNull;
  const bool right_null = right.form == Expr::Form::kNull;
  if (left.unknown() && right.unknown()) {
    left = coerce(std::move(left), {oid::kText}, CastContext::kImplicit);
    right = coerce(std::move(right), {oid::kText}, CastContext::kImplicit);
  } else if (left.unknown()) {
    left = coerce(
        std::move(left),
        {is_string(right.type.oid) && right.type.oid != oid::kBpchar && right.type.oid != oid::kName
             ? oid::kText
             : right.type.oid},
        CastContext::kImplicit);
  } else if (right.unknown()) {
    right = coerce(
        std::move(right),
        {is_string(left.type.oid) && left.type.oid != oid::kBpchar && left.type.oid != oid::kName
             ? oid::kText
             : left.type.oid},
        CastContext::kImplicit);
  }
  Oid type = comparison_type(left.type.oid, right.type.oid);
  const bool equality = op == "=" || op == "<>" || op == "!=" || op == "IS" || op == "IS NOT";
  if (const TypeInfo* element = element_info(type); element != nullptr) {
    if (!equality || element->collation[0] != '\0')
      unsupported("this comparison of arrays", location);
  }
  if (type == oid::kUnknown ||
      (find_type(type) != nullptr && !find_type(type)->ordered && !left_null && !right_null)) {
    no_operator(op == "IS NOT" || op == "IS" ? "=" : op, left, right, location);
  }
  const auto unify = [&](Expr& side) {
    const bool as_is = is_integer(side.type.oid) && type == oid::kInt8;
    if (side.type.oid != type && !as_is)
      side = coerce(std::move(side), {type},
                    is_string(type) ? CastContext::kExplicit : CastContext::kImplicit);
  };
  unify(left);
  unify(right);
  std::string sql = "(" + left.sql + " " + op + " " + right.sql;
  if (const std::string_view collation = collation_of(type); !collation.empty())
    sql += " COLLATE " + std::string(collation);
  return {.sql = sql + ")", .type = {oid::kBool}, .location = location};
}

Expr Analyzer::row_compare(const std::string& op, const pg::Node& left, const pg::Node& right,
                           Scope& scope, int location) {
  const auto a = CALF_LIST(left.row_expr, args);
  const auto b = CALF_LIST(right.row_expr, args);
  if (a.size() != b.size())
    raise_at(location, "42601", "unequal number of entries in row expressions");
  const bool equality = op == "=" || op == "<>";
  if (!equality && op != "<" && op != ">" && op != "<=" && op != ">=")
    unsupported("the operator " + op + " of rows", location);
  // (a, b) < (c, d)  is  a < c OR (a = c AND b < d).
  std::string sql;
  for (std::size_t i = a.size(); i-- > 0;) {
    const Expr x = expr(*a[i], scope);
    const Expr y = expr(*b[i], scope);
    const Expr equal = binary("=", x, y, location);
    if (equality) {
      sql = sql.empty() ? equal.sql : equal.sql + " AND " + sql;
      continue;
    }
    const std::string strict = op.substr(0, 1);
    if (sql.empty()) {
      sql = binary(op, x, y, location).sql;
    } else {
      sql = "(" + binary(strict, x, y, location).sql + " OR (" + equal.sql + " AND " + sql + "))";
    }
  }
  if (op == "<>") sql = "NOT (" + sql + ")";
  return {.sql = "(" + sql + ")", .type = {oid::kBool}, .location = location};
}

Expr Analyzer::concatenate(Expr left, Expr right, int location) {
  const bool left_array = is_array(left.type.oid);
  const bool right_array = is_array(right.type.oid);
  if (left_array || right_array) {
    const Type array = left_array ? left.type : right.type;
    const auto as_array = [&](Expr side, bool is) {
      if (is) return side;
      if (side.unknown() && side.form != Expr::Form::kPlain)
        return coerce(std::move(side), {array.oid}, CastContext::kImplicit);
      const Oid element = element_of(array.oid);
      side = coerce(std::move(side), {element}, CastContext::kImplicit);
      side.sql = "\"calf_array(int4,any...)\"(" + std::to_string(element) + ", " + side.sql + ")";
      side.type = {array.oid};
      return side;
    };
    left = as_array(std::move(left), left_array);
    right = as_array(std::move(right), right_array);
    if (left.type.oid != right.type.oid) no_operator("||", left, right, location);
    return {.sql = "\"calf_array_cat(any,any)\"(" + left.sql + ", " + right.sql + ")",
            .type = {array.oid},
            .location = location};
  }
  std::vector<Expr> arguments{std::move(left), std::move(right)};
  const bool special = std::any_of(arguments.begin(), arguments.end(), [](const Expr& e) {
    return e.type.oid == oid::kJsonb || e.type.oid == oid::kBytea;
  });
  if (!special) {
    const bool text = std::any_of(arguments.begin(), arguments.end(), [](const Expr& e) {
      return is_string(e.type.oid) || e.unknown();
    });
    if (!text) no_operator("||", arguments[0], arguments[1], location);
    for (Expr& argument : arguments) argument = to_text(std::move(argument));
  }
  const Function* function = resolve(FunctionTable::get().named("||"), arguments);
  if (function == nullptr) no_operator("||", arguments[0], arguments[1], location);
  Expr made = call(*function, std::move(arguments));
  made.name = "?column?";
  made.location = location;
  return made;
}

// x op ANY (array): over the elements of the array, with SQL's three values.
Expr Analyzer::any_all(const PgQuery__AExpr& node, Scope& scope, bool all) {
  const std::string op(string_of(node.name[node.n_name - 1]));
  Expr value = expr(*node.lexpr, scope);
  Expr array = expr(*node.rexpr, scope);
  if (array.unknown()) {
    if (value.unknown()) value = coerce(std::move(value), {oid::kText}, CastContext::kImplicit);
    array = coerce(std::move(array),
                   {array_of(value.type.oid == oid::kVarchar ? oid::kText : value.type.oid)},
                   CastContext::kImplicit);
  }
  if (array.type.oid == oid::kOidVector || array.type.oid == oid::kInt2Vector) {
    array = coerce(std::move(array),
                   {array_of(array.type.oid == oid::kOidVector ? oid::kOid : oid::kInt2)},
                   CastContext::kExplicit);
  }
  if (!is_array(array.type.oid))
    raise_at(node.location, "42809", "op ANY/ALL (array) requires array on right side");
  const Oid element = element_of(array.type.oid);
  const std::string alias = fresh("t");
  const Expr item{.sql = alias + ".c1", .type = {element}};
  const Expr test = binary(op, value, item, node.location);
  std::vector<Expr> arguments{array};
  const Function* unnest = FunctionTable::get().named("unnest")[0];
  const std::string rows = rows_call(*unnest, arguments, alias);
  // max() over 1, NULL as unknown, 0: any true wins, then unknown, then false.
  const std::string summary = all ? "min(CASE WHEN " + test.sql + " THEN 2 WHEN (" + test.sql +
                                        ") IS NULL THEN 1 ELSE 0 END)"
                                  : "max(CASE WHEN " + test.sql + " THEN 2 WHEN (" + test.sql +
                                        ") IS NULL THEN 1 ELSE 0 END)";
  if (op == "=" && !all) {
    Expr plain = value;
    const Oid type = comparison_type(value.unknown() ? element : value.type.oid, element);
    if (value.unknown()) plain = coerce(plain, {element}, CastContext::kImplicit);
    if (type != oid::kUnknown && (type == plain.type.oid || is_integer(plain.type.oid)) &&
        (type == element || is_integer(element)) && collation_of(type).empty()) {
      return {.sql = "(CASE WHEN " + array.sql + " IS NULL THEN NULL ELSE " + plain.sql +
                     " IN (SELECT " + alias + ".c1 FROM " + rows + ") END)",
              .type = {oid::kBool},
              .location = node.location};
    }
  }
  return {.sql = "(CASE WHEN " + array.sql + " IS NULL THEN NULL ELSE (SELECT CASE coalesce(" +
                 summary + ", " + (all ? "2" : "0") + ") WHEN 2 THEN 1 WHEN 0 THEN 0 END FROM " +
                 rows + ") END)",
          .type = {oid::kBool},
          .location = node.location};
}

Expr Analyzer::in_list(const PgQuery__AExpr& node, Scope& scope) {
  const bool negated = string_of(node.name[0]) == "<>";
  const auto items = CALF_LIST(node.rexpr->list, items);
  std::string sql;
  if (CALF_IS(node.lexpr, ROW_EXPR)) {
    for (const pg::Node* item : items) {
      if (!CALF_IS(item, ROW_EXPR)) unsupported("IN of a row and something else", node.location);
      sql += (sql.empty() ? "" : " OR ") +
             row_compare("=", *node.lexpr, *item, scope, node.location).sql;
    }
  } else {
    const Expr value = expr(*node.lexpr, scope);
    std::vector<Expr> made;
    for (const pg::Node* item : items) made.push_back(expr(*item, scope));
    // All in one type: a list that SQLite can look up.
    std::vector<const Expr*> all{&value};
    for (const Expr& item : made) all.push_back(&item);
    bool listed = false;
    try {
      const Type type = common_type(all, "IN");
      if (value.type.oid == type.oid || value.unknown()) {
        const Expr left = coerce(value, {type.oid}, CastContext::kImplicit);
        sql = left.sql;
        if (const auto collation = collation_of(type.oid); !collation.empty())
          sql += " COLLATE " + std::string(collation);
        sql += " IN (";
        for (std::size_t i = 0; i < made.size(); ++i)
          sql += (i > 0 ? ", " : "") + coerce(made[i], {type.oid}, CastContext::kImplicit).sql;
        sql += ")";
        listed = find_type(type.oid) != nullptr && find_type(type.oid)->ordered;
      }
    } catch (const SqlError& error) {
      if (error.report.sqlstate != "42804") throw;
    }
    if (!listed) {
      sql.clear();
      for (Expr& item : made)
        sql += (sql.empty() ? "" : " OR ") + binary("=", value, std::move(item), node.location).sql;
    }
  }
  return {.sql = negated ? "(NOT (" + sql + "))" : "(" + sql + ")",
          .type = {oid::kBool},
          .location = node.location};
}

Expr Analyzer::prefix(const std::string& op, Expr operand, int location) {
  if (op == "-" && operand.form == Expr::Form::kLiteral && is_number(operand.type.oid)) {
    // "-2147483648" is an int4 although 2147483648 is not.
    const std::string text =
        operand.literal.starts_with('-') ? operand.literal.substr(1) : "-" + operand.literal;
    Type type = operand.type;
    if (type.oid == oid::kInt8 && text == "-2147483648") type.oid = oid::kInt8;
    Expr made = literal(from_text(text, type, *options_.conversion), type);
    made.form = Expr::Form::kLiteral;
    made.literal = text;
    made.location = location;
    return made;
  }
  std::vector<Expr> arguments{std::move(operand)};
  std::vector<const Function*> candidates;
  for (const Function* function : FunctionTable::get().named(op)) {
    if (function->arguments.size() == 1) candidates.push_back(function);
  }
  const Function* function = resolve(candidates, arguments);
  if (function == nullptr) {
    raise_at(location, "42883",
             "operator does not exist: " + op + " " + format_type({arguments[0].type.oid}),
             "No operator matches the given name and argument type. You might need to add an "
             "explicit type cast.");
  }
  Expr made = call(*function, std::move(arguments));
  made.name = "?column?";
  made.location = location;
  return made;
}

}  // namespace calf::sqlite
