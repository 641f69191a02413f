// `calf restore`: a SQLite database from its archive in object storage.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/options.h"
#include "cli/raw_config.h"

namespace calf::cli {

// As the user typed it.
struct RawRestore {
  RawConfig config;
  std::vector<std::string> places;  // the store, if it is not the configuration's, and the file
  std::string at;
  bool quiet = false;
};

void add_restore(CLI::App& app, RawRestore& raw);
Result<RestoreCommand> finish_restore(const RawRestore& raw);

// Restores, with progress on standard error. The process's exit code. Never throws.
int run_restore(const RestoreCommand& command);

}  // namespace calf::cli
