// `calf check`: its part of the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "cli/options.h"

namespace calf::cli {

// A subcommand of `app`, which must outlive it. After parsing, finish() says what was asked for.
class CheckCommandLine {
 public:
  explicit CheckCommandLine(CLI::App& app);
  CheckCommandLine(const CheckCommandLine&) = delete;
  CheckCommandLine& operator=(const CheckCommandLine&) = delete;

  [[nodiscard]] bool parsed() const { return app_->parsed(); }
  // kInvalidArgument: memory, or no directory at all.
  [[nodiscard]] Result<CheckOptions> finish() const;

 private:
  CLI::App* app_;
  CheckOptions options_;
  std::string location_;  // as the user typed it
};

}  // namespace calf::cli
