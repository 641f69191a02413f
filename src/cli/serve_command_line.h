// `calf serve`: its part of the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "cli/options.h"
#include "cli/place.h"
#include "cli/raw_config.h"
#include "config/config.h"

namespace calf::cli {

// A subcommand of `app`, which must outlive it. After parsing, finish() says what was asked for.
class ServeCommandLine {
 public:
  explicit ServeCommandLine(CLI::App& app);
  ServeCommandLine(const ServeCommandLine&) = delete;
  ServeCommandLine& operator=(const ServeCommandLine&) = delete;

  [[nodiscard]] bool parsed() const { return app_->parsed(); }
  // kInvalidArgument.
  [[nodiscard]] Result<ServeOptions> finish() const;

 private:
  [[nodiscard]] Result<config::Config> configuration() const;
  void choose_identity(const config::Config& config, ServeOptions& options) const;
  void choose_hosts(const config::Config& config, ServeOptions& options) const;
  Result<void> choose_tls(ServeOptions& options) const;

  CLI::App* app_;
  ServeOptions options_;
  // As the user typed them; checked and turned into options by finish().
  RawConfig config_;
  RawPlace place_;
  std::string from_, auth_, extensions_, tls_certificate_, tls_key_, pool_;
  std::vector<std::string> hosts_, socket_directories_, socket_paths_, settings_;
  int port_ = -1;
  int max_connections_ = 0;
  int handshake_timeout_s_ = 0;  // 0: not given
};

}  // namespace calf::cli
