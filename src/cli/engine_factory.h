// The seam between the command line and the engine: what `calf serve` and `calf sql` ask for, and
// who makes it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "server/engine.h"

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

enum class EngineKind { kPostgres, kSqlite };

// Who may come in: for an engine that has no roles of its own.
struct EngineLogin {
  std::string method = "trust";  // trust, password or scram-sha-256
  std::string user = "postgres";
  std::string password{};
  std::string database = "postgres";
};

struct ClusterOptions {
  ClusterLocation location{};  // of kSqlite: a file
  EngineKind engine = EngineKind::kPostgres;
  EngineLogin login{};  // of kSqlite
  // Settings for this run, as with `postgres -c name=value`; later ones win. Includes port,
  // max_connections, … so that SHOW tells the truth.
  std::vector<std::pair<std::string, std::string>> settings{};
  // Whole text of pg_hba.conf, written before the first process starts. Nothing: keep what the
  // directory has (the template's: trust for Unix sockets and loopback).
  std::optional<std::string> pg_hba_conf{};
  LogSink log_sink{};  // empty: nowhere
};

struct OpenedCluster {
  std::unique_ptr<server::Engine> engine;  // recovered, accepting connections
  bool created = false;                    // the data directory was made by this call
};

// Opens (or creates and opens) a cluster with superuser `postgres` and databases postgres,
// template0 and template1; returns when it accepts connections. Further roles, passwords, databases
// and extensions are made by the caller through SQL over an in-process connection. Errors:
// kAlreadyExists/kUnavailable when another process has the directory open; kPermissionDenied,
// kDataCorrupted, kInvalidArgument for a bad setting; kIo. Blocks; any thread.
Result<OpenedCluster> open_cluster(const ClusterOptions& options);

}  // namespace calf::cli
