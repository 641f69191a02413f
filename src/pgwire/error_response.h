// ErrorResponse messages made by the server itself, before or instead of PostgreSQL.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace calf::pgwire {

using Bytes = std::vector<std::byte>;

struct ErrorMessage {
  std::string severity = "FATAL";
  std::string sqlstate = "XX000";  // five characters
  std::string message;
  std::string detail{};
  std::string hint{};
};

// The whole message: 'E', length, fields S V C M and, when not empty, D and H. NUL bytes in texts
// are dropped.
Bytes encode_error_response(const ErrorMessage& error);

}  // namespace calf::pgwire
