#include "error.h"

namespace calf::addon {

Napi::Error to_js(Napi::Env env, const calf_error* error) {
  if (error == nullptr) return Napi::Error::New(env, "out of memory");
  auto result = Napi::Error::New(env, calf_error_message(error));
  result.Set("code", Napi::String::New(env, calf_error_sqlstate(error)));
  const auto set = [&](const char* name, calf_field field) {
    const char* text = calf_error_field(error, field);
    if (text != nullptr) result.Set(name, Napi::String::New(env, text));
  };
  set("severity", CALF_FIELD_SEVERITY);
  set("detail", CALF_FIELD_DETAIL);
  set("hint", CALF_FIELD_HINT);
  return result;
}

}  // namespace calf::addon
