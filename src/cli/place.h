// Which engine `calf serve` runs, where its data is, and which object storage stands behind it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/options.h"
#include "config/config.h"

namespace calf::cli {

// As the user typed it; empty: not given.
struct RawPlace {
  std::string location, data_directory, engine, storage, durability;
  bool replica = false;
};

void add_place(CLI::App& app, RawPlace& raw);

// Fills in engine, location and storage; the database's name must be there. kInvalidArgument when
// they do not go together.
Result<void> choose_place(const RawPlace& raw, const config::Config& config, ServeOptions& options);

}  // namespace calf::cli
