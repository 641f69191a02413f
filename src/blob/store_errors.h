// The errors that every ObjectStore gives in the same words. Internal to this module.
#pragma once

#include <string>

#include "base/result.h"

namespace calf::blob {

inline tl::unexpected<Error> not_found(const std::string& store, const std::string& key) {
  return fail(ErrorCode::kNotFound, "there is no object " + key + " in " + store);
}
inline tl::unexpected<Error> condition_failed(const std::string& store, const std::string& key) {
  return fail(ErrorCode::kPreconditionFailed,
              "object " + key + " in " + store + " was made or changed by someone else");
}
inline tl::unexpected<Error> past_the_end(const std::string& key) {
  return fail(ErrorCode::kInvalidArgument, "the range begins past the end of " + key);
}

}  // namespace calf::blob
