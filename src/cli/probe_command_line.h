// `calf ready`: its part of the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "cli/options.h"
#include "cli/raw_config.h"

namespace calf::cli {

// A subcommand of `app`, which must outlive it. After parsing, finish() says what was asked for.
class ProbeCommandLine {
 public:
  explicit ProbeCommandLine(CLI::App& app);
  ProbeCommandLine(const ProbeCommandLine&) = delete;
  ProbeCommandLine& operator=(const ProbeCommandLine&) = delete;

  [[nodiscard]] bool parsed() const { return app_->parsed(); }
  // kInvalidArgument for what is no port or no time.
  [[nodiscard]] Result<ProbeOptions> finish() const;

 private:
  CLI::App* app_;
  RawConfig config_;
  // As the user typed them.
  std::string host_;
  std::string port_;
  std::string timeout_ = "3";
  bool quiet_ = false;
};

}  // namespace calf::cli
