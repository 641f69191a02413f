#include "node/open_sqlite.h"

#include <cstdlib>

#include "node/sqlite/archive_link.h"
#include "sqlite/engine.h"

namespace calf::node {
namespace {

sqlite::AuthMethod sqlite_auth(const std::string& method) {
  if (method == "password") return sqlite::AuthMethod::kPassword;
  return method == "scram-sha-256" ? sqlite::AuthMethod::kScram : sqlite::AuthMethod::kTrust;
}

// A database whose file is in object storage, too.
Result<cli::OpenedCluster> open_archived(sqlite::EngineOptions engine,
                                         const cli::ClusterOptions& options) {
  if (!engine.file) {
    return fail(ErrorCode::kInvalidArgument, "a database with storage needs a file here, too");
  }
  std::error_code ignored;
  const bool was_here = std::filesystem::exists(*engine.file, ignored);
  CALF_TRY(auto link, ArchiveLink::open(*options.storage, *engine.file, options.observer));
  engine.observer = link.get();
  engine.read_only = options.storage->replica;
  CALF_TRY(auto opened, sqlite::open_engine(std::move(engine)));
  const bool created = !was_here && !link->restored();
  return cli::OpenedCluster{.engine = archived_engine(std::move(link), std::move(opened.engine)),
                            .created = created};
}

}  // namespace

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
  if (options.storage) return open_archived(std::move(engine), options);
  CALF_TRY(auto opened, sqlite::open_engine(std::move(engine)));
  return cli::OpenedCluster{.engine = std::move(opened.engine), .created = opened.created};
}

}  // namespace calf::node
