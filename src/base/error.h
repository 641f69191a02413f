// What went wrong, for a person to act on: a code, a message, and a hint for the operator.
// Not for SQL errors that PostgreSQL itself reports to a client; those travel as protocol bytes.
#pragma once

#include <string>
#include <string_view>

namespace calf {

enum class ErrorCode {
  kInvalidArgument,  // the caller's input is wrong; trying again will not help
  kNotFound,
  kAlreadyExists,
  kPreconditionFailed,  // it is not in the state that the caller asked for; look again
  kPermissionDenied,
  kResourceExhausted,  // out of memory, disk, descriptors, or above a named limit
  kUnavailable,        // not now; trying again may help
  kDeadlineExceeded,
  kCancelled,
  kDataCorrupted,  // what is stored or received breaks its own format
  kIo,             // the operating system refused; `system_errno` says how
  kUnsupported,
  kInternal,  // our own mistake
};

// Stable name of a code, e.g. "permission denied". Any thread.
std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string hint{};    // what the operator can do; may be empty
  int system_errno = 0;  // Linux errno for kIo and kPermissionDenied, otherwise 0

  // The same error, seen from one level up: "opening the data directory: <message>".
  [[nodiscard]] Error with_context(std::string_view context) &&;

  // "message (hint: hint)", one line, for logs and the terminal.
  [[nodiscard]] std::string to_string() const;

  // An error of the operating system: `what` says what was tried; `system_errno` is errno's value.
  static Error from_errno(std::string_view what, int system_errno);
};

}  // namespace calf
