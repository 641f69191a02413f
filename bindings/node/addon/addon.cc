// The addon's entry: libcalf for Node. ../src/addon.d.cts describes what it exports.
#include <calf/calf.h>
#include <napi.h>

#include "cluster.h"
#include "environment.h"
#include "wire.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  using namespace calf::addon;
  auto* environment = new Environment(env);
  env.SetInstanceData(environment);
  environment->cluster_class = Napi::Persistent(Cluster::define(env));
  environment->wire_class = Napi::Persistent(Wire::define(env));
  exports.Set("version", Napi::String::New(env, calf_version()));
  exports.Set("postgresVersion", Napi::String::New(env, calf_postgres_version()));
  exports.Set("open", Napi::Function::New<Cluster::open>(env, "open"));
  return exports;
}

}  // namespace

NODE_API_MODULE(calf, init)
