#include "sqlite/sql_error.h"

namespace calf::sqlite {

void raise(std::string_view sqlstate, std::string message, std::string hint, std::string detail) {
  raise_at(-1, sqlstate, std::move(message), std::move(hint), std::move(detail));
}

void raise_at(int location, std::string_view sqlstate, std::string message, std::string hint,
              std::string detail) {
  throw SqlError{.report = {.severity = "ERROR",
                            .sqlstate = std::string(sqlstate),
                            .message = std::move(message),
                            .detail = std::move(detail),
                            .hint = std::move(hint),
                            .position = static_cast<std::uint32_t>(location + 1)}};
}

void unsupported(std::string_view construct, int location) {
  raise_at(location, "0A000", std::string(construct) + " is not supported by the sqlite engine");
}

}  // namespace calf::sqlite
