// How the functions of calf.h fail: an error on the heap and a status, never an exception.
#pragma once

#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "base/error.h"
#include "calf/calf.h"
#include "pgwire/frontend.h"

struct calf_error {
  calf_status status = CALF_ERROR_INTERNAL;
  std::vector<std::pair<char, std::string>> fields{};
};

namespace calf::capi {

using Failure = calf_error;
template <typename T>
using Answer = tl::expected<T, Failure>;

// An error of this library's own. `sqlstate` empty: the one that fits `status`.
tl::unexpected<Failure> fail(calf_status status, std::string message, std::string hint = {},
                             std::string_view sqlstate = {});
tl::unexpected<Failure> fail_with(const Error& error);

// PostgreSQL's report: the body of an ErrorResponse or NoticeResponse. CALF_ERROR_CLOSED when it is
// FATAL, otherwise `status`.
Failure from_report(std::span<const std::byte> body, calf_status status);
// The same for a refused login: the status is that of the SQLSTATE.
Failure from_refusal(std::span<const std::byte> body);

// Hands `failure` to the caller of the library.
calf_status report(calf_error** error, Failure failure) noexcept;

// Runs the body of a function: Answer<calf_status> body(). Nothing that it throws gets out.
template <typename Body>
calf_status guarded(calf_error** error, Body&& body) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    Answer<calf_status> answer = body();
    return answer ? *answer : report(error, std::move(answer).error());
  } catch (const std::bad_alloc&) {
    return report(error, Failure{.status = CALF_ERROR_RESOURCES});
  } catch (const std::exception& e) {
    return report(error, fail(CALF_ERROR_INTERNAL, e.what()).value());
  }
}

}  // namespace calf::capi

// As CALF_TRY and CALF_CHECK_OK (base/result.h), for Answer.
#define CAPI_TRY(declaration, expression)                                     \
  auto CALF_CONCAT(answer_, __LINE__) = (expression);                         \
  if (!CALF_CONCAT(answer_, __LINE__))                                        \
    return tl::unexpected(std::move(CALF_CONCAT(answer_, __LINE__)).error()); \
  declaration = std::move(*CALF_CONCAT(answer_, __LINE__))
#define CAPI_CHECK_OK(expression)                             \
  do {                                                        \
    if (auto check_answer = (expression); !check_answer)      \
      return tl::unexpected(std::move(check_answer).error()); \
  } while (0)
