#include "cli/serve_command.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "cli/bootstrap.h"
#include "cli/child.h"
#include "cli/engine_factory.h"
#include "cli/progress.h"
#include "cli/ready.h"
#include "cli/signals.h"
#include "os/idle_memory.h"
#include "pool/pool.h"
#include "server/server.h"

namespace calf::cli {
namespace {

using Clock = std::chrono::steady_clock;

// timeout(1) and some shells signal a process and then its group, too: what comes at once is one
// signal.
constexpr auto kSameSignal = std::chrono::milliseconds(300);
constexpr auto kQuickStart = std::chrono::seconds(1);  // clients wait for that, or are sent away
// After that the engine's helpers run, too, and what only the start has needed can go: a server may
// be one of many on a machine, most of them idle.
constexpr int kStartIsOverMs = 250;
constexpr int kChildGraceMs = 3000;  // for --run's command after it was told to end

// Where lines go: JSON to standard output when a program reads it, words to standard error.
class Announcer {
 public:
  explicit Announcer(const ServeOptions& options)
      : json_(options.json_only || (options.command.empty() && ::isatty(STDOUT_FILENO) == 0)),
        words_(!options.json_only && !options.quiet) {}

  void ready(const ReadyInfo& info) const {
    if (words_) print(stderr, ready_text(info));
    if (json_) print(stdout, ready_json(info));
  }
  void failed(const Error& error) const {
    print(stderr, "calf: " + error.message + "\n" +
                      (error.hint.empty() ? "" : "HINT:  " + error.hint + "\n"));
    if (json_) print(stdout, failure_json(error));
  }

 private:
  static void print(std::FILE* stream, const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stream);
    std::fflush(stream);
  }
  const bool json_;
  const bool words_;
};

// The engine's unasked end, as a descriptor.
struct EngineExit {
  Event event;
  std::mutex mutex;
  std::optional<Error> error;

  void note(Error why) {
    const std::lock_guard lock(mutex);
    error = std::move(why);
    event.set();
  }
};

struct Running {
  std::unique_ptr<net::TlsContext> tls;
  std::unique_ptr<server::Engine> engine;
  std::unique_ptr<server::Server> server;
  std::unique_ptr<pool::Pool> pool;  // of --pool, or null
  bool self_signed = false;
};

Result<std::unique_ptr<net::TlsContext>> make_tls(const ServeOptions& options) {
  if (options.tls_files) return net::TlsContext::from_files(*options.tls_files);
  if (options.self_signed_tls) return net::TlsContext::self_signed();
  return nullptr;
}

std::string directory_of(const ClusterLocation& location) {
  const auto* directory = std::get_if<DirectoryLocation>(&location);
  return directory != nullptr ? directory->path.string() : "memory://";
}

Result<std::unique_ptr<server::Server>> bind_server(const ServeOptions& options,
                                                    net::TlsContext* tls) {
  return server::Server::bind({.tcp_hosts = options.hosts,
                               .port = options.port,
                               .socket_directories = options.socket_directories,
                               .socket_paths = options.socket_paths,
                               .data_directory = directory_of(options.location),
                               .tls = tls,
                               .handshake_timeout = options.handshake_timeout});
}

// PostgreSQL's severities: "2026-… [12] ERROR:  …".
log::Level level_of(std::string_view line) {
  const auto has = [&](std::string_view severity) { return line.find(severity) != line.npos; };
  if (has("ERROR:  ") || has("FATAL:  ") || has("PANIC:  ")) return log::Level::kError;
  if (has("WARNING:  ")) return log::Level::kWarn;
  if (has("DEBUG")) return log::Level::kDebug;
  return log::Level::kInfo;
}

ClusterOptions cluster_options(const ServeOptions& options, std::uint16_t port) {
  ClusterOptions cluster{.location = options.location,
                         .engine = options.engine,
                         .login = {.method = method_name(options.auth.value_or(AuthMethod::kTrust)),
                                   .user = options.user,
                                   .password = options.password,
                                   .database = options.database},
                         .storage = options.storage,
                         .from = options.from,
                         .archive_programs = true,
                         .copy_programs = options.allow_programs};
  cluster.settings.emplace_back("port", std::to_string(port));
  cluster.settings.insert(cluster.settings.end(), options.settings.begin(), options.settings.end());
  if (options.auth) cluster.pg_hba_conf = hba_text(*options.auth);
  if (!options.quiet && options.log) {
    cluster.log_sink = [](std::string_view line) { log::write(level_of(line), line); };
  } else if (!options.quiet) {
    cluster.log_sink = [](std::string_view line) {
      std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    };
  }
  return cluster;
}

Result<std::unique_ptr<pool::Pool>> bind_pool(const ServeOptions& options) {
  if (!options.pool) return nullptr;
  auto bound = pool::Pool::bind(
      {.host = options.pool->host,
       .port = options.pool->port,
       .templates = {.max_databases = options.pool_size, .ahead = options.pool_ahead}});
  if (!bound && bound.error().code == ErrorCode::kAlreadyExists) {
    bound.error().hint = "choose another port with --pool, or --pool 0 for a free one";
  }
  return bound;
}

// A server at every address is where the client has found the pool.
Result<void> serve_pool(const ServeOptions& options, const Running& running) {
  if (running.pool == nullptr) return {};
  const server::Endpoints& endpoints = running.server->endpoints();
  const std::string first = endpoints.tcp.empty() ? "" : endpoints.tcp.front().host;
  const bool everywhere = first == "0.0.0.0" || first == "::";
  auto served =
      running.pool->serve(*running.engine, {.host = everywhere ? "" : client_host(endpoints),
                                            .port = endpoints.port,
                                            .user = options.user,
                                            .password = options.password,
                                            .database = options.database});
  if (!served) return fail(std::move(served).error().with_context("starting the pool"));
  return {};
}

std::string pool_url(const ServeOptions& options, const Running& running) {
  if (running.pool == nullptr) return "";
  std::string host = options.pool->host == "*" ? "127.0.0.1" : options.pool->host;
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return "http://" + host + ":" + std::to_string(running.pool->port()) + "/api";
}

// Binds first: a port in use shall not cost a new data directory, and the port is known when SHOW
// is asked for it.
Result<void> start(const ServeOptions& options, Signals& signals, EngineExit& engine_exit,
                   Running& running) {
  CALF_TRY(const bool loopback_only, server::all_loopback(options.hosts));
  CALF_CHECK_OK(check_exposure(options, loopback_only));
  CALF_TRY(running.tls, make_tls(options));
  running.self_signed = running.tls && !options.tls_files;
  CALF_TRY(running.server, bind_server(options, running.tls.get()));
  CALF_TRY(running.pool, bind_pool(options));
  const std::uint16_t port = running.server->endpoints().port;
  if (options.storage || options.from ||
      std::holds_alternative<DirectoryLocation>(options.location))
    running.server->await_engine(kQuickStart);
  Progress progress(options.storage ? "restoring the database" : "reading the snapshot", &signals,
                    options.quiet || options.json_only);
  ClusterOptions chosen = cluster_options(options, port);
  chosen.observer = progress.observer();
  auto cluster = open_cluster(chosen);
  progress.clear();
  if (!cluster) return fail(std::move(cluster).error());
  running.engine = std::move(cluster->engine);
  running.engine->set_exit_handler([&engine_exit](Error why) { engine_exit.note(std::move(why)); });
  CALF_CHECK_OK(bootstrap(*running.engine, options, cluster->created));
  if (!loopback_only && !options.auth && options.engine == EngineKind::kPostgres)
    CALF_CHECK_OK(check_hba(*running.engine));
  running.server->serve(*running.engine);
  return serve_pool(options, running);
}

// Standard input at its end? Reads and drops what came.
bool input_has_ended() {
  std::array<char, 4096> ignored;
  const ssize_t n = ::read(STDIN_FILENO, ignored.data(), ignored.size());
  return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

// Waits for a reason to end; the exit code so far.
int wait_for_end(const ServeOptions& options, const Announcer& announcer, Signals& signals,
                 EngineExit& engine_exit, std::optional<Child>& child) {
  enum { kSignal, kEngine, kChild, kInput, kCount };
  std::array<pollfd, kCount> fds{{{signals.descriptor(), POLLIN, 0},
                                  {engine_exit.event.descriptor(), POLLIN, 0},
                                  {child ? child->descriptor() : -1, POLLIN, 0},
                                  {options.exit_with_stdin ? STDIN_FILENO : -1, POLLIN, 0}}};
  bool is_trimmed = false;
  while (true) {
    const int events = ::poll(fds.data(), fds.size(), is_trimmed ? -1 : kStartIsOverMs);
    if (events == 0) {
      os::trim_idle_memory();
      is_trimmed = true;
    }
    if (events <= 0) continue;
    if (fds[kEngine].revents != 0) {
      const std::lock_guard lock(engine_exit.mutex);
      announcer.failed(*engine_exit.error);
      return 1;
    }
    if (fds[kChild].revents != 0) {
      const int code = child->wait();
      child.reset();
      return code;
    }
    if (fds[kSignal].revents != 0) {
      const int number = signals.take();
      if (number == 0) continue;
      if (child) child->signal(number);
      return 0;
    }
    if (fds[kInput].revents != 0 && input_has_ended()) return 0;
  }
}

// A command that was told to end has a little time to use the database while doing so.
int reap(std::optional<Child>& child, int code) {
  if (!child) return code;
  child->signal(SIGTERM);
  pollfd ended{child->descriptor(), POLLIN, 0};
  if (::poll(&ended, 1, kChildGraceMs) <= 0) child->signal(SIGKILL);
  return child->wait();
}

// Fast shutdown on a thread of its own, so that a second signal can make it immediate.
Result<void> stop_engine(server::Engine& engine, Signals& signals) {
  Event done;
  Result<void> result;
  const Clock::time_point began = Clock::now();
  std::thread stopper([&] {
    result = engine.shutdown(server::ShutdownMode::kFast);
    done.set();
  });
  std::array<pollfd, 2> fds{{{signals.descriptor(), POLLIN, 0}, {done.descriptor(), POLLIN, 0}}};
  while (fds[1].revents == 0) {
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[0].revents != 0 && signals.take() != 0 && Clock::now() - began > kSameSignal) {
      (void)engine.shutdown(server::ShutdownMode::kImmediate);
    }
  }
  stopper.join();
  return result;
}

int run(const ServeOptions& options, Signals& signals, const Announcer& announcer) {
  EngineExit engine_exit;
  Running running;
  if (auto started = start(options, signals, engine_exit, running); !started) {
    running.pool.reset();
    if (running.engine) (void)running.engine->shutdown(server::ShutdownMode::kFast);
    announcer.failed(started.error());
    return 1;
  }
  const ReadyInfo info{.options = options,
                       .endpoints = running.server->endpoints(),
                       .tls_fingerprint = running.self_signed ? running.tls->fingerprint() : "",
                       .pool_url = pool_url(options, running)};
  announcer.ready(info);
  std::optional<Child> child;
  int code = 0;
  if (!options.command.empty()) {
    auto command = Child::start(options.command, child_environment(info));
    if (command) {
      child.emplace(std::move(*command));
    } else {
      announcer.failed(command.error());
      code = 1;
    }
  }
  if (code == 0) code = wait_for_end(options, announcer, signals, engine_exit, child);
  code = reap(child, code);
  running.pool.reset();
  running.server->stop();
  if (auto stopped = stop_engine(*running.engine, signals); !stopped) {
    announcer.failed(stopped.error());
    return code == 0 ? 1 : code;
  }
  return code;
}

}  // namespace

int run_serve(const ServeOptions& options) {
  Signals signals;
  log::Options log = options.log.value_or(log::Options{});
  if (options.debug_level > 0) log.level = log::Level::kDebug;
  if (options.quiet) log.level = log::Level::kError;
  log::configure(log);
  return run(options, signals, Announcer(options));
}

}  // namespace calf::cli
