// `calf snapshot save FILE [DIR]`: its part of the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "cli/options.h"

namespace calf::cli {

// A subcommand of `app`, which must outlive it. After parsing, finish() says what was asked for.
class SnapshotCommandLine {
 public:
  explicit SnapshotCommandLine(CLI::App& app);
  SnapshotCommandLine(const SnapshotCommandLine&) = delete;
  SnapshotCommandLine& operator=(const SnapshotCommandLine&) = delete;

  [[nodiscard]] bool parsed() const { return app_->parsed(); }
  // kInvalidArgument: memory, or no directory at all.
  [[nodiscard]] Result<SnapshotSaveOptions> finish() const;

 private:
  CLI::App* app_;
  SnapshotSaveOptions options_;
  std::string location_, data_directory_;  // as the user typed them
};

}  // namespace calf::cli
