#include "cluster.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "error.h"
#include "wire.h"

namespace calf::addon {
namespace {

std::optional<std::string> text_of(const Napi::Object& options, const char* name) {
  const Napi::Value value = options.Get(name);
  if (!value.IsString()) return std::nullopt;
  return value.As<Napi::String>().Utf8Value();
}

const char* c_str(const std::optional<std::string>& text) {
  return text ? text->c_str() : nullptr;
}

// calf_options with the strings that it points to.
struct OpenOptions {
  explicit OpenOptions(const Napi::Object& options)
      : data_dir(text_of(options, "dataDir")),
        user(text_of(options, "user")),
        database(text_of(options, "database")),
        password(text_of(options, "password")),
        snapshot(text_of(options, "snapshot")) {
    const auto list = options.Get("settings").As<Napi::Array>();
    for (std::uint32_t i = 0; i < list.Length(); ++i) {
      settings.push_back(list.Get(i).As<Napi::String>().Utf8Value());
    }
    if (const Napi::Value value = options.Get("archive"); value.IsTypedArray()) {
      const auto array = value.As<Napi::Uint8Array>();
      archive_owner = Napi::Persistent(array);
      archive = {array.Data(), array.ByteLength()};
    }
  }

  std::optional<std::string> data_dir, user, database, password, snapshot;
  std::vector<std::string> settings;
  Napi::Reference<Napi::Uint8Array> archive_owner;  // keeps what `archive` is of
  std::span<const std::uint8_t> archive;            // what is still to be read; null: none
};

std::int64_t read_archive(void* context, void* buffer, std::size_t size) {
  auto& archive = *static_cast<std::span<const std::uint8_t>*>(context);
  const std::size_t part = std::min(size, archive.size());
  std::copy_n(archive.begin(), part, static_cast<std::uint8_t*>(buffer));
  archive = archive.subspan(part);
  return static_cast<std::int64_t>(part);
}

using Log = Napi::ThreadSafeFunction;

// A thread of the library. A line that does not fit any more is lost rather than waited for.
void log_line(void* context, const char* line, std::size_t size) {
  auto text = std::make_unique<std::string>(line, size);
  const auto call = [](Napi::Env env, Napi::Function function, std::string* owned) {
    const std::unique_ptr<std::string> text(owned);
    if (env != nullptr) function.Call({Napi::String::New(env, *text)});
  };
  if (static_cast<Log*>(context)->NonBlockingCall(text.get(), call) == napi_ok) text.release();
}

class OpenWorker : public Napi::AsyncWorker {
 public:
  OpenWorker(Napi::Env env, OpenOptions options, std::unique_ptr<Log> log)
      : AsyncWorker(env), deferred_(env), options_(std::move(options)), log_(std::move(log)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    std::vector<const char*> settings;
    for (const auto& setting : options_.settings) settings.push_back(setting.c_str());
    calf_options options{};
    options.struct_size = sizeof options;
    options.data_dir = c_str(options_.data_dir);
    options.user = c_str(options_.user);
    options.database = c_str(options_.database);
    options.password = c_str(options_.password);
    options.snapshot = c_str(options_.snapshot);
    if (!options_.archive_owner.IsEmpty()) {
      options.archive = read_archive;
      options.archive_context = &options_.archive;
    }
    options.auth = options_.password ? "scram-sha-256" : nullptr;
    options.settings = settings.data();
    options.settings_count = settings.size();
    options.log = log_ ? log_line : nullptr;
    options.log_context = log_.get();
    calf_error* error = nullptr;
    calf_open(&options, &cluster_, &error);
    error_.reset(error);
  }

  void OnOK() override {
    if (cluster_ == nullptr) {
      if (log_) log_->Release();
      deferred_.Reject(to_js(Env(), error_.get()).Value());
      return;
    }
    try {
      const auto external = Napi::External<calf_cluster>::New(Env(), cluster_);
      const Napi::Object object = Environment::of(Env()).cluster_class.New({external});
      Cluster::Unwrap(object)->set_log(std::move(log_));
      deferred_.Resolve(object);
    } catch (const Napi::Error&) {  // the environment is ending
      calf_close(cluster_, nullptr);
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  OpenOptions options_;
  std::unique_ptr<Log> log_;
  calf_cluster* cluster_ = nullptr;
  ErrorPtr error_;
};

}  // namespace

// Closes a cluster on a thread of the pool.
class CloseWorker : public Napi::AsyncWorker {
 public:
  CloseWorker(Napi::Env env, calf_cluster* cluster, std::unique_ptr<Log> log)
      : AsyncWorker(env), deferred_(env), cluster_(cluster), log_(std::move(log)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    calf_error* error = nullptr;
    calf_close(cluster_, &error);
    error_.reset(error);
  }

  void OnOK() override {
    if (log_) log_->Release();
    if (error_) {
      deferred_.Reject(to_js(Env(), error_.get()).Value());
    } else {
      deferred_.Resolve(Env().Undefined());
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  calf_cluster* cluster_;
  std::unique_ptr<Log> log_;
  ErrorPtr error_;
};

namespace {

// Saves a snapshot on a thread of the pool. The object of the cluster keeps it open meanwhile.
class SaveWorker : public Napi::AsyncWorker {
 public:
  SaveWorker(const Napi::Object& cluster, calf_cluster* native, std::string file)
      : AsyncWorker(cluster.Env()),
        deferred_(cluster.Env()),
        owner_(Napi::Persistent(cluster)),
        cluster_(native),
        file_(std::move(file)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    calf_error* error = nullptr;
    calf_snapshot_save(cluster_, file_.c_str(), &error);
    error_.reset(error);
  }

  void OnOK() override {
    if (error_) {
      deferred_.Reject(to_js(Env(), error_.get()).Value());
    } else {
      deferred_.Resolve(Env().Undefined());
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference owner_;
  calf_cluster* cluster_;
  std::string file_;
  ErrorPtr error_;
};

}  // namespace

Napi::Function Cluster::define(Napi::Env env) {
  return DefineClass(
      env, "Cluster",
      {InstanceMethod<&Cluster::listen>("listen"), InstanceMethod<&Cluster::connect>("connect"),
       InstanceMethod<&Cluster::save_snapshot>("saveSnapshot"),
       InstanceMethod<&Cluster::close>("close"), InstanceMethod<&Cluster::close_now>("closeNow")});
}

Napi::Value Cluster::open(const Napi::CallbackInfo& info) {
  const auto options = info[0].As<Napi::Object>();
  std::unique_ptr<Log> log;
  if (const Napi::Value function = options.Get("log"); function.IsFunction()) {
    constexpr std::size_t kMaxLines = 1024;
    log = std::make_unique<Log>(
        Log::New(info.Env(), function.As<Napi::Function>(), "calf log", kMaxLines, 1));
    log->Unref(info.Env());
  }
  auto* worker = new OpenWorker(info.Env(), OpenOptions(options), std::move(log));
  worker->Queue();
  return worker->promise();
}

Cluster::Cluster(const Napi::CallbackInfo& info)
    : ObjectWrap(info), cluster_(info[0].As<Napi::External<calf_cluster>>().Data()) {
  Environment::of(info.Env()).opened(this);
}

Cluster::~Cluster() {
  shut();
}

calf_cluster* Cluster::take() {
  if (cluster_ != nullptr) Environment::of(Env()).closed(this);
  return std::exchange(cluster_, nullptr);
}

void Cluster::shut() {
  if (cluster_ != nullptr) calf_close(take(), nullptr);
  if (log_) log_->Release();
  log_.reset();
}

Napi::Value Cluster::listen(const Napi::CallbackInfo& info) {
  const auto options = info[0].As<Napi::Object>();
  const auto host = text_of(options, "host");
  const auto socket_dir = text_of(options, "socketDir");
  calf_listen_options listen_options{};
  listen_options.struct_size = sizeof listen_options;
  listen_options.host = c_str(host);
  listen_options.socket_dir = c_str(socket_dir);
  listen_options.port = static_cast<std::uint16_t>(options.Get("port").ToNumber().Uint32Value());
  char* url = nullptr;
  calf_error* error = nullptr;
  calf_listen(cluster_, &listen_options, &url, &error);
  const ErrorPtr owned_error(error);
  if (url == nullptr) throw to_js(info.Env(), error);
  const std::unique_ptr<char, void (*)(void*)> owned_url(url, calf_free);
  return Napi::String::New(info.Env(), url);
}

Napi::Value Cluster::connect(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env()).wire_class.New({info.This(), info[0], info[1], info[2]});
}

// The caller awaits the promise before it closes the cluster.
Napi::Value Cluster::save_snapshot(const Napi::CallbackInfo& info) {
  auto* worker = new SaveWorker(info.This().As<Napi::Object>(), cluster_,
                                info[0].As<Napi::String>().Utf8Value());
  worker->Queue();
  return worker->promise();
}

Napi::Value Cluster::close(const Napi::CallbackInfo& info) {
  auto* worker = new CloseWorker(info.Env(), take(), std::exchange(log_, nullptr));
  worker->Queue();
  return worker->promise();
}

void Cluster::close_now(const Napi::CallbackInfo& /*info*/) {
  shut();
}

}  // namespace calf::addon
