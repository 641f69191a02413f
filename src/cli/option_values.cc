#include "cli/option_values.h"

#include <cstdlib>
#include <sstream>

namespace calf::cli {

std::string environment(std::initializer_list<const char*> names, std::string otherwise) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return otherwise;
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) {
    const std::size_t first = item.find_first_not_of(' ');
    if (first == std::string::npos) continue;
    items.push_back(item.substr(first, item.find_last_not_of(' ') - first + 1));
  }
  return items;
}

Result<ClusterLocation> choose_location(const std::string& positional, const std::string& flag,
                                        const char* variable) {
  if (!positional.empty() && !flag.empty()) {
    return fail(ErrorCode::kInvalidArgument, "both LOCATION and -D are given", "give one of them");
  }
  return parse_location(!positional.empty() ? positional
                        : !flag.empty()     ? flag
                                            : environment({variable}, "memory://"));
}

std::optional<std::filesystem::path> path_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

Result<void> add_settings(const std::vector<std::string>& raw,
                          std::vector<std::pair<std::string, std::string>>& settings) {
  for (const std::string& text : raw) {
    CALF_TRY(auto setting, parse_setting(text));
    settings.push_back(std::move(setting));
  }
  return {};
}

EngineKind engine_named(const std::string& name) {
  return name == "sqlite" ? EngineKind::kSqlite : EngineKind::kPostgres;
}

}  // namespace calf::cli
