// `calf branch`: its part of the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "cli/options.h"

namespace calf::cli {

// A subcommand of `app`, which must outlive it. After parsing, finish() says what was asked for.
class BranchCommandLine {
 public:
  explicit BranchCommandLine(CLI::App& app);
  BranchCommandLine(const BranchCommandLine&) = delete;
  BranchCommandLine& operator=(const BranchCommandLine&) = delete;

  [[nodiscard]] bool parsed() const { return app_->parsed(); }
  // kInvalidArgument; kUnsupported for a URL that asks for TLS.
  [[nodiscard]] Result<BranchOptions> finish() const;

 private:
  CLI::App* app_;
  BranchOptions options_;
  std::string url_;  // as the user typed it
};

}  // namespace calf::cli
