#include "node/testing/cluster_on_disk.h"

#include "node/data_directory.h"
#include "node/embedded.h"
#include "os/clock.h"
#include "vfs/directory_file_system.h"
#include "vfs/memory_file_system.h"

namespace calf::node::testing {
namespace {

constexpr std::chrono::seconds kAnswerTimeout(30);

class ClusterEngine final : public server::Engine {
 public:
  explicit ClusterEngine(postgres::Cluster& cluster) : cluster_(cluster) {}
  void connect(server::ClientConnection connection) override {
    cluster_.connect({.transport = std::move(connection.transport),
                      .startup_packet = std::move(connection.startup_packet)});
  }
  // No test here cancels.
  void cancel(server::CancelRequest) override {}
  Result<void> shutdown(server::ShutdownMode) override {
    cluster_.request_shutdown(postgres::Cluster::Shutdown::kFast);
    constexpr int64_t kTimeoutMs = 30'000;
    return cluster_.wait_stopped(kTimeoutMs);
  }
  void set_exit_handler(std::function<void(Error)>) override {}

 private:
  postgres::Cluster& cluster_;
};

Result<std::shared_ptr<vfs::FileSystem>> installation() {
  CALF_TRY(auto pack, installation_pack());
  auto made = vfs::MemoryFileSystem::create({.clock = std::make_shared<os::SystemClock>(),
                                             .read_only = true,
                                             .pack = std::move(pack),
                                             .pack_subtree = ""});
  if (!made) return fail(os::to_error("opening the embedded files", made.error()));
  return std::shared_ptr<vfs::FileSystem>(std::move(*made));
}

// Collects rows as text and the first error.
class Collector final : public client::QueryEvents {
 public:
  void row(std::span<const std::optional<std::string_view>> values) override {
    for (const auto& value : values) text.append(value.value_or("NULL")).append(" ");
    text += '\n';
    if (first.empty() && !values.empty()) first = values[0].value_or("NULL");
  }
  void error(const pgwire::Report& report) override {
    if (failure.empty())
      failure = std::string(report.sqlstate) + ": " + std::string(report.message);
  }
  std::string text, first, failure;
};

}  // namespace

DiskPointer fresh_disk() {
  static const DiskPointer made = [] {
    auto disk = std::make_shared<SimulatedDisk>();
    auto created = create_data_directory(disk, kDataDirectory);
    return created ? disk : nullptr;
  }();
  return made->after_power_cut(0);
}

std::vector<std::pair<std::string, std::string>> quiet_settings() {
  return {{"autovacuum", "off"},       {"bgwriter_lru_maxpages", "0"}, {"checkpoint_timeout", "1d"},
          {"wal_writer_delay", "10s"}, {"max_connections", "20"},      {"max_wal_size", "4GB"},
          {"shared_buffers", "16MB"}};
}

Result<std::unique_ptr<ClusterOnDisk>> ClusterOnDisk::start(DiskPointer disk, Settings settings) {
  auto made = std::unique_ptr<ClusterOnDisk>(new ClusterOnDisk());
  made->disk_ = disk;
  CALF_TRY(auto installed, installation());
  CALF_TRY(auto data, vfs::DirectoryFileSystem::open({.path = kDataDirectory, .files = disk}));
  CALF_TRY(made->cluster_,
           postgres::Cluster::start({.installation = std::move(installed),
                                     .data = std::move(data),
                                     .settings = std::move(settings),
                                     // A test that wants an orderly end asks for it.
                                     .ephemeral = true,
                                     .log_sink = [log = made->log_](std::string_view line) {
                                       const std::lock_guard lock(log->mutex);
                                       log->text.append(line).append("\n");
                                     }}));
  made->engine_ = std::make_unique<ClusterEngine>(*made->cluster_);
  return made;
}

ClusterOnDisk::~ClusterOnDisk() = default;

Result<std::unique_ptr<client::Session>> ClusterOnDisk::connect(const std::string& database) {
  return client::Session::connect(*engine_, {.database = database, .timeout = kAnswerTimeout});
}

Result<void> ClusterOnDisk::stop() {
  return engine_->shutdown(server::ShutdownMode::kFast);
}

Result<void> ClusterOnDisk::stop(postgres::Cluster::Shutdown mode, int64_t timeout_ms) {
  cluster_->request_shutdown(mode);
  return cluster_->wait_stopped(timeout_ms);
}

std::string ClusterOnDisk::log() const {
  const std::lock_guard lock(log_->mutex);
  return log_->text;
}

std::string ask(client::Session& session, const std::string& sql) {
  Collector events;
  auto outcome = session.query(sql, events);
  if (!outcome) return outcome.error().to_string();
  return events.failure.empty() ? events.first : events.failure;
}

std::string state_of(client::Session& session, const std::string& sql) {
  client::QueryEvents ignored;
  auto outcome = session.query(sql, ignored);
  if (!outcome) return "08006";
  return outcome->failed ? outcome->sqlstate : "00000";
}

std::string damage_in(client::Session& session) {
  constexpr const char* kHeaps =
      "select c.oid::regclass, v.* from pg_class c, verify_heapam(c.oid) v "
      "where c.relkind in ('r', 't', 'm') and c.relpersistence <> 't'";
  constexpr const char* kIndexes =
      "select count(bt_index_check(i.indexrelid, true)) from pg_index i "
      "join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam "
      "where a.amname = 'btree' and i.indisvalid and c.relpersistence <> 't'";
  std::string found;
  Collector made, heaps, indexes;
  if (auto outcome = session.query("create extension if not exists amcheck", made); !outcome)
    return outcome.error().to_string();
  if (auto outcome = session.query(kHeaps, heaps); !outcome) return outcome.error().to_string();
  if (auto outcome = session.query(kIndexes, indexes); !outcome) return outcome.error().to_string();
  return made.failure + heaps.text + heaps.failure + indexes.failure;
}

}  // namespace calf::node::testing
