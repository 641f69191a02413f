// What several subcommands do with the text of their options. Any thread.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/options.h"

namespace calf::cli {

// The first of the variables `names` that is set and not empty, else `otherwise`.
std::string environment(std::initializer_list<const char*> names, std::string otherwise = {});

// "a, b" without blanks and empty items.
std::vector<std::string> split_list(const std::string& text);

// LOCATION or -D, else the environment's `variable`, else memory. kInvalidArgument when both are
// given, and for unknown schemes.
Result<ClusterLocation> choose_location(const std::string& positional, const std::string& flag,
                                        const char* variable = "PGDATA");

// None for an empty text.
std::optional<std::filesystem::path> path_of(const std::string& text);

// Appends each "name=value" of `raw` to `settings`. kInvalidArgument.
Result<void> add_settings(const std::vector<std::string>& raw,
                          std::vector<std::pair<std::string, std::string>>& settings);

// Of --engine, which takes known names only.
EngineKind engine_named(const std::string& name);

}  // namespace calf::cli
