// `calf restore`: its part of the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/options.h"
#include "cli/raw_config.h"

namespace calf::cli {

// A subcommand of `app`, which must outlive it. After parsing, finish() says what was asked for.
class RestoreCommandLine {
 public:
  explicit RestoreCommandLine(CLI::App& app);
  RestoreCommandLine(const RestoreCommandLine&) = delete;
  RestoreCommandLine& operator=(const RestoreCommandLine&) = delete;

  [[nodiscard]] bool parsed() const { return app_->parsed(); }
  // kInvalidArgument: no store, or a time that is none.
  [[nodiscard]] Result<RestoreCommand> finish() const;

 private:
  CLI::App* app_;
  RawConfig config_;
  // As the user typed them.
  std::vector<std::string> places_;  // the store, if it is not the configuration's, and the file
  std::string at_;
  bool quiet_ = false;
};

}  // namespace calf::cli
