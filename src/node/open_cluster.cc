// The composition root for the PostgreSQL engine: options of the command line -> a running cluster
// behind server::Engine.
#include <chrono>
#include <thread>

#include "base/log.h"
#include "cli/engine_factory.h"
#include "net/memory_pipe.h"
#include "node/data_directory.h"
#include "node/embedded.h"
#include "os/clock.h"
#include "os/files.h"
#include "postgres/cluster.h"
#include "sqlite/engine.h"
#include "vfs/directory_file_system.h"
#include "vfs/memory_file_system.h"

namespace calf::node {
namespace {

constexpr int64_t kFastShutdownMs = 5000;
constexpr int64_t kSmartShutdownMs = INT64_C(1) << 40;  // as long as the sessions like

// Any thread.
class PostgresEngine final : public server::Engine {
 public:
  PostgresEngine(std::unique_ptr<DataDirectory> directory,
                 std::unique_ptr<postgres::Cluster> cluster)
      : directory_(std::move(directory)), cluster_(std::move(cluster)) {}

  void connect(server::ClientConnection connection) override {
    cluster_->connect({.transport = std::move(connection.transport),
                       .startup_packet = std::move(connection.startup_packet)});
  }

  // PostgreSQL itself knows the keys: the request goes to it as the packet that it is.
  void cancel(server::CancelRequest request) override {
    constexpr uint32_t kCancelRequestCode = 80877102;
    std::vector<std::byte> packet;
    for (uint32_t word : {kCancelRequestCode, request.pid}) {
      for (int shift = 24; shift >= 0; shift -= 8)
        packet.push_back(static_cast<std::byte>(word >> shift));
    }
    packet.insert(packet.end(), request.key.begin(), request.key.end());
    auto transport = request.transport ? std::move(request.transport)
                                       : std::move(net::MemoryPipe::create().engine_end);
    cluster_->connect({.transport = std::move(transport), .startup_packet = std::move(packet)});
  }

  Result<void> shutdown(server::ShutdownMode mode) override {
    using Mode = postgres::Cluster::Shutdown;
    stopping_ = true;
    if (mode == server::ShutdownMode::kSmart) {
      cluster_->request_shutdown(Mode::kSmart);
      return cluster_->wait_stopped(kSmartShutdownMs);
    }
    if (mode == server::ShutdownMode::kFast) {
      cluster_->request_shutdown(Mode::kFast);
      auto stopped = cluster_->wait_stopped(kFastShutdownMs);
      if (stopped || stopped.error().code != ErrorCode::kDeadlineExceeded) return stopped;
      log::warn("fast shutdown has taken too long: stopping at once; the next start recovers");
    }
    cluster_->request_shutdown(Mode::kImmediate);
    return cluster_->wait_stopped(kFastShutdownMs);
  }

  void set_exit_handler(std::function<void(Error)> on_exit) override {
    cluster_->set_stop_handler([this, on_exit = std::move(on_exit)](const Result<void>& outcome) {
      if (stopping_) return;
      on_exit(outcome ? Error{.code = ErrorCode::kUnavailable,
                              .message = "the database system has stopped"}
                      : outcome.error());
    });
  }

 private:
  std::unique_ptr<DataDirectory> directory_;  // outlives the cluster; null for one in memory
  std::unique_ptr<postgres::Cluster> cluster_;
  std::atomic<bool> stopping_{false};
};

Error vfs_error(std::string_view what, os::Errno error) {
  return Error::from_errno(what, static_cast<int>(error));
}

Result<std::shared_ptr<vfs::FileSystem>> file_system_of(std::shared_ptr<const vfs::Pack> pack,
                                                        bool read_only) {
  auto made = vfs::MemoryFileSystem::create({.clock = std::make_shared<os::SystemClock>(),
                                             .read_only = read_only,
                                             .pack = std::move(pack),
                                             .pack_subtree = ""});
  if (!made) return fail(vfs_error("opening the embedded files", made.error()));
  return std::shared_ptr<vfs::FileSystem>(std::move(*made));
}

// Nothing of a cluster in memory survives a crash of the program or of the machine, so its pages
// cannot be torn, and WAL that is kept for recycling would only take memory. What the user sets
// comes later and wins.
std::vector<std::pair<std::string, std::string>> memory_settings(
    const std::vector<std::pair<std::string, std::string>>& chosen) {
  std::vector<std::pair<std::string, std::string>> settings = {
      {"full_page_writes", "off"}, {"max_wal_size", "256MB"}, {"min_wal_size", "32MB"}};
  settings.insert(settings.end(), chosen.begin(), chosen.end());
  return settings;
}

// The booted cluster to go on from; null when these options want one of their own.
Result<std::shared_ptr<const postgres::Snapshot>> snapshot_for(const cli::ClusterOptions& options) {
  if (options.pg_hba_conf) return nullptr;
  CALF_TRY(auto snapshot, fresh_cluster());
  return snapshot->allows(options.settings) ? snapshot : nullptr;
}

Result<void> write_file(vfs::FileSystem& data, std::string_view path, std::string_view text) {
  auto file = data.open(
      path, {.access = vfs::Access::kWrite, .create = true, .truncate = true, .permissions = 0600});
  if (!file) return fail(vfs_error("writing pg_hba.conf", file.error()));
  if (auto written = (*file)->pwrite(std::as_bytes(std::span(text)), 0); !written) {
    return fail(vfs_error("writing pg_hba.conf", written.error()));
  }
  if (auto synced = (*file)->sync(vfs::File::SyncKind::kAll); !synced) {
    return fail(vfs_error("writing pg_hba.conf", synced.error()));
  }
  return {};
}

sqlite::AuthMethod sqlite_auth(const std::string& method) {
  if (method == "password") return sqlite::AuthMethod::kPassword;
  return method == "scram-sha-256" ? sqlite::AuthMethod::kScram : sqlite::AuthMethod::kTrust;
}

Result<cli::OpenedCluster> open_sqlite(const cli::ClusterOptions& options) {
  sqlite::EngineOptions engine{.auth = sqlite_auth(options.login.method),
                               .user = options.login.user,
                               .password = options.login.password,
                               .database = options.login.database,
                               .settings = options.settings};
  if (const auto* place = std::get_if<cli::DirectoryLocation>(&options.location)) {
    engine.file = place->path;
  }
  for (const auto& [name, value] : options.settings) {
    if (name == "max_connections" || name == "connection_pool_size") {
      const long places = std::strtol(value.c_str(), nullptr, 10);
      if (places < 1 || places > 10'000) {
        return fail(ErrorCode::kInvalidArgument, name + " must be between 1 and 10000");
      }
      engine.connection_pool_size = static_cast<std::size_t>(places);
    }
    if (name == "transaction_mode") {
      if (value != "deferred" && value != "immediate" && value != "exclusive") {
        return fail(ErrorCode::kInvalidArgument, "transaction_mode \"" + value + "\" is not known",
                    "deferred, immediate or exclusive");
      }
      engine.transaction_mode = value;
    }
  }
  CALF_TRY(auto opened, sqlite::open_engine(std::move(engine)));
  return cli::OpenedCluster{.engine = std::move(opened.engine), .created = opened.created};
}

}  // namespace
}  // namespace calf::node

namespace calf::cli {

Result<OpenedCluster> open_cluster(const ClusterOptions& options) {
  using namespace calf::node;  // the definition of a function that cli declares
  if (options.engine == EngineKind::kSqlite) return open_sqlite(options);
  std::unique_ptr<DataDirectory> directory;
  std::shared_ptr<vfs::FileSystem> data;
  std::shared_ptr<const postgres::Snapshot> snapshot;
  bool created = true;
  if (const auto* place = std::get_if<DirectoryLocation>(&options.location)) {
    CALF_TRY(auto opened, DataDirectory::open(place->path));
    created = opened.created;
    directory = std::move(opened.directory);
    CALF_TRY(data, vfs::DirectoryFileSystem::open({.path = place->path.string(),
                                                   .files = std::make_shared<os::SystemFiles>()}));
  } else {
    CALF_TRY(snapshot, snapshot_for(options));
    CALF_TRY(auto pack, snapshot != nullptr ? fresh_cluster_pack() : template_pack());
    CALF_TRY(data, file_system_of(std::move(pack), false));
  }
  if (options.pg_hba_conf) CALF_CHECK_OK(write_file(*data, "pg_hba.conf", *options.pg_hba_conf));
  CALF_TRY(auto installed, installation_pack());
  CALF_TRY(auto installation, file_system_of(std::move(installed), true));
  CALF_TRY(auto cluster, postgres::Cluster::start(
                             {.installation = std::move(installation),
                              .data = std::move(data),
                              .snapshot = std::move(snapshot),
                              .settings = directory == nullptr ? memory_settings(options.settings)
                                                               : options.settings,
                              .ephemeral = directory == nullptr,
                              .log_sink = options.log_sink}));
  return OpenedCluster{
      .engine = std::make_unique<PostgresEngine>(std::move(directory), std::move(cluster)),
      .created = created};
}

}  // namespace calf::cli
