// A running cluster as a JavaScript object: open, listen, connect, close. See ../src/addon.d.cts.
#pragma once

#include <calf/calf.h>
#include <napi.h>

#include <memory>

#include "environment.h"

namespace calf::addon {

// Lives on its environment's thread; opening and closing work on a thread of libuv's pool.
class Cluster : public Napi::ObjectWrap<Cluster> {
 public:
  static Napi::Function define(Napi::Env env);
  // open(options): a promise of a cluster.
  static Napi::Value open(const Napi::CallbackInfo& info);

  // For define() only: the first argument is an External<calf_cluster>.
  explicit Cluster(const Napi::CallbackInfo& info);
  ~Cluster() override;

  [[nodiscard]] calf_cluster* get() const { return cluster_; }
  // Closes the cluster if it is open, and blocks until it is.
  void shut();
  // Its log goes to this function until it is closed.
  void set_log(std::unique_ptr<Napi::ThreadSafeFunction> log) { log_ = std::move(log); }

 private:
  Napi::Value listen(const Napi::CallbackInfo& info);
  Napi::Value save_snapshot(const Napi::CallbackInfo& info);
  Napi::Value connect(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  void close_now(const Napi::CallbackInfo& info);
  // The cluster, which is this object's no longer.
  calf_cluster* take();

  calf_cluster* cluster_;
  std::unique_ptr<Napi::ThreadSafeFunction> log_;
};

}  // namespace calf::addon
