#include "cli/config_command_line.h"

#include "config/config.h"

namespace calf::cli {

ConfigCommandLine::ConfigCommandLine(CLI::App& app)
    : app_(app.add_subcommand("config",
                              "Print the effective configuration and where it comes from")) {
  app_->set_help_flag("--help", "Show this text");
  add_config(*app_, config_);
}

Result<PrintAndExit> ConfigCommandLine::finish() const {
  CALF_TRY(const config::Config config, load_config(config_));
  return PrintAndExit{.text = config.describe(), .exit_code = 0};
}

}  // namespace calf::cli
