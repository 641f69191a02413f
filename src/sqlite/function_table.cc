#include "sqlite/functions.h"

#include "base/assert.h"

namespace calf::sqlite {
namespace {

Oid type_named(std::string_view name) {
  if (name.ends_with("[]")) return array_of(type_named(name.substr(0, name.size() - 2)));
  const TypeInfo* type = find_type(name);
  ASSERT(type != nullptr);
  return type->oid;
}

}  // namespace

FunctionTable::FunctionTable() {
  add_math_functions(*this);
  add_text_functions(*this);
  add_regex_functions(*this);
  add_time_functions(*this);
  add_json_functions(*this);
  add_array_functions(*this);
  add_system_functions(*this);
  add_aggregates(*this);
  add_window_functions(*this);
  add_row_functions(*this);
  add_keyword_functions(*this);
  add_lock_functions(*this);
}

const FunctionTable& FunctionTable::get() {
  static const FunctionTable table;
  return table;
}

const std::vector<const Function*>& FunctionTable::named(std::string_view name) const {
  static const std::vector<const Function*> kNone;
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? kNone : found->second;
}

Function& FunctionTable::add(std::string_view signature) {
  auto function = std::make_unique<Function>();
  const std::size_t open = signature.find('(', 1);
  const std::size_t close = signature.rfind(')');
  function->name = signature.substr(0, open);
  function->internal = signature.substr(0, close + 1);
  function->result = type_named(signature.substr(close + 2));
  std::string_view types = signature.substr(open + 1, close - open - 1);
  while (!types.empty()) {
    const std::size_t comma = std::min(types.find(','), types.size());
    std::string_view type = types.substr(0, comma);
    if (type.ends_with("...")) {
      function->variadic = true;
      type.remove_suffix(3);
    }
    function->arguments.push_back(type_named(type));
    types.remove_prefix(std::min(comma + 1, types.size()));
  }
  by_name_[function->name].push_back(function.get());
  functions_.push_back(std::move(function));
  return *functions_.back();
}

Function& FunctionTable::scalar(std::string_view signature, Implementation implementation) {
  Function& function = add(signature);
  function.implementation = implementation;
  return function;
}

Function& FunctionTable::nullable(std::string_view signature, Implementation implementation) {
  Function& function = scalar(signature, implementation);
  function.strict = false;
  return function;
}

Function& FunctionTable::native(std::string_view signature, std::string_view sql) {
  Function& function = add(signature);
  function.sql = sql;
  return function;
}

Function& FunctionTable::aggregate(std::string_view signature, AggregateFactory factory) {
  Function& function = add(signature);
  function.kind = Function::Kind::kAggregate;
  function.aggregate = factory;
  function.strict = false;
  return function;
}

Function& FunctionTable::window(std::string_view signature, std::string_view sql) {
  Function& function = native(signature, sql);
  function.kind = Function::Kind::kWindow;
  return function;
}

Function& FunctionTable::rows(std::string_view signature, RowsImplementation implementation,
                              std::vector<std::pair<std::string, Oid>> columns) {
  Function& function = add(signature);
  function.kind = Function::Kind::kRows;
  function.rows = implementation;
  function.columns = std::move(columns);
  if (function.columns.empty()) function.columns = {{function.name, function.result}};
  return function;
}

}  // namespace calf::sqlite
