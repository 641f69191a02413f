#include "config/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>
#include <sstream>

#include "base/assert.h"
#include "blob/host_file.h"

namespace calf::config {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;
constexpr std::string_view kFlagSource = "--set";

constexpr Option kOptions[] = {
    {"server.port", "PGPORT PG_PORT", Kind::kPort, "5432"},
    {"server.host", "PGHOST PG_HOST", Kind::kText, "127.0.0.1"},
    {"server.authentication.user", "POSTGRES_USER PGUSER PG_USER", Kind::kText, "postgres"},
    {"server.authentication.password", "POSTGRES_PASSWORD PGPASSWORD PG_PASSWORD", Kind::kText, "",
     true},
    {"database.engine", "DB_ENGINE", Kind::kChoice, "postgres", false, "postgres sqlite"},
    {"database.name", "POSTGRES_DB PGDATABASE DB_NAME POSTGRES_USER", Kind::kText, "postgres"},
    {"database.data_directory", "PGDATA", Kind::kText, ""},
    {"database.sqlite_path", "DB_PATH", Kind::kText, ""},
    {"database.transaction_mode", "", Kind::kChoice, "deferred", false,
     "deferred immediate exclusive"},
    {"database.connection_pool_size", "CONNECTION_POOL_SIZE", Kind::kCount, "100"},
    {"storage.backend", "STORAGE", Kind::kChoice, "none", false, "none local s3 azure"},
    {"storage.durability", "STORAGE_DURABILITY", Kind::kChoice, "interval", false,
     "commit interval shutdown"},
    {"storage.interval", "STORAGE_INTERVAL", Kind::kDuration, "1s"},
    {"storage.retention", "STORAGE_RETENTION", Kind::kDuration, "7d"},
    {"storage.cache_ttl_minutes", "CACHE_TTL_MINUTES", Kind::kMinutes, "5"},
    {"storage.max_unshipped_mb", "", Kind::kCount, "256"},
    {"storage.commit_timeout", "", Kind::kDuration, "60s"},
    {"storage.lease_ttl", "", Kind::kDuration, "15s"},
    {"storage.lease_wait", "", Kind::kDuration, "60s"},
    {"storage.replica", "STORAGE_REPLICA", Kind::kFlag, "false"},
    {"storage.local.base_path", "", Kind::kText, "./data"},
    {"storage.s3.bucket", "S3_BUCKET", Kind::kText, ""},
    {"storage.s3.region", "S3_REGION", Kind::kText, ""},
    {"storage.s3.prefix", "S3_PREFIX", Kind::kText, ""},
    {"storage.s3.endpoint", "S3_ENDPOINT", Kind::kText, ""},
    {"storage.s3.path_style", "S3_PATH_STYLE", Kind::kFlag, ""},
    {"storage.s3.profile", "", Kind::kText, ""},
    {"storage.s3.access_key_id", "", Kind::kText, ""},
    {"storage.s3.secret_access_key", "", Kind::kText, "", true},
    {"storage.azure.account", "AZURE_STORAGE_ACCOUNT", Kind::kText, ""},
    {"storage.azure.container", "AZURE_CONTAINER", Kind::kText, ""},
    {"storage.azure.prefix", "AZURE_PREFIX", Kind::kText, ""},
    {"storage.azure.key", "AZURE_STORAGE_KEY", Kind::kText, "", true},
    {"storage.azure.connection_string", "AZURE_STORAGE_CONNECTION_STRING", Kind::kText, "", true},
    {"storage.azure.sas", "AZURE_STORAGE_SAS_TOKEN", Kind::kText, "", true},
    {"storage.azure.endpoint", "AZURE_ENDPOINT", Kind::kText, ""},
    {"storage.azure.use_managed_identity", "AZURE_USE_MANAGED_IDENTITY", Kind::kFlag, "false"},
    {"logging.level", "LOG_LEVEL", Kind::kChoice, "info", false, "debug info warn error"},
    {"logging.format", "LOG_FORMAT", Kind::kChoice, "text", false, "text json"},
};

const Option* find(std::string_view name) {
  for (const Option& option : kOptions) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

// True when options begin with "name.".
bool is_section(std::string_view name) {
  const std::string beginning = std::string(name) + ".";
  return std::any_of(std::begin(kOptions), std::end(kOptions),
                     [&](const Option& option) { return option.name.starts_with(beginning); });
}

// Insertions, deletions and changes that make one of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

std::string did_you_mean(std::string_view name) {
  constexpr std::size_t kFarthest = 6;
  std::string_view nearest;
  std::size_t best = kFarthest + 1;
  for (const Option& option : kOptions) {
    if (const std::size_t d = distance(name, option.name); d < best) {
      best = d;
      nearest = option.name;
    }
  }
  if (nearest.empty()) return "`calf config` shows all options";
  return "did you mean " + std::string(nearest) + "?";
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
  constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  constexpr std::int64_t kMost = 100'000;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(text.substr(0, digits));
  for (const auto& [unit, ms] : kUnits) {
    if (number && *number <= kMost && text.substr(digits) == unit) return *number * ms;
  }
  return std::nullopt;
}

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// "5", "0.5".
std::optional<std::int64_t> parse_minutes_ms(std::string_view text) {
  constexpr double kMost = 1'000'000;
  constexpr double kMsPerMinute = 60'000;
  double minutes = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), minutes);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  if (!whole || !(minutes > 0 && minutes <= kMost)) return std::nullopt;
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(minutes * kMsPerMinute));
}

bool is_choice(std::string_view choices, std::string_view text) {
  return !text.empty() && text.find(' ') == std::string_view::npos &&
         (" " + std::string(choices) + " ").find(" " + std::string(text) + " ") !=
             std::string::npos;
}

// What is wrong with the value; nothing when it is fine.
std::optional<std::string> objection(const Option& option, std::string_view text) {
  const auto number = parse_number(text);
  switch (option.kind) {
    case Kind::kText:
      return std::nullopt;
    case Kind::kPort:
      if (number && *number >= 0 && *number <= 65535) return std::nullopt;
      return "a port is a number from 0 to 65535";
    case Kind::kCount:
      if (number && *number > 0 && *number <= 1'000'000) return std::nullopt;
      return "it must be a number from 1 to 1000000";
    case Kind::kMinutes:
      if (parse_minutes_ms(text)) return std::nullopt;
      return "it must be a number of minutes, more than 0 and at most 1000000";
    case Kind::kFlag:
      if (is_choice("true false", lowered(text))) return std::nullopt;
      return "it must be true or false";
    case Kind::kChoice:
      if (is_choice(option.choices, lowered(text))) return std::nullopt;
      return "it must be one of: " + std::string(option.choices);
    case Kind::kDuration:
      if (parse_duration_ms(text)) return std::nullopt;
      return "write it as 500ms, 1s, 10m, 12h or 7d";
  }
  return std::nullopt;
}

using Leaf = std::function<Result<void>(const std::string& name, const YAML::Node& node)>;

Result<void> walk(const YAML::Node& node, const std::string& name, const Leaf& leaf) {
  if (!name.empty() && !is_section(name)) return leaf(name, node);
  if (node.IsNull()) return {};
  if (!node.IsMap()) return leaf(name, node);
  for (const auto& entry : node) {
    const auto key = entry.first.as<std::string>();
    CALF_CHECK_OK(walk(entry.second, name.empty() ? key : name + "." + key, leaf));
  }
  return {};
}

std::string place_of(const std::string& path, const YAML::Mark& mark) {
  return path + ":" + std::to_string(mark.line + 1);
}

}  // namespace

std::span<const Option> options() {
  return kOptions;
}

Result<Config> Config::load(const Sources& sources) {
  Config config;
  if (!sources.path.empty()) CALF_CHECK_OK(config.load_file(sources.path));
  for (const Option& option : kOptions) CALF_CHECK_OK(config.load_variables(option, sources));
  for (const auto& [name, value] : sources.flags)
    CALF_CHECK_OK(config.set(name, value, std::string(kFlagSource)));
  return config;
}

// The first variable that is there counts; what is wrong with it matters only if no flag says it
// better.
Result<void> Config::load_variables(const Option& option, const Sources& sources) {
  for (const auto& flag : sources.flags) {
    if (flag.first == option.name) return {};
  }
  std::istringstream names{std::string(option.variables)};
  for (std::string variable; names >> variable;) {
    auto value = sources.environment(variable);
    if (value) return set(option.name, std::move(*value), variable);
  }
  return {};
}

Result<void> Config::set(std::string_view name, std::string text, std::string source) {
  const Option* option = find(name);
  if (option == nullptr) {
    return fail(ErrorCode::kInvalidArgument, source + ": there is no option " + std::string(name),
                did_you_mean(name));
  }
  if (const auto why = objection(*option, text)) {
    const std::string shown = option->secret ? "" : " \"" + text + "\"";
    return fail(ErrorCode::kInvalidArgument,
                source + ": " + std::string(name) + " cannot be" + shown + ": " + *why);
  }
  if (option->kind == Kind::kChoice || option->kind == Kind::kFlag) text = lowered(text);
  values_.insert_or_assign(std::string(name), Value{std::move(text), std::move(source)});
  return {};
}

Result<void> Config::load_file(const std::string& path) {
  auto text = blob::read_file(path, kMaxFileBytes);
  if (!text) return fail(std::move(text).error().with_context("the configuration file"));
  try {
    const YAML::Node root = YAML::Load(*text);
    return walk(root, "", [&](const std::string& name, const YAML::Node& node) -> Result<void> {
      const std::string place = place_of(path, node.Mark());
      if (node.IsNull()) return find(name) != nullptr ? Result<void>{} : set(name, "", place);
      if (!node.IsScalar()) {
        const bool unknown = !name.empty() && find(name) == nullptr && !is_section(name);
        if (unknown) return set(name, "", place);
        return fail(ErrorCode::kInvalidArgument,
                    place + ": " + (name.empty() ? "the file" : name) + " has the wrong form",
                    "see docs/configuration.md");
      }
      if (is_section(name)) {
        return fail(ErrorCode::kInvalidArgument,
                    place + ": " + name + " is a section, not a value");
      }
      return set(name, node.Scalar(), place);
    });
  } catch (const YAML::Exception& e) {
    return fail(ErrorCode::kInvalidArgument, place_of(path, e.mark) + ": " + e.msg);
  }
}

std::optional<std::string> Config::given(std::string_view name) const {
  ASSERT(find(name) != nullptr);
  const auto found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  return found->second.text;
}

std::string Config::source(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? "default" : found->second.source;
}

std::string Config::text(std::string_view name) const {
  const Option* option = find(name);
  ASSERT(option != nullptr);
  return given(name).value_or(std::string(option->otherwise));
}

std::int64_t Config::number(std::string_view name) const {
  return parse_number(text(name)).value_or(0);
}

bool Config::flag(std::string_view name) const {
  return text(name) == "true";
}

std::int64_t Config::duration_ms(std::string_view name) const {
  const Option* option = find(name);
  ASSERT(option != nullptr);
  const bool minutes = option->kind == Kind::kMinutes;
  return (minutes ? parse_minutes_ms(text(name)) : parse_duration_ms(text(name))).value_or(0);
}

std::string Config::describe() const {
  std::string result;
  std::vector<std::string> open;  // sections so far
  for (const Option& option : kOptions) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= option.name.size();) {
      const std::size_t end = std::min(option.name.find('.', begin), option.name.size());
      parts.emplace_back(option.name.substr(begin, end - begin));
      begin = end + 1;
    }
    const std::string leaf = parts.back();
    parts.pop_back();
    std::size_t common = 0;
    while (common < parts.size() && common < open.size() && parts[common] == open[common]) ++common;
    for (std::size_t i = common; i < parts.size(); ++i) {
      result += std::string(2 * i, ' ') + parts[i] + ":\n";
    }
    open = parts;
    const auto found = values_.find(option.name);
    const bool is_given = found != values_.end();
    std::string value = text(option.name);
    if (option.secret && !value.empty()) value = "********";
    YAML::Emitter quoted;
    if (option.kind == Kind::kText) quoted << YAML::DoubleQuoted;
    quoted << value;
    result += std::string(2 * parts.size(), ' ') + leaf + ":" +
              (value.empty() ? "" : std::string(" ") + quoted.c_str()) + "  # " +
              (is_given ? found->second.source : "default") + "\n";
  }
  return result;
}

log::Options log_options(const Config& config) {
  const std::string level = config.text("logging.level");
  log::Options options;
  options.level = level == "debug"   ? log::Level::kDebug
                  : level == "warn"  ? log::Level::kWarn
                  : level == "error" ? log::Level::kError
                                     : log::Level::kInfo;
  options.format =
      config.text("logging.format") == "json" ? log::Format::kJson : log::Format::kText;
  return options;
}

}  // namespace calf::config
