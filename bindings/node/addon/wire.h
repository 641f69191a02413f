// A connection to a cluster as a JavaScript object: bytes both ways. See ../src/addon.d.cts.
#pragma once

#include <calf/calf.h>
#include <napi.h>
#include <uv.h>

#include <cstddef>
#include <span>
#include <vector>

#include "environment.h"

namespace calf::addon {

// Lives on its environment's thread, which never waits for the backend for longer than `exchange`
// may: libuv says when bytes have come.
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
  Napi::Value exchange(const Napi::CallbackInfo& info);
  void receive(const Napi::CallbackInfo& info);
  void idle(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  static Received received(calf_status status);
  std::span<const std::byte> begin(const Napi::CallbackInfo& info);
  bool hand_over(std::size_t size);
  bool receive_rest(bool answered);
  void keep(std::span<const std::byte> rest);
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
