// The functions that read and write a type's values, as pg_type names them. Clients tell kinds of
// types by them: what array_in reads is an array.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "sqlite/types.h"

namespace calf::sqlite {

struct TypeFunctions {
  Oid type;                 // 0: not of one type
  const char* stem;         // "int4" of int4in, int4out, int4recv, int4send
  std::array<Oid, 4> oids;  // in, out, receive, send; 0: none
};

// Of any type, arrays and enums too. Any thread.
const TypeFunctions& functions_of_type(Oid type);
std::span<const TypeFunctions> all_type_functions();

constexpr std::array kTypeFunctionSuffixes = {"in", "out", "recv", "send"};

// "array_in" for 750, and back. Empty and 0: no such function.
std::string type_function_name(Oid function);
Oid type_function(std::string_view name);

}  // namespace calf::sqlite
