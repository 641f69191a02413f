// A connection to a cluster as a JavaScript object: bytes both ways. See ../src/addon.d.cts.
#pragma once

#include <calf/calf.h>
#include <napi.h>
#include <uv.h>

#include <cstddef>
#include <vector>

#include "environment.h"

namespace calf::addon {

// Lives on its environment's thread, which never waits for the backend for longer than `run` may:
// libuv says when bytes have come.
class Wire : public Napi::ObjectWrap<Wire> {
 public:
  static Napi::Function define(Napi::Env env);

  // Arguments of the constructor, which JavaScript calls by cluster.connect(): the cluster, the
  // buffer, onData, onEnd.
  explicit Wire(const Napi::CallbackInfo& info);
  ~Wire() override;

  // Closes the connection if it is open; no callback comes after that.
  void shut();

 private:
  struct Handles;
  enum class Received { kBytes, kNothing, kEnd };

  void send(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);
  void idle(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  Received receive(std::int64_t timeout_ms, std::size_t* size);
  void watch();
  void on_readable();
  void flush();
  void end();

  calf_wire* wire_ = nullptr;
  Handles* handles_ = nullptr;  // freed by libuv's close callbacks
  Napi::Reference<Napi::Uint8Array> buffer_;
  std::byte* data_ = nullptr;  // of buffer_
  std::size_t capacity_ = 0;
  Napi::FunctionReference on_data_;
  Napi::FunctionReference on_end_;
  Napi::AsyncContext context_;
  std::vector<std::byte> unsent_;  // what the backend had no room for
};

}  // namespace calf::addon
