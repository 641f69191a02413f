// The seam between the command line and the engine: what `calf serve` and `calf sql` ask for, and
// who makes it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "archive/archiver.h"
#include "base/result.h"
#include "blob/store_url.h"
#include "server/engine.h"
#include "vfs/file_system.h"

namespace calf::cli {

struct MemoryLocation {
  std::string name;  // memory://name; empty for memory://
};
struct DirectoryLocation {
  std::filesystem::path path;  // absolute; created when missing or empty
};
using ClusterLocation = std::variant<MemoryLocation, DirectoryLocation>;

// One line of PostgreSQL's log ("LOG:  checkpoint starting: time"), without a line feed. Called on
// the engine's thread; must be quick.
using LogSink = std::function<void(std::string_view line)>;

// Long work tells how far it is, in bytes; an error ends it.
using WorkObserver = std::function<Result<void>(std::uint64_t done, std::uint64_t total)>;

// Fills the buffer as far as there is something: fewer bytes only at the end.
using ArchiveSource = std::function<Result<std::size_t>(std::span<std::byte> buffer)>;

enum class EngineKind { kPostgres, kSqlite };

// Who may come in: for an engine that has no roles of its own.
struct EngineLogin {
  std::string method = "trust";  // trust, password or scram-sha-256
  std::string user = "postgres";
  std::string password{};
  std::string database = "postgres";
};

// Object storage behind a database of the sqlite engine.
struct StorageOptions {
  blob::StoreOptions store{};
  archive::ArchiverOptions archive{};       // but for the database's file, which is the location
  std::int64_t commit_timeout_ms = 60'000;  // Durability::kCommit: how long a client waits
  bool replica = false;                     // reads what another server writes
  std::int64_t max_staleness_ms = 300'000;  // of a replica
};

struct ClusterOptions {
  ClusterLocation location{};  // of kSqlite: a file
  EngineKind engine = EngineKind::kPostgres;
  EngineLogin login{};                      // of kSqlite
  std::optional<StorageOptions> storage{};  // of kSqlite
  // A snapshot file that the cluster starts with. A directory must be missing or empty then.
  std::optional<std::filesystem::path> from{};
  // Instead: a tar archive of a data directory, which is read by the thread that opens the cluster.
  ArchiveSource archive{};
  WorkObserver observer{};  // of reading it, or of restoring from storage; may be empty
  // Settings for this run, as with `postgres -c name=value`; later ones win. Includes port,
  // max_connections, … so that SHOW tells the truth.
  std::vector<std::pair<std::string, std::string>> settings{};
  // Whole text of pg_hba.conf, written before the first process starts. Nothing: keep what the
  // directory has (the template's: trust for Unix sockets and loopback).
  std::optional<std::string> pg_hba_conf{};
  // Programs of the host that PostgreSQL may start: those of its archive, for a cluster in a
  // directory, and those of COPY … PROGRAM.
  bool archive_programs = false;
  bool copy_programs = false;
  LogSink log_sink{};  // empty: nowhere
};

struct SavedSnapshot {
  std::uint64_t data_bytes = 0;
  std::uint64_t file_bytes = 0;
};

// Snapshots of a cluster that runs.
class SnapshotSaver {
 public:
  virtual ~SnapshotSaver() = default;
  // Writes a branch into a snapshot file, which is replaced in one step. `branch` must be one that
  // nobody has connected to yet, made to be saved: kUnavailable. Its clients wait meanwhile.
  // Errors: kNotFound, kIo and the like; then `file` is as it was. Blocks; any thread.
  virtual Result<SavedSnapshot> save_branch(const std::string& branch,
                                            const std::filesystem::path& file) = 0;
};

struct OpenedCluster {
  std::unique_ptr<server::Engine> engine;  // recovered, accepting connections
  bool created = false;                // by this call, and not from a snapshot file or an archive
  SnapshotSaver* snapshots = nullptr;  // the engine's; null: it has none
};

struct SaveSnapshotOptions {
  std::filesystem::path directory{};  // a data directory that nobody uses
  std::filesystem::path file{};       // replaced in one step
  WorkObserver observer{};            // may be empty
};
// Writes a snapshot of a stopped cluster. One that was not shut down recovers when its snapshot is
// started. Errors: kNotFound when it is no data directory, kUnavailable when another process has it
// open, kIo and the like, the observer's; then `file` is as it was. Blocks; any thread.
Result<SavedSnapshot> save_snapshot(const SaveSnapshotOptions& options);

// Opens (or creates and opens) a cluster with superuser `postgres` and databases postgres,
// template0 and template1; returns when it accepts connections. Further roles, passwords, databases
// and extensions are made by the caller through SQL over an in-process connection. Errors:
// kAlreadyExists/kUnavailable when another process has the directory open; kPermissionDenied,
// kDataCorrupted, kInvalidArgument for a bad setting; kIo. With `from` or `archive`, also what
// these can have wrong. Blocks; any thread.
Result<OpenedCluster> open_cluster(const ClusterOptions& options);

// Held by who works on a data directory's files: nobody starts the cluster meanwhile.
class DirectoryOwner {
 public:
  virtual ~DirectoryOwner() = default;
};

// Never creates anything. kNotFound when `path` holds no cluster, kUnavailable when another process
// has it, naming that; kInvalidArgument for a cluster of another version. Any thread.
Result<std::unique_ptr<DirectoryOwner>> own_directory(const std::filesystem::path& path);

// A branch of a directory that nobody uses, to be looked at: what a cluster on it writes goes to a
// copy of its own and is gone with this object, which must outlive the cluster.
class BranchView {
 public:
  virtual ~BranchView() = default;
  // As the branch's cluster, or the last one of open(), has left them. Not while a cluster runs.
  virtual vfs::FileSystem& files() = 0;
  // Errors: as open_cluster().
  virtual Result<OpenedCluster> open(
      const std::vector<std::pair<std::string, std::string>>& settings) = 0;
};

// Holds the directory as own_directory() does; errors as there. kNotFound when there is no such
// branch, kDataCorrupted when its files cannot be told apart any more. Any thread.
Result<std::unique_ptr<BranchView>> view_branch(const std::filesystem::path& path,
                                                const std::string& name);

}  // namespace calf::cli
