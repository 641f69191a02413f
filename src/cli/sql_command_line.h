// `calf sql`: its part of the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "cli/options.h"

namespace calf::cli {

// A subcommand of `app`, which must outlive it. After parsing, finish() says what was asked for.
class SqlCommandLine {
 public:
  explicit SqlCommandLine(CLI::App& app);
  SqlCommandLine(const SqlCommandLine&) = delete;
  SqlCommandLine& operator=(const SqlCommandLine&) = delete;

  [[nodiscard]] bool parsed() const { return app_->parsed(); }
  // kInvalidArgument; kUnsupported for a variable that only psql has.
  [[nodiscard]] Result<SqlOptions> finish() const;

 private:
  CLI::App* app_;
  SqlOptions options_;
  // As the user typed them.
  std::string location_, data_directory_, engine_ = "postgres", from_;
  std::vector<std::string> commands_, files_, settings_, variables_;
  bool unaligned_ = false;
  bool csv_ = false;
};

}  // namespace calf::cli
