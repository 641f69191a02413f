// What PostgreSQL 18 has, by name. What it has and this engine has not is a feature that is not
// supported (0A000); what it has not either does not exist (42883).
#pragma once

#include <string_view>

namespace calf::sqlite {

bool is_operator_of_postgres(std::string_view name);
bool is_function_of_postgres(std::string_view name);

}  // namespace calf::sqlite
