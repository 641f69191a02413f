// Result<T>: a value or an Error. The one way in which a fallible function of Calf answers.
#pragma once

#include <tl/expected.hpp>
#include <utility>

#include "base/error.h"

namespace calf {

template <typename T>
using Result = tl::expected<T, Error>;

// return fail(ErrorCode::kNotFound, "no such branch", "see `calf branch list`");
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message,
                                                std::string hint = {}) {
  return tl::unexpected<Error>(
      Error{.code = code, .message = std::move(message), .hint = std::move(hint)});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace calf

#define CALF_CONCAT_(a, b) a##b
#define CALF_CONCAT(a, b) CALF_CONCAT_(a, b)

// CALF_TRY(auto file, open(path)): declares `file`, or returns open's error from this function.
#define CALF_TRY(declaration, expression)                                   \
  auto CALF_CONCAT(result_, __LINE__) = (expression);                       \
  if (!CALF_CONCAT(result_, __LINE__))                                      \
    return ::calf::fail(std::move(CALF_CONCAT(result_, __LINE__)).error()); \
  declaration = std::move(*CALF_CONCAT(result_, __LINE__))

// CALF_CHECK_OK(sync(file)): returns the error from this function, if there is one.
#define CALF_CHECK_OK(expression)                           \
  do {                                                      \
    if (auto check_result = (expression); !check_result)    \
      return ::calf::fail(std::move(check_result).error()); \
  } while (0)
