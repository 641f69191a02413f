// ErrorResponse and NoticeResponse messages that Calf makes itself, before or instead of
// PostgreSQL.
#pragma once

#include <cstddef>
#include <cstdint>
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
  std::uint32_t position = 0;  // in characters of the query, from 1; 0: none
  std::string schema{};
  std::string table{};
  std::string column{};
  std::string constraint{};
};

// The whole message: 'E', length, fields S V C M and, when not empty, D H P s t c n. NUL bytes in
// texts are dropped.
Bytes encode_error_response(const ErrorMessage& error);

// The same as a NoticeResponse.
Bytes encode_notice_response(const ErrorMessage& notice);

}  // namespace calf::pgwire
