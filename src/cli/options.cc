#include "cli/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>

namespace calf::cli {

Result<ClusterLocation> parse_location(const std::string& text) {
  constexpr std::string_view kMemory = "memory://";
  constexpr std::string_view kFile = "file://";
  if (text.starts_with(kMemory)) return MemoryLocation{text.substr(kMemory.size())};
  const std::string path = text.starts_with(kFile) ? text.substr(kFile.size()) : text;
  if (path.find("://") != std::string::npos) {
    return fail(ErrorCode::kInvalidArgument, "unknown kind of location \"" + text + "\"",
                "give a directory, file://path, or memory://");
  }
  if (path.empty()) return fail(ErrorCode::kInvalidArgument, "the data directory has no name");
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return fail(Error::from_errno("finding " + path, error.value()));
  return DirectoryLocation{absolute};
}

Result<std::pair<std::string, std::string>> parse_setting(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    return fail(ErrorCode::kInvalidArgument, "\"" + text + "\" is not name=value");
  }
  return std::pair{text.substr(0, equals), text.substr(equals + 1)};
}

Result<std::chrono::milliseconds> parse_seconds(const std::string& text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1e3}, {"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"min", 6e4}, {"h", 3.6e6}, {"d", 24 * 3.6e6},
  };
  constexpr double kLongestMs = 1e15;
  const std::size_t begin = std::min(text.find_first_not_of(' '), text.size());
  double number = 0;
  const auto parsed = std::from_chars(text.data() + begin, text.data() + text.size(), number);
  std::string_view unit(parsed.ptr, text.data() + text.size());
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  unit = unit.substr(0, unit.find_last_not_of(' ') + 1);
  for (const auto& [name, factor_ms] : kUnits) {
    const double ms = std::round(number * factor_ms);
    if (parsed.ec == std::errc() && unit == name && ms >= 1 && ms <= kLongestMs) {
      return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
    }
  }
  return fail(ErrorCode::kInvalidArgument, "\"" + text + "\" is not a time", "say 30, 2s, 500ms");
}

Result<std::int64_t> parse_time_ms(const std::string& text) {
  const auto refuse = [&] {
    return fail(ErrorCode::kInvalidArgument, "\"" + text + "\" is not a time",
                "write it as 2026-03-01T12:00:00Z");
  };
  std::tm parts{};
  std::string clean = text;
  if (const std::size_t space = clean.find(' '); space != std::string::npos) clean[space] = 'T';
  const char* rest = ::strptime(clean.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return refuse();
  std::int64_t ms = static_cast<std::int64_t>(::timegm(&parts)) * 1000;
  if (*rest == '.') {
    double fraction = 0;
    const auto parsed = std::from_chars(rest, clean.c_str() + clean.size(), fraction);
    if (parsed.ec != std::errc()) return refuse();
    ms += static_cast<std::int64_t>(fraction * 1000);
    rest = parsed.ptr;
  }
  if (*rest == '\0' || std::string_view(rest) == "Z") return ms;
  std::tm offset{};
  const bool east = *rest == '+';
  if (!east && *rest != '-') return refuse();
  const char* end = ::strptime(rest + 1, "%H:%M", &offset);
  if (end == nullptr) end = ::strptime(rest + 1, "%H", &offset);
  if (end == nullptr || *end != '\0') return refuse();
  const std::int64_t offset_ms = (offset.tm_hour * 60 + offset.tm_min) * 60'000;
  return east ? ms - offset_ms : ms + offset_ms;
}

}  // namespace calf::cli
