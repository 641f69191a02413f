// `calf port`: its part of the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "cli/options.h"

namespace calf::cli {

// A subcommand of `app`, which must outlive it. After parsing, finish() says what was asked for.
class PortCommandLine {
 public:
  explicit PortCommandLine(CLI::App& app);
  PortCommandLine(const PortCommandLine&) = delete;
  PortCommandLine& operator=(const PortCommandLine&) = delete;

  [[nodiscard]] bool parsed() const { return app_->parsed(); }
  // kInvalidArgument, but for the location: that is told in a packet.
  [[nodiscard]] Result<PortOptions> finish() const;

 private:
  CLI::App* app_;
  PortOptions options_;
  // As the user typed them.
  std::string location_, data_directory_, extensions_;
  std::vector<std::string> settings_;
  int debug_level_ = -1;  // not given
};

}  // namespace calf::cli
