// The composition root for the PostgreSQL engine: options of the command line -> a running cluster
// behind server::Engine.
#include <chrono>
#include <thread>

#include "base/log.h"
#include "branches/branches.h"
#include "cli/engine_factory.h"
#include "node/data_directory.h"
#include "node/embedded.h"
#include "node/open_sqlite.h"
#include "node/snapshot_files.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/random.h"
#include "pgfiles/new_identity.h"
#include "postgres/cluster.h"
#include "postgres/make_snapshot.h"
#include "vfs/branched_directory.h"
#include "vfs/memory_file_system.h"

namespace calf::node {
namespace {

constexpr int64_t kFastShutdownMs = 5000;
constexpr int64_t kImmediateShutdownMs = 3000;
constexpr int64_t kHaltMs = 2000;
constexpr int64_t kSmartShutdownMs = INT64_C(1) << 40;  // as long as the sessions like

// Any thread.
class PostgresEngine final : public server::Engine, public cli::SnapshotSaver {
 public:
  PostgresEngine(std::unique_ptr<DataDirectory> directory,
                 std::unique_ptr<branches::Branches> branches)
      : directory_(std::move(directory)),
        branches_(std::move(branches)),
        cluster_(&branches_->root()) {}

  void connect(server::ClientConnection connection) override {
    branches_->connect({.transport = std::move(connection.transport),
                        .startup_packet = std::move(connection.startup_packet)});
  }

  bool help(const std::function<bool()>& done) override { return cluster_->help(done); }

  // PostgreSQL itself knows the keys: the request goes to it as the packet that it is.
  void cancel(server::CancelRequest request) override {
    constexpr uint32_t kCancelRequestCode = 80877102;
    std::vector<std::byte> packet;
    for (uint32_t word : {kCancelRequestCode, request.pid}) {
      for (int shift = 24; shift >= 0; shift -= 8)
        packet.push_back(static_cast<std::byte>(word >> shift));
    }
    packet.insert(packet.end(), request.key.begin(), request.key.end());
    branches_->cancel(packet, std::move(request.transport));
  }

  Result<void> shutdown(server::ShutdownMode mode) override {
    using Mode = postgres::Cluster::Shutdown;
    stopping_ = true;
    if (mode != server::ShutdownMode::kSmart) branches_->stop_branches();
    if (mode == server::ShutdownMode::kHalt) {
      cluster_->halt();
      return cluster_->wait_stopped(kFastShutdownMs);
    }
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
    auto stopped = cluster_->wait_stopped(kImmediateShutdownMs);
    if (stopped || stopped.error().code != ErrorCode::kDeadlineExceeded) return stopped;
    // A process that waits for a slow disk, say. For the files it is the same: nothing is flushed.
    cluster_->halt();
    return cluster_->wait_stopped(kHaltMs);
  }

  void set_exit_handler(std::function<void(Error)> on_exit) override {
    cluster_->set_stop_handler([this, on_exit = std::move(on_exit)](const Result<void>& outcome) {
      if (stopping_) return;
      on_exit(outcome ? Error{.code = ErrorCode::kUnavailable,
                              .message = "the database system has stopped"}
                      : outcome.error());
    });
  }

  Result<cli::SavedSnapshot> save_branch(const std::string& branch,
                                         const std::filesystem::path& file) override {
    cli::SavedSnapshot saved;
    CALF_CHECK_OK(branches_->use_files(branch, [&](vfs::FileSystem& files) -> Result<void> {
      CALF_TRY(const auto info, save_tree(files, file, {}));
      saved = {.data_bytes = info.tree_bytes, .file_bytes = info.file_bytes};
      return {};
    }));
    return saved;
  }

 private:
  std::unique_ptr<DataDirectory> directory_;  // outlives the cluster; null for one in memory
  std::unique_ptr<branches::Branches> branches_;
  postgres::Cluster* cluster_;  // the server's own
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

// Every cluster reads PostgreSQL's own files through a file system of its own.
Result<std::shared_ptr<vfs::FileSystem>> installation() {
  CALF_TRY(auto pack, installation_pack());
  return file_system_of(std::move(pack), true);
}

// Where a cluster's files are.
struct Place {
  std::unique_ptr<DataDirectory> directory;  // null for one in memory
  std::shared_ptr<vfs::FileSystem> data;
  std::unique_ptr<branches::Storage> storage;
  std::shared_ptr<const postgres::Snapshot> snapshot;  // to go on from; null: it boots
  bool created = true;
};

Result<std::unique_ptr<vfs::BranchedDirectory>> open_branched(const std::filesystem::path& path) {
  return vfs::BranchedDirectory::open({.path = path.string(),
                                       .files = std::make_shared<os::SystemFiles>(),
                                       .clock = std::make_shared<os::SystemClock>(),
                                       .boot_id = ""});
}

Result<Place> open_directory(const cli::ClusterOptions& options,
                             const std::filesystem::path& path) {
  if (options.from) CALF_CHECK_OK(create_from_snapshot(*options.from, path, options.observer));
  if (options.archive) CALF_CHECK_OK(create_from_archive(options.archive, path));
  CALF_TRY(auto opened, DataDirectory::open(path));
  CALF_TRY(std::shared_ptr<vfs::BranchedDirectory> branched, open_branched(path));
  return Place{.directory = std::move(opened.directory),
               .data = branched->root(),
               .storage = branches::make_directory_storage(branched),
               .snapshot = nullptr,
               .created = opened.created};
}

Result<Place> open_memory(const cli::ClusterOptions& options) {
  Place place{.directory = nullptr,
              .data = nullptr,
              .storage = branches::make_memory_storage(),
              .snapshot = nullptr};
  if (options.from) {
    CALF_TRY(place.data, load_snapshot(*options.from, options.observer));
    place.created = false;
    return place;
  }
  if (options.archive) {
    CALF_TRY(place.data, load_archive(options.archive));
    place.created = false;
    return place;
  }
  CALF_TRY(place.snapshot, snapshot_for(options));
  CALF_TRY(auto pack, place.snapshot != nullptr ? fresh_cluster_pack() : template_pack());
  CALF_TRY(place.data, file_system_of(std::move(pack), false));
  os::SystemRandom random;
  CALF_CHECK_OK(pgfiles::give_new_identity(*place.data, os::SystemClock(), random));
  return place;
}

// Where PostgreSQL's paths lead to on the host, and programs begin: the data directory, if there is
// one.
postgres::HostProgramRights program_rights(const cli::ClusterOptions& options) {
  const auto* directory = std::get_if<cli::DirectoryLocation>(&options.location);
  std::error_code none;
  return {
      .archiving = options.archive_programs && directory != nullptr,
      .copying = options.copy_programs,
      .directory = directory != nullptr ? directory->path : std::filesystem::current_path(none)};
}

// A branch's WAL has the names of its parent's, and does not belong into the same archive.
std::vector<std::pair<std::string, std::string>> branch_settings(
    bool in_memory, std::vector<std::pair<std::string, std::string>> settings) {
  if (!in_memory) settings.emplace_back("archive_mode", "off");
  return settings;
}

Result<std::unique_ptr<branches::Branches>> start_branches(const cli::ClusterOptions& options,
                                                           bool in_memory, Place place) {
  constexpr int64_t kBranchHelpersIdleNs = 5'000'000'000;  // most live shorter, and need none
  const auto settings = in_memory ? memory_settings(options.settings) : options.settings;
  const auto for_branches = branch_settings(in_memory, settings);
  auto starter = [in_memory, ticks = postgres::SliceTicker::make_thread()](
                     int64_t helpers_idle_ns, const auto& chosen,
                     const postgres::HostProgramRights& programs) -> branches::Starter {
    return [=](branches::StartOptions start) -> Result<std::unique_ptr<postgres::Cluster>> {
      CALF_TRY(auto own_installation, installation());
      return postgres::Cluster::start({.installation = std::move(own_installation),
                                       .data = std::move(start.data),
                                       .snapshot = std::move(start.snapshot),
                                       .settings = chosen,
                                       .commands = std::move(start.commands),
                                       .programs = programs,
                                       .helpers_idle_ns = helpers_idle_ns,
                                       .helpers_wait_for_clients = start.is_branch,
                                       .expects_client = start.expects_client,
                                       .ticks = ticks,
                                       .ephemeral = in_memory,
                                       .log_sink = std::move(start.log_sink)});
    };
  };
  constexpr int64_t kRootHelpersIdleNs = 20'000'000;
  return branches::Branches::start(
      {.data = std::move(place.data),
       .snapshot = std::move(place.snapshot),
       .storage = std::move(place.storage),
       .log_sink = options.log_sink,
       .start_root = starter(kRootHelpersIdleNs, settings, program_rights(options)),
       .start_branch = starter(kBranchHelpersIdleNs, for_branches, {}),
       .record = [settings = for_branches](
                     std::shared_ptr<vfs::FileSystem> files,
                     std::string database) -> Result<std::shared_ptr<const postgres::Snapshot>> {
         CALF_TRY(auto own_installation, installation());
         return postgres::record_snapshot({.installation = std::move(own_installation),
                                           .data = std::move(files),
                                           .settings = settings,
                                           .database = std::move(database)});
       }});
}

class BranchView final : public cli::BranchView {
 public:
  static Result<std::unique_ptr<cli::BranchView>> open(const std::filesystem::path& path,
                                                       const std::string& name) {
    CALF_TRY(auto owner, DataDirectory::own(path));
    CALF_TRY(auto branched, open_branched(path));
    const std::string scratch = "check";
    CALF_TRY(auto data, branched->create({.name = scratch,
                                          .parent = name,
                                          .leave_out = {"postmaster.pid", "postmaster.opts"},
                                          .scratch = true}));
    return std::unique_ptr<cli::BranchView>(
        new BranchView(std::move(owner), std::move(branched), std::move(data)));
  }
  ~BranchView() override {
    data_.reset();
    for (const auto& branch : branched_->list()) {
      if (branch.scratch) (void)branched_->drop(branch.name);  // else the next start does
    }
  }

  vfs::FileSystem& files() override { return *data_; }
  Result<cli::OpenedCluster> open(
      const std::vector<std::pair<std::string, std::string>>& settings) override {
    Place place{.directory = nullptr,
                .data = data_,
                .storage = branches::make_memory_storage(),  // it has no branches
                .snapshot = nullptr};
    const cli::ClusterOptions options{.settings = settings};
    CALF_TRY(auto started, start_branches(options, false, std::move(place)));
    return cli::OpenedCluster{.engine =
                                  std::make_unique<PostgresEngine>(nullptr, std::move(started))};
  }

 private:
  BranchView(std::unique_ptr<DataDirectory> owner, std::unique_ptr<vfs::BranchedDirectory> branched,
             std::shared_ptr<vfs::FileSystem> data)
      : owner_(std::move(owner)), branched_(std::move(branched)), data_(std::move(data)) {}

  std::unique_ptr<DataDirectory> owner_;
  std::unique_ptr<vfs::BranchedDirectory> branched_;
  std::shared_ptr<vfs::FileSystem> data_;  // a scratch copy
};

}  // namespace
}  // namespace calf::node

namespace calf::cli {

Result<std::unique_ptr<BranchView>> view_branch(const std::filesystem::path& path,
                                                const std::string& name) {
  return node::BranchView::open(path, name);
}

Result<OpenedCluster> open_cluster(const ClusterOptions& options) {
  using namespace calf::node;  // the definition of a function that cli declares
  if (options.engine == EngineKind::kSqlite) return open_sqlite(options);
  const auto* directory = std::get_if<DirectoryLocation>(&options.location);
  CALF_TRY(Place place,
           directory != nullptr ? open_directory(options, directory->path) : open_memory(options));
  if (options.pg_hba_conf)
    CALF_CHECK_OK(write_file(*place.data, "pg_hba.conf", *options.pg_hba_conf));
  auto lock = std::move(place.directory);
  const bool created = place.created;
  CALF_TRY(auto branches, start_branches(options, lock == nullptr, std::move(place)));
  auto engine = std::make_unique<PostgresEngine>(std::move(lock), std::move(branches));
  SnapshotSaver* snapshots = engine.get();
  return OpenedCluster{.engine = std::move(engine), .created = created, .snapshots = snapshots};
}

}  // namespace calf::cli
