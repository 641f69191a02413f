#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/log.h"
#include "capi/cluster_handle.h"
#include "cli/bootstrap.h"
#include "cli/engine_factory.h"
#include "cli/ready.h"

namespace calf::capi {
namespace {

std::atomic<unsigned> generation{0};

// Once per process; the library is never unloaded (-z nodelete), so the handler stays good.
void prepare_process() {
  static std::once_flag once;
  std::call_once(once, [] {
    log::configure({.level = log::Level::kOff});
    pthread_atfork(nullptr, nullptr, [] { generation += 1; });
  });
}

Answer<std::optional<cli::AuthMethod>> read_auth(const char* text) {
  if (text == nullptr) return std::nullopt;
  const std::string_view name = text;
  if (name == "trust") return cli::AuthMethod::kTrust;
  if (name == "password") return cli::AuthMethod::kPassword;
  if (name == "scram-sha-256") return cli::AuthMethod::kScram;
  return fail(CALF_ERROR_INVALID, "unknown authentication method \"" + std::string(name) + "\"",
              "auth is trust, password or scram-sha-256");
}

Answer<cli::ServeOptions> to_serve_options(const calf_options& given) {
  cli::ServeOptions options{.user = text_or(given.user, "postgres"),
                            .password = text_or(given.password, ""),
                            .database = text_or(given.database, "postgres"),
                            .quiet = true};
  auto location = cli::parse_location(text_or(given.data_dir, "memory://"));
  if (!location) return fail_with(location.error());
  options.location = std::move(*location);
  CAPI_TRY(options.settings, read_pairs(given.settings, given.settings_count));
  CAPI_TRY(options.auth, read_auth(given.auth));
  if (given.extensions == nullptr && given.extensions_count != 0) {
    return fail(CALF_ERROR_INVALID, "extensions is NULL, but extensions_count is not 0");
  }
  for (size_t i = 0; i < given.extensions_count; ++i) {
    if (given.extensions[i] == nullptr) return fail(CALF_ERROR_INVALID, "an extension is NULL");
    options.extensions.emplace_back(given.extensions[i]);
  }
  return options;
}

bool needs_bootstrap(const cli::ServeOptions& options) {
  return options.user != "postgres" || options.database != "postgres" ||
         !options.password.empty() || !options.extensions.empty() || options.auth.has_value();
}

// The archive of `given`, a buffer at a time.
cli::ArchiveSource archive_source(const calf_options& given) {
  return [read = given.archive,
          context = given.archive_context](std::span<std::byte> buffer) -> Result<size_t> {
    size_t done = 0;
    while (done < buffer.size()) {
      const size_t room = buffer.size() - done;
      const int64_t got = read(context, buffer.data() + done, room);
      if (got < 0) return calf::fail(ErrorCode::kIo, "the archive could not be read");
      if (static_cast<uint64_t>(got) > room)
        return calf::fail(ErrorCode::kInvalidArgument, "the archive has more bytes than asked for");
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  };
}

cli::ClusterOptions to_cluster_options(const cli::ServeOptions& options,
                                       const calf_options& given) {
  cli::ClusterOptions cluster{.location = options.location, .settings = options.settings};
  if (given.snapshot != nullptr) cluster.from = given.snapshot;
  if (given.archive != nullptr) cluster.archive = archive_source(given);
  if (options.auth) cluster.pg_hba_conf = cli::hba_text(*options.auth);
  if (given.log != nullptr) {
    cluster.log_sink = [log = given.log, context = given.log_context](std::string_view line) {
      log(context, std::string(line).c_str(), line.size());
    };
  }
  return cluster;
}

Answer<std::unique_ptr<calf_cluster>> open(const calf_options* options) {
  constexpr size_t kLeastSize = offsetof(calf_options, snapshot);  // the first version's
  CAPI_TRY(const calf_options given, read_options(options, kLeastSize));
  if (given.snapshot != nullptr && given.archive != nullptr)
    return fail(CALF_ERROR_INVALID,
                "a cluster starts with a snapshot or with an archive, not both");
  auto cluster = std::make_unique<calf_cluster>();
  cluster->generation = process_generation();
  CAPI_TRY(cluster->options, to_serve_options(given));
  auto opened = cli::open_cluster(to_cluster_options(cluster->options, given));
  if (!opened) return fail_with(opened.error());
  cluster->engine = std::move(opened->engine);
  cluster->snapshots = opened->snapshots;
  if (needs_bootstrap(cluster->options)) {
    const auto ready = cli::bootstrap(*cluster->engine, cluster->options, opened->created);
    if (!ready) return fail_with(ready.error());
  }
  return cluster;
}

// What shares the engine are calls that wait for it to end.
void wait_for_calls(std::shared_ptr<server::Engine>& engine) {
  while (engine.use_count() > 1) std::this_thread::sleep_for(std::chrono::microseconds(100));
}

// A cluster in memory has nothing to bring to its end.
Answer<calf_status> close(std::unique_ptr<calf_cluster> cluster) {
  cluster->listeners.clear();
  Result<void> stopped;
  const bool persistent = std::holds_alternative<cli::DirectoryLocation>(cluster->options.location);
  stopped = cluster->engine->shutdown(persistent ? server::ShutdownMode::kFast
                                                 : server::ShutdownMode::kHalt);
  wait_for_calls(cluster->engine);
  cluster->engine.reset();
  if (!stopped) return fail_with(stopped.error());
  return CALF_OK;
}

Answer<server::ServerOptions> to_server_options(const calf_cluster& cluster,
                                                const calf_listen_options& given) {
  server::ServerOptions options{.tcp_hosts = {}, .port = given.port};
  if (given.host != nullptr) options.tcp_hosts.emplace_back(given.host);
  if (given.socket_dir != nullptr) options.socket_directories.emplace_back(given.socket_dir);
  if (options.tcp_hosts.empty() && options.socket_directories.empty()) {
    return fail(CALF_ERROR_INVALID, "no address to listen on", "set host, socket_dir, or both");
  }
  const auto* directory = std::get_if<cli::DirectoryLocation>(&cluster.options.location);
  options.data_directory = directory != nullptr ? directory->path.string() : "memory://";
  return options;
}

Answer<std::unique_ptr<net::TlsContext>> make_tls(const calf_listen_options& given) {
  if ((given.tls_cert_file == nullptr) != (given.tls_key_file == nullptr)) {
    return fail(CALF_ERROR_INVALID, "tls_cert_file and tls_key_file belong together");
  }
  if (given.tls_cert_file == nullptr && given.tls_self_signed == 0) return nullptr;
  auto tls = given.tls_cert_file != nullptr
                 ? net::TlsContext::from_files(
                       {.certificate = given.tls_cert_file, .key = given.tls_key_file})
                 : net::TlsContext::self_signed();
  if (!tls) return fail_with(tls.error());
  return std::move(*tls);
}

Answer<calf_status> listen(calf_cluster& cluster, const calf_listen_options* options, char** url) {
  CAPI_TRY(calf_listen_options given, read_options(options, sizeof(calf_listen_options)));
  if (options == nullptr) given.host = "127.0.0.1";
  CAPI_TRY(server::ServerOptions server_options, to_server_options(cluster, given));
  const auto loopback = server::all_loopback(server_options.tcp_hosts);
  if (!loopback) return fail_with(loopback.error());
  if (const auto safe = cli::check_exposure(cluster.options, *loopback); !safe) {
    return fail_with(safe.error());
  }
  if (!*loopback && !cluster.options.auth) {
    if (const auto safe = cli::check_hba(*cluster.engine); !safe) return fail_with(safe.error());
  }
  calf_cluster::Listener listener;
  CAPI_TRY(listener.tls, make_tls(given));
  server_options.tls = listener.tls.get();
  auto server = server::Server::bind(std::move(server_options));
  if (!server) return fail_with(server.error());
  listener.server = std::move(*server);
  if (url != nullptr) {
    const std::string text = cli::connection_url({.options = cluster.options,
                                                  .endpoints = listener.server->endpoints(),
                                                  .tls_fingerprint = {}},
                                                 cli::UrlPassword::kLeaveOut);
    *url = strdup(text.c_str());
    if (*url == nullptr) throw std::bad_alloc();
  }
  listener.server->serve(*cluster.engine);
  const std::lock_guard lock(cluster.mutex);
  cluster.listeners.push_back(std::move(listener));
  return CALF_OK;
}

}  // namespace

unsigned process_generation() {
  return generation.load(std::memory_order_relaxed);
}

Answer<calf_cluster*> check(calf_cluster* cluster) {
  if (cluster == nullptr) return fail(CALF_ERROR_INVALID, "the cluster is NULL");
  if (cluster->generation != process_generation()) {
    return fail(CALF_ERROR_INVALID, "the cluster belongs to the parent process",
                "open a cluster of its own after fork()");
  }
  return cluster;
}

Answer<std::vector<std::pair<std::string, std::string>>> read_pairs(const char* const* texts,
                                                                    size_t count) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (texts == nullptr && count != 0) {
    return fail(CALF_ERROR_INVALID, "a list is NULL, but its count is not 0");
  }
  for (size_t i = 0; i < count; ++i) {
    if (texts[i] == nullptr) return fail(CALF_ERROR_INVALID, "an element of a list is NULL");
    auto pair = cli::parse_setting(texts[i]);
    if (!pair) return fail_with(pair.error());
    pairs.push_back(std::move(*pair));
  }
  return pairs;
}

}  // namespace calf::capi

using namespace calf::capi;

extern "C" {

void calf_free(void* memory) {
  std::free(memory);
}

calf_status calf_open(const calf_options* options, calf_cluster** cluster, calf_error** error) {
  if (cluster != nullptr) *cluster = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    if (cluster == nullptr) return fail(CALF_ERROR_INVALID, "there is no place for the cluster");
    prepare_process();
    CAPI_TRY(auto opened, open(options));
    *cluster = opened.release();
    return CALF_OK;
  });
}

calf_status calf_close(calf_cluster* cluster, calf_error** error) {
  return guarded(error, [&]() -> Answer<calf_status> {
    if (cluster == nullptr) return CALF_OK;
    CAPI_CHECK_OK(check(cluster));
    return close(std::unique_ptr<calf_cluster>(cluster));
  });
}

calf_status calf_listen(calf_cluster* cluster, const calf_listen_options* options,
                        char** connection_string, calf_error** error) {
  if (connection_string != nullptr) *connection_string = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_CHECK_OK(check(cluster));
    return listen(*cluster, options, connection_string);
  });
}

calf_status calf_stop_listening(calf_cluster* cluster, calf_error** error) {
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_CHECK_OK(check(cluster));
    const std::lock_guard lock(cluster->mutex);
    cluster->listeners.clear();
    return CALF_OK;
  });
}

}  // extern "C"
