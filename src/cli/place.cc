#include "cli/place.h"

#include "config/storage.h"

namespace calf::cli {
namespace {

EngineKind choose_engine(const RawPlace& raw, const config::Config& config) {
  std::string name = raw.engine;
  if (name.empty()) name = config.given("database.engine").value_or("");
  if (!name.empty()) return name == "sqlite" ? EngineKind::kSqlite : EngineKind::kPostgres;
  // What only this engine has asks for it.
  const bool sqlite = !raw.storage.empty() || config.given("database.sqlite_path") ||
                      config.text("storage.backend") != "none";
  return sqlite ? EngineKind::kSqlite : EngineKind::kPostgres;
}

// A configuration that names both engines' options is a mistake, and a user who asked for storage
// must not go without.
Result<void> refuse_options_of_sqlite(const RawPlace& raw, const config::Config& config) {
  const auto refuse = [](const std::string& source, const std::string& what) {
    return fail(ErrorCode::kInvalidArgument, source + ": " + what + " is of the sqlite engine",
                "ask for that one: --engine sqlite, or database.engine: sqlite");
  };
  if (!raw.storage.empty()) return refuse("--storage", "object storage");
  if (raw.replica) return refuse("--replica", "a read replica");
  if (config.text("storage.backend") != "none") {
    return refuse(config.source("storage.backend"), "storage.backend");
  }
  for (const char* option : {"database.sqlite_path", "database.transaction_mode"}) {
    if (config.given(option)) return refuse(config.source(option), option);
  }
  return {};
}

Result<void> refuse_without_storage(const RawPlace& raw) {
  if (raw.durability.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, "--durability is about storage, and there is none",
              "give --storage, or storage.backend");
}

Result<std::optional<blob::StoreOptions>> choose_store(const RawPlace& raw,
                                                       const config::Config& config,
                                                       const std::string& database) {
  if (raw.storage.empty()) return config::store_options(config, database);
  CALF_TRY(auto store, config::store_options_at(raw.storage, config));
  return store;
}

Result<void> choose_storage(const RawPlace& raw, const config::Config& config,
                            ServeOptions& options) {
  CALF_TRY(auto store, choose_store(raw, config, options.database));
  const bool replica = raw.replica || config.flag("storage.replica");
  if (!store) {
    if (!replica) return refuse_without_storage(raw);
    return fail(ErrorCode::kInvalidArgument, "a read replica needs the storage that it reads",
                "give --storage, or storage.backend");
  }
  if (std::holds_alternative<blob::MemoryOptions>(*store)) {
    return fail(ErrorCode::kInvalidArgument, "storage in memory would keep nothing",
                "give a folder, s3://… or azure://…");
  }
  options.storage =
      StorageOptions{.store = std::move(*store),
                     .archive = config::archiver_options(config),
                     .commit_timeout_ms = config.duration_ms("storage.commit_timeout"),
                     .replica = replica,
                     .max_staleness_ms = config.duration_ms("storage.cache_ttl_minutes")};
  return {};
}

Result<void> choose_sqlite(const RawPlace& raw, const config::Config& config,
                           ServeOptions& options) {
  CALF_CHECK_OK(choose_storage(raw, config, options));
  std::string file = raw.location.empty() ? raw.data_directory : raw.location;
  if (file.empty()) file = config.text("database.sqlite_path");
  if (file.empty()) file = options.storage ? options.database + ".sqlite" : "memory://";
  CALF_TRY(options.location, parse_location(file));
  if (options.storage && !std::holds_alternative<DirectoryLocation>(options.location)) {
    return fail(ErrorCode::kInvalidArgument, "a database with storage needs a file here, too",
                "give FILE, or database.sqlite_path");
  }
  if (config.given("database.transaction_mode")) {
    options.settings.emplace_back("transaction_mode", config.text("database.transaction_mode"));
  }
  return {};
}

}  // namespace

void add_place(CLI::App& app, RawPlace& raw) {
  app.add_option(
      "LOCATION", raw.location,
      "A directory, file://PATH, memory:// or memory://NAME (default: PGDATA, else memory://)");
  app.add_option("-D,--data-dir", raw.data_directory, "The same as a directory for LOCATION");
  app.add_option("--engine", raw.engine, "postgres, or sqlite: LOCATION is then a SQLite file")
      ->check(CLI::IsMember({"postgres", "sqlite"}));
  app.add_option("--storage", raw.storage,
                 "Keep the sqlite engine's database in s3://BUCKET/PREFIX, "
                 "azure://ACCOUNT/CONTAINER/PREFIX or a folder; FILE is its copy here");
  app.add_option("--durability", raw.durability,
                 "With --storage: a commit is there before it is acknowledged (commit), a second "
                 "later (interval), or at the end (shutdown)")
      ->check(CLI::IsMember({"commit", "interval", "shutdown"}));
  app.add_flag("--replica", raw.replica, "Only read what another server keeps in --storage");
}

Result<void> choose_place(const RawPlace& raw, const config::Config& config,
                          ServeOptions& options) {
  if (!raw.location.empty() && !raw.data_directory.empty()) {
    return fail(ErrorCode::kInvalidArgument, "both LOCATION and -D are given", "give one of them");
  }
  if (config.given("database.connection_pool_size")) {
    options.settings.emplace_back("max_connections", config.text("database.connection_pool_size"));
  }
  options.engine = choose_engine(raw, config);
  if (options.engine == EngineKind::kSqlite) return choose_sqlite(raw, config, options);
  CALF_CHECK_OK(refuse_options_of_sqlite(raw, config));
  CALF_CHECK_OK(refuse_without_storage(raw));
  std::string place = raw.location.empty() ? raw.data_directory : raw.location;
  if (place.empty()) place = config.given("database.data_directory").value_or("memory://");
  CALF_TRY(options.location, parse_location(place));
  return {};
}

}  // namespace calf::cli
