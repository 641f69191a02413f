// `calf config`: its part of the command line.
#pragma once

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/options.h"
#include "cli/raw_config.h"

namespace calf::cli {

// A subcommand of `app`, which must outlive it. After parsing, finish() has the text to print.
class ConfigCommandLine {
 public:
  explicit ConfigCommandLine(CLI::App& app);
  ConfigCommandLine(const ConfigCommandLine&) = delete;
  ConfigCommandLine& operator=(const ConfigCommandLine&) = delete;

  [[nodiscard]] bool parsed() const { return app_->parsed(); }
  // Errors are those of the configuration, with file and line.
  [[nodiscard]] Result<PrintAndExit> finish() const;

 private:
  CLI::App* app_;
  RawConfig config_;
};

}  // namespace calf::cli
