#include "wire.h"

#include <algorithm>
#include <span>
#include <utility>

#include "cluster.h"
#include "error.h"

namespace calf::addon {
namespace {

// How soon what the backend had no room for is tried again.
constexpr std::uint64_t kRetryMs = 1;

}  // namespace

// libuv needs its handles until its close callbacks have run, when the Wire may be gone.
struct Wire::Handles {
  uv_poll_t poll{};
  uv_timer_t retry{};
  Wire* wire = nullptr;
  Environment* environment = nullptr;
  int open = 2;

  static void closed(uv_handle_t* handle) {
    auto* handles = static_cast<Handles*>(handle->data);
    auto& environment = *handles->environment;
    if (--handles->open == 0) delete handles;
    environment.handle_closed();
  }

  void close() {
    wire = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll), closed);
    uv_close(reinterpret_cast<uv_handle_t*>(&retry), closed);
  }
};

Napi::Function Wire::define(Napi::Env env) {
  return DefineClass(
      env, "Wire",
      {InstanceMethod<&Wire::send>("send"), InstanceMethod<&Wire::exchange>("exchange"),
       InstanceMethod<&Wire::receive>("receive"), InstanceMethod<&Wire::idle>("idle"),
       InstanceMethod<&Wire::cancel>("cancel"), InstanceMethod<&Wire::close>("close")});
}

Wire::Wire(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      on_data_(Napi::Persistent(info[2].As<Napi::Function>())),
      on_end_(Napi::Persistent(info[3].As<Napi::Function>())),
      context_(info.Env(), "calf") {
  auto buffer = info[1].As<Napi::Uint8Array>();
  buffer_ = Napi::Persistent(buffer);
  data_ = reinterpret_cast<std::byte*>(buffer.Data());
  capacity_ = buffer.ByteLength();

  const auto* cluster = Cluster::Unwrap(info[0].As<Napi::Object>());
  calf_error* error = nullptr;
  calf_wire_open(cluster->get(), &wire_, &error);
  const ErrorPtr owned(error);
  if (wire_ == nullptr) throw to_js(info.Env(), error);
  const int descriptor = calf_wire_descriptor(wire_);
  if (descriptor < 0) {
    calf_wire_close(wire_);
    throw Napi::Error::New(info.Env(), "the process has run out of file descriptors");
  }

  auto& environment = Environment::of(info.Env());
  handles_ = new Handles{.wire = this, .environment = &environment};
  handles_->poll.data = handles_->retry.data = handles_;
  uv_poll_init(environment.loop(), &handles_->poll, descriptor);
  uv_timer_init(environment.loop(), &handles_->retry);
  uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->poll));
  environment.handle_opened();
  environment.handle_opened();
  environment.opened(this);
  Ref();  // JavaScript need not hold it while the backend may still say something
  watch();
}

Wire::~Wire() {
  shut();
}

void Wire::shut() {
  if (wire_ == nullptr) return;
  handles_->close();
  handles_ = nullptr;
  calf_wire_close(std::exchange(wire_, nullptr));
  Environment::of(Env()).closed(this);
  Unref();
}

std::span<const std::byte> Wire::begin(const Napi::CallbackInfo& info) {
  uv_ref(reinterpret_cast<uv_handle_t*>(&handles_->poll));
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const std::size_t size =
      std::min<std::size_t>(info[1].As<Napi::Number>().Uint32Value(), bytes.ByteLength());
  return {reinterpret_cast<const std::byte*>(bytes.Data()), size};
}

void Wire::send(const Napi::CallbackInfo& info) {
  if (wire_ == nullptr) return;
  std::span<const std::byte> rest = begin(info);
  while (unsent_.empty() && !rest.empty()) {
    std::size_t sent = 0;
    calf_wire_send(wire_, rest.data(), rest.size(), 0, &sent, nullptr);
    // No room; or the connection has ended, which receiving will tell.
    if (sent == 0) break;
    rest = rest.subspan(sent);
  }
  keep(rest);
}

// Copies what cannot be sent now, to be sent later.
void Wire::keep(std::span<const std::byte> rest) {
  if (rest.empty()) return;
  unsent_.insert(unsent_.end(), rest.begin(), rest.end());
  flush();
}

void Wire::flush() {
  std::size_t done = 0;
  calf_status status = CALF_OK;
  while (done < unsent_.size() && status == CALF_OK) {
    std::size_t sent = 0;
    status = calf_wire_send(wire_, unsent_.data() + done, unsent_.size() - done, 0, &sent, nullptr);
    done += sent;
  }
  unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(done));
  if (status != CALF_OK && status != CALF_ERROR_TIMEOUT) unsent_.clear();
  if (unsent_.empty()) return;
  const auto again = [](uv_timer_t* timer) {
    auto* wire = static_cast<Handles*>(timer->data)->wire;
    if (wire != nullptr) wire->flush();
  };
  uv_timer_start(&handles_->retry, again, kRetryMs, 0);
}

Wire::Received Wire::received(calf_status status) {
  switch (status) {
    case CALF_OK:
      return Received::kBytes;
    case CALF_ERROR_TIMEOUT:
      return Received::kNothing;
    default:
      return Received::kEnd;
  }
}

void Wire::receive(const Napi::CallbackInfo& /*info*/) {
  receive_rest(false);
}

bool Wire::hand_over(std::size_t size) {
  return on_data_.Call({Napi::Number::New(Env(), static_cast<double>(size))}).ToBoolean();
}

Napi::Value Wire::exchange(const Napi::CallbackInfo& info) {
  if (wire_ == nullptr) return Napi::Boolean::New(info.Env(), false);
  std::span<const std::byte> rest = begin(info);
  const std::int64_t timeout_ms = info[2].As<Napi::Number>().Int64Value();
  if (!unsent_.empty()) keep(std::exchange(rest, {}));  // after what came before
  bool answered = false;
  Received last = Received::kBytes;
  while (wire_ != nullptr && last == Received::kBytes && !answered) {
    std::size_t sent = 0;
    std::size_t size = 0;
    last = received(calf_wire_exchange(wire_, rest.data(), rest.size(), &sent, data_, capacity_,
                                       timeout_ms, &size, nullptr));
    // JavaScript may write into its buffer, and send more, as soon as it has seen an answer.
    keep(rest.subspan(sent));
    rest = {};
    if (last == Received::kBytes) answered = hand_over(size);
  }
  return Napi::Boolean::New(info.Env(), receive_rest(answered));
}

// What is there already. The descriptor tells of bytes again once a call has found none. Was there
// an answer, now or before?
bool Wire::receive_rest(bool answered) {
  while (wire_ != nullptr) {
    std::size_t size = 0;
    const Received now = received(calf_wire_receive(wire_, data_, capacity_, 0, &size, nullptr));
    if (now == Received::kNothing) break;
    if (now == Received::kEnd) {
      end();
      break;
    }
    answered = hand_over(size) || answered;
  }
  return answered;
}

void Wire::watch() {
  const auto readable = [](uv_poll_t* poll, int /*status*/, int /*events*/) {
    auto* wire = static_cast<Handles*>(poll->data)->wire;
    if (wire != nullptr) wire->on_readable();
  };
  uv_poll_start(&handles_->poll, UV_READABLE, readable);
}

void Wire::on_readable() {
  const Napi::HandleScope handles(Env());
  // Promises that are settled within go on when it ends.
  const Napi::CallbackScope callbacks(Env(), context_);
  if (!unsent_.empty()) flush();
  try {
    receive_rest(false);
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  }
}

void Wire::end() {
  uv_poll_stop(&handles_->poll);
  on_end_.Call({});
}

void Wire::idle(const Napi::CallbackInfo& /*info*/) {
  if (wire_ != nullptr) uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->poll));
}

void Wire::cancel(const Napi::CallbackInfo& /*info*/) {
  if (wire_ != nullptr) calf_wire_cancel(wire_, nullptr);
}

void Wire::close(const Napi::CallbackInfo& /*info*/) {
  shut();
}

}  // namespace calf::addon
