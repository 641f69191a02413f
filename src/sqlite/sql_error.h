// An error of SQL, as PostgreSQL would report it. Thrown: the rewriter and the functions are deep
// recursions over hostile input, in which PostgreSQL itself jumps (ereport). It is caught at the
// end of each statement (session) and at SQLite's C callbacks (function_bridge), and nowhere else.
#pragma once

#include <string>
#include <string_view>

#include "pgwire/error_response.h"

namespace calf::sqlite {

struct SqlError {
  pgwire::ErrorMessage report{};
  bool fatal = false;  // ends the session
};

// raise("22012", "division by zero")
[[noreturn]] void raise(std::string_view sqlstate, std::string message, std::string hint = {},
                        std::string detail = {});

// raise_at(location, …): `location` is a byte offset in the query, -1 for none; the session turns
// it into a position in characters.
[[noreturn]] void raise_at(int location, std::string_view sqlstate, std::string message,
                           std::string hint = {}, std::string detail = {});

// 0A000: what PostgreSQL can and this engine cannot. `construct` is named to the user.
[[noreturn]] void unsupported(std::string_view construct, int location = -1);

}  // namespace calf::sqlite
