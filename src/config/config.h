// The configuration file, the environment variables that mean the same, and which of them counts.
// Precedence: flag, environment, file, default. See docs/configuration.md for the options.
//
// Not here: what the options do. Each module has its own Options struct.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "blob/environment.h"

namespace calf::config {

enum class Kind { kText, kPort, kCount, kMinutes, kFlag, kChoice, kDuration };

struct Option {
  std::string_view name;       // "server.port"
  std::string_view variables;  // "PGPORT PG_PORT": the first one that is set counts
  Kind kind = Kind::kText;
  std::string_view otherwise;  // the default; empty: nothing
  bool secret = false;
  std::string_view choices{};  // of kChoice, "a b c"
};

// All of them, in the file's order.
std::span<const Option> options();

struct Value {
  std::string text{};
  std::string source{};  // "default", "PG_PORT", "config.yaml:3", "--set"
};

class Config {
 public:
  struct Sources {
    std::string path{};                                        // of the file; empty: none
    std::vector<std::pair<std::string, std::string>> flags{};  // name and value, of --set
    blob::Environment environment = blob::process_environment();
  };

  // kNotFound and kIo for the file; kInvalidArgument for an unknown option or a bad value, naming
  // file and line, variable or flag.
  static Result<Config> load(const Sources& sources);

  // What was given; nothing when only the default holds. `name` must be an option's.
  [[nodiscard]] std::optional<std::string> given(std::string_view name) const;
  // "PG_PORT", "config.yaml:3", "--set"; "default" when it was not given.
  [[nodiscard]] std::string source(std::string_view name) const;
  // What was given, else the default.
  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] std::int64_t number(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name) const;
  // A kDuration or kMinutes, in milliseconds.
  [[nodiscard]] std::int64_t duration_ms(std::string_view name) const;

  // Every option with its value and source, secrets masked; the text is itself a valid file.
  [[nodiscard]] std::string describe() const;

 private:
  Result<void> set(std::string_view name, std::string text, std::string source);
  Result<void> load_variables(const Option& option, const Sources& sources);
  Result<void> load_file(const std::string& path);

  std::map<std::string, Value, std::less<>> values_;
};

log::Options log_options(const Config& config);

}  // namespace calf::config
