#include "cli/options.h"

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

}  // namespace calf::cli
