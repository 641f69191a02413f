#include "environment.h"

#include "cluster.h"
#include "wire.h"

namespace calf::addon {

Environment::Environment(Napi::Env env) {
  napi_get_uv_event_loop(env, &loop_);
  napi_add_async_cleanup_hook(env, end, this, nullptr);
}

void Environment::handle_closed() {
  if (--open_handles_ > 0 || ending_ == nullptr) return;
  napi_remove_async_cleanup_hook(ending_);
}

void Environment::end(napi_async_cleanup_hook_handle hook, void* self) {
  auto& environment = *static_cast<Environment*>(self);
  environment.ending_ = hook;
  // Each takes itself off the list.
  while (!environment.wires_.empty()) (*environment.wires_.begin())->shut();
  while (!environment.clusters_.empty()) (*environment.clusters_.begin())->shut();
  if (environment.open_handles_ == 0) napi_remove_async_cleanup_hook(hook);
}

}  // namespace calf::addon
