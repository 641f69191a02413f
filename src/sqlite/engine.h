// The second engine: PostgreSQL's clients on a SQLite file. See README.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/engine.h"
#include "sqlite/database.h"
#include "sqlite/session.h"

namespace calf::sqlite {

struct EngineOptions {
  std::optional<std::filesystem::path> file{};  // nothing: in memory, gone with the engine
  AuthMethod auth = AuthMethod::kTrust;
  std::string user = "postgres";
  std::string password{};
  std::string database = "postgres";
  std::size_t connection_pool_size = 100;        // sessions at once
  std::chrono::milliseconds pool_timeout{5000};  // for a place among them; then 53300
  std::string transaction_mode = "deferred";     // of BEGIN
  std::vector<std::pair<std::string, std::string>> settings{};  // for SHOW: port, …
  bool read_only = false;                                       // of a file that is there
  CommitObserver* observer = nullptr;                           // outlives the engine
};

struct OpenedEngine {
  std::unique_ptr<server::Engine> engine;
  bool created = false;
};

// Opens or creates the database. Errors: kInvalidArgument, kPermissionDenied, kDataCorrupted, kIo.
Result<OpenedEngine> open_engine(EngineOptions options);

}  // namespace calf::sqlite
