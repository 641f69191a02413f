// The files ~/.aws/credentials and ~/.aws/config. Internal to this module.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "blob/environment.h"

namespace calf::blob {

struct AwsProfile {
  std::string name{};
  std::map<std::string, std::string> values{};
};

// Both files' values for the profile (an empty name: AWS_PROFILE, else "default"); those of
// credentials win. Nothing when neither has it; kInvalidArgument when it was asked for by name.
Result<std::optional<AwsProfile>> read_aws_profile(const Environment& environment,
                                                   const std::string& name);

}  // namespace calf::blob
