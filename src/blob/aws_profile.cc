#include "blob/aws_profile.h"

#include <sstream>

#include "blob/host_file.h"

namespace calf::blob {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Adds what section [`section`] has and `values` lacks. Nested (indented) values are not looked at.
bool add_section(const std::string& text, const std::string& section,
                 std::map<std::string, std::string>& values) {
  std::istringstream lines(text);
  bool inside = false;
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#' || line[0] == ';' || line[0] == ' ' || line[0] == '\t') {
      continue;
    }
    if (line[0] == '[') {
      inside = trimmed(line.substr(1, line.find(']') - 1)) == section;
      found = found || inside;
      continue;
    }
    const std::size_t equals = line.find('=');
    if (!inside || equals == std::string::npos) continue;
    values.emplace(trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)));
  }
  return found;
}

Result<std::string> read_optional(const Environment& environment, const std::string& variable,
                                  const std::string& beneath_home) {
  std::filesystem::path path;
  if (const auto given = environment(variable)) {
    path = *given;
  } else if (const auto home = environment("HOME")) {
    path = std::filesystem::path(*home) / beneath_home;
  } else {
    return std::string();
  }
  auto text = read_file(path, kMaxFileBytes);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::string();
  return text;
}

}  // namespace

Result<std::optional<AwsProfile>> read_aws_profile(const Environment& environment,
                                                   const std::string& name) {
  const auto variable = environment("AWS_PROFILE");
  AwsProfile profile{.name = !name.empty() ? name : variable.value_or("default")};
  CALF_TRY(const std::string credentials,
           read_optional(environment, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"));
  CALF_TRY(const std::string config, read_optional(environment, "AWS_CONFIG_FILE", ".aws/config"));
  bool found = add_section(credentials, profile.name, profile.values);
  found |= add_section(config, "profile " + profile.name, profile.values);
  if (profile.name == "default") found |= add_section(config, "default", profile.values);
  if (found) return profile;
  if (name.empty() && !variable) return std::nullopt;
  return fail(ErrorCode::kInvalidArgument, "there is no AWS profile \"" + profile.name + "\"",
              "look into ~/.aws/credentials and ~/.aws/config");
}

}  // namespace calf::blob
