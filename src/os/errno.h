// Linux error numbers as a strong type, and results that carry them. For code that may not allocate
// (the guest's file system); everywhere else use calf::Result and turn an Errno into an Error at
// the boundary with to_error().
#pragma once

#include <cerrno>
#include <string_view>
#include <tl/expected.hpp>

#include "base/error.h"

namespace calf::os {

// Every Linux errno value is a valid Errno, also those without a name here.
enum class Errno : int {
  kPerm = EPERM,
  kNoEntry = ENOENT,
  kIo = EIO,
  kBadFd = EBADF,
  kAgain = EAGAIN,
  kNoMemory = ENOMEM,
  kAccess = EACCES,
  kFault = EFAULT,
  kBusy = EBUSY,
  kExists = EEXIST,
  kCrossDevice = EXDEV,
  kNoDevice = ENODEV,
  kNotDirectory = ENOTDIR,
  kIsDirectory = EISDIR,
  kInvalid = EINVAL,
  kTooManyOpenFiles = EMFILE,
  kNotTty = ENOTTY,
  kFileTooBig = EFBIG,
  kNoSpace = ENOSPC,
  kSeekPipe = ESPIPE,
  kReadOnly = EROFS,
  kTooManyLinks = EMLINK,
  kPipe = EPIPE,
  kRange = ERANGE,
  kNameTooLong = ENAMETOOLONG,
  kNotSupportedCall = ENOSYS,
  kNotEmpty = ENOTEMPTY,
  kLoop = ELOOP,
  kNotSupported = EOPNOTSUPP,
  kOverflow = EOVERFLOW,
};

template <typename T>
using Expected = tl::expected<T, Errno>;

// return fail(Errno::kNoEntry);
[[nodiscard]] constexpr tl::unexpected<Errno> fail(Errno code) {
  return tl::unexpected<Errno>(code);
}

// The calling thread's errno, for use right after a failed call.
[[nodiscard]] inline Errno last_errno() {
  return static_cast<Errno>(errno);
}

// The same failure for a person: `what` says what was tried.
[[nodiscard]] inline Error to_error(std::string_view what, Errno code) {
  return Error::from_errno(what, static_cast<int>(code));
}

}  // namespace calf::os

// CALF_TRY and CALF_CHECK_OK for Expected: propagate the Errno without allocating.
#define CALF_OS_CONCAT_(a, b) a##b
#define CALF_OS_CONCAT(a, b) CALF_OS_CONCAT_(a, b)
#define CALF_ERRNO_TRY(declaration, expression)                           \
  auto CALF_OS_CONCAT(expected_, __LINE__) = (expression);                \
  if (!CALF_OS_CONCAT(expected_, __LINE__))                               \
    return ::calf::os::fail(CALF_OS_CONCAT(expected_, __LINE__).error()); \
  declaration = std::move(*CALF_OS_CONCAT(expected_, __LINE__))

#define CALF_ERRNO_CHECK(expression)                           \
  do {                                                         \
    if (auto expected_result = (expression); !expected_result) \
      return ::calf::os::fail(expected_result.error());        \
  } while (0)
