#include "cli/raw_config.h"

#include "cli/options.h"

namespace calf::cli {

void add_config(CLI::App& app, RawConfig& raw) {
  app.add_option("--config", raw.path, "Configuration file, YAML (CONFIG_PATH)");
  app.add_option("--set", raw.settings, "An option of the configuration, name=value; repeat it")
      ->allow_extra_args(false);
}

Result<config::Config> load_config(const RawConfig& raw) {
  config::Config::Sources sources{.path = raw.path};
  if (raw.path.empty()) sources.path = sources.environment("CONFIG_PATH").value_or("");
  for (const std::string& text : raw.settings) {
    CALF_TRY(auto setting, parse_setting(text));
    sources.flags.push_back(std::move(setting));
  }
  return config::Config::load(sources);
}

}  // namespace calf::cli
