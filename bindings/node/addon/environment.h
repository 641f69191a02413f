// What the addon keeps for one JavaScript environment (the main thread's, or a worker's): what is
// open, so that it can be closed when the environment ends without having closed it.
#pragma once

#include <napi.h>
#include <uv.h>

#include <set>

namespace calf::addon {

class Cluster;
class Wire;

// Lives on its environment's thread.
class Environment {
 public:
  explicit Environment(Napi::Env env);
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  [[nodiscard]] uv_loop_t* loop() const { return loop_; }

  void opened(Cluster* cluster) { clusters_.insert(cluster); }
  void opened(Wire* wire) { wires_.insert(wire); }
  void closed(Cluster* cluster) { clusters_.erase(cluster); }
  void closed(Wire* wire) { wires_.erase(wire); }

  // Handles of libuv close later than they are told to; the environment ends after the last one.
  void handle_opened() { ++open_handles_; }
  void handle_closed();

  // Constructors of the classes.
  Napi::FunctionReference cluster_class;
  Napi::FunctionReference wire_class;

 private:
  static void end(napi_async_cleanup_hook_handle hook, void* self);

  uv_loop_t* loop_ = nullptr;
  std::set<Cluster*> clusters_;
  std::set<Wire*> wires_;
  int open_handles_ = 0;
  napi_async_cleanup_hook_handle ending_ = nullptr;  // set when the environment ends
};

}  // namespace calf::addon
