// Where the keys for S3 come from, in the order of AWS's own SDKs: the configuration, environment
// variables, web identity (STS), the shared credentials and config files, the container's endpoint,
// the instance's metadata (IMDSv2).
//
// Not here: single sign-on, roles assumed by a profile, credential processes; a profile that wants
// one is refused by name.
#pragma once

#include <memory>

#include "blob/aws_signature.h"
#include "blob/environment.h"
#include "blob/http.h"
#include "blob/token_cache.h"

namespace calf::blob {

struct AwsCredentialOptions {
  std::optional<AwsKeys> configured{};
  std::string profile{};  // empty: AWS_PROFILE, else "default"
  std::string region{};   // of STS; may be empty
  Environment environment = process_environment();
  std::shared_ptr<HttpClient> http{};
};

class AwsCredentials {
 public:
  explicit AwsCredentials(AwsCredentialOptions options);

  // Keys that are valid now. kPermissionDenied when no source has any, with all of them in the
  // hint; kInvalidArgument for a source that is set but wrong; errors of HTTP. Blocks; any thread.
  Result<AwsKeys> keys(const Limits& limits) { return cache_.get(limits); }

 private:
  const AwsCredentialOptions options_;
  TokenCache<AwsKeys> cache_;
};

// The region of the profile in the shared config file, if there is one.
std::optional<std::string> profile_region(const Environment& environment,
                                          const std::string& profile);

}  // namespace calf::blob
