// --config and --set, of `calf serve`, `calf config`, `calf restore` and `calf ready`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "config/config.h"

namespace calf::cli {

// As the user typed it.
struct RawConfig {
  std::string path{};  // empty: CONFIG_PATH's
  std::vector<std::string> settings{};
};

void add_config(CLI::App& app, RawConfig& raw);

Result<config::Config> load_config(const RawConfig& raw);

}  // namespace calf::cli
