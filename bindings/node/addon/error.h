// Errors of libcalf as JavaScript's.
#pragma once

#include <calf/calf.h>
#include <napi.h>

#include <memory>

namespace calf::addon {

struct FreeError {
  void operator()(calf_error* error) const { calf_error_free(error); }
};
using ErrorPtr = std::unique_ptr<calf_error, FreeError>;

// An Error with `code` (the SQLSTATE), and `detail` and `hint` if there are any. A null `error`
// means that memory has run out.
Napi::Error to_js(Napi::Env env, const calf_error* error);

}  // namespace calf::addon
