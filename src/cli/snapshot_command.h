// `calf snapshot save FILE [DIR]`: its part of the command line, and what it does.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "cli/options.h"

namespace calf::cli {

// The subcommand of `app`, which must outlive it. After parsing, finish() says what was asked for.
class SnapshotCommandLine {
 public:
  explicit SnapshotCommandLine(CLI::App& app);
  SnapshotCommandLine(const SnapshotCommandLine&) = delete;
  SnapshotCommandLine& operator=(const SnapshotCommandLine&) = delete;

  // kInvalidArgument: memory, or no directory at all.
  [[nodiscard]] Result<SnapshotSaveOptions> finish() const;

 private:
  std::string file_, location_, data_directory_;
  bool quiet_ = false;
};

// The process's exit code.
int run_snapshot_save(const SnapshotSaveOptions& options);

}  // namespace calf::cli
