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

namespace {

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return fail(ErrorCode::kInvalidArgument, "\"" + std::string(text) + "\" is not a port");
  }
  return port;
}

// "host", "host:port", "[::1]:port".
struct HostAndPort {
  std::string host{}, port{};
};
HostAndPort split_host_and_port(std::string_view text) {
  HostAndPort parts;
  if (text.starts_with('[') && text.find(']') != std::string_view::npos) {
    const std::size_t bracket = text.find(']');
    parts.host = text.substr(1, bracket - 1);
    text.remove_prefix(bracket + 1);
  } else {
    parts.host = text.substr(0, text.find(':'));
    text.remove_prefix(parts.host.size());
  }
  if (text.starts_with(':')) parts.port = text.substr(1);
  return parts;
}

Result<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    const char* begin = text.data() + i + 1;
    const char* end = text.data() + std::min(i + 3, text.size());
    if (std::from_chars(begin, end, value, 16).ptr != begin + 2 || value == 0) {
      return fail(ErrorCode::kInvalidArgument, "the URL is not percent-encoded properly");
    }
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

Result<void> set_url_parameter(std::string_view name, const std::string& value, ServerUrl& url) {
  if (name == "host") url.host = value;
  if (name == "user") url.user = value;
  if (name == "password") url.password = value;
  if (name == "dbname") url.database = value;
  if (name == "port") {
    CALF_TRY(url.port, parse_port(value));
  }
  if (name == "sslmode" && (value == "require" || value.starts_with("verify"))) {
    return fail(ErrorCode::kUnsupported, "TLS is not supported here",
                "connect over loopback or a Unix socket");
  }
  return {};
}

// "user:password@host:port", as far as it is there.
Result<void> read_authority(std::string_view text, ServerUrl& url) {
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = text.substr(0, at);
    const std::size_t colon = std::min(login.find(':'), login.size());
    if (colon > 0) {
      CALF_TRY(url.user, percent_decoded(login.substr(0, colon)));
    }
    if (colon < login.size()) {
      CALF_TRY(url.password, percent_decoded(login.substr(colon + 1)));
    }
    text.remove_prefix(at + 1);
  }
  const HostAndPort place = split_host_and_port(text);
  if (!place.host.empty()) {
    CALF_TRY(url.host, percent_decoded(place.host));
  }
  if (!place.port.empty()) {
    CALF_TRY(url.port, parse_port(place.port));
  }
  return {};
}

}  // namespace

Result<PoolAddress> parse_pool_address(const std::string& text) {
  if (text.find(':') == std::string::npos) {
    CALF_TRY(const std::uint16_t port, parse_port(text));
    return PoolAddress{.port = port};
  }
  const HostAndPort parts = split_host_and_port(text);
  CALF_TRY(const std::uint16_t port, parse_port(parts.port));
  return PoolAddress{.host = parts.host.empty() ? "*" : parts.host, .port = port};
}

Result<ServerUrl> parse_server_url(const std::string& text, ServerUrl url) {
  std::string_view rest = text;
  for (const std::string_view scheme : {"postgresql://", "postgres://"}) {
    if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
  }
  if (rest.size() == text.size()) {
    return fail(ErrorCode::kInvalidArgument, "\"" + text + "\" is not a URL of a server",
                "postgresql://user@host:port/database");
  }
  std::string_view query;
  if (const std::size_t mark = rest.find('?'); mark != std::string_view::npos) {
    query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  CALF_CHECK_OK(read_authority(rest.substr(0, slash), url));
  if (slash + 1 < rest.size()) {
    CALF_TRY(url.database, percent_decoded(rest.substr(slash + 1)));
  }
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    const std::size_t equals = std::min(one.find('='), one.size());
    CALF_TRY(const std::string value,
             percent_decoded(one.substr(std::min(equals + 1, one.size()))));
    CALF_CHECK_OK(set_url_parameter(one.substr(0, equals), value, url));
  }
  return url;
}

}  // namespace calf::cli
