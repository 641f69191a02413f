#include "blob/aws_credentials.h"

#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "blob/aws_profile.h"
#include "blob/host_file.h"
#include "blob/http_retry.h"

namespace calf::blob {
namespace {

using Keys = Expiring<AwsKeys>;
using Found = std::optional<Keys>;  // nothing: this source is not set up here

constexpr std::size_t kMaxTokenBytes = 64 << 10;
constexpr std::int64_t kMetadataTimeoutMs = 5'000;
// Where there is no such endpoint, nobody answers: do not wait long.
constexpr RetryPolicy kMetadataPolicy{.attempt_timeout_ms = 1'000, .attempts = 3};
constexpr RetryPolicy kStsPolicy{.attempts = 5};

Result<std::string> read_token(const std::string& path) {
  CALF_TRY(std::string token, read_file(path, kMaxTokenBytes));
  token.erase(token.find_last_not_of(" \r\n") + 1);
  return token;
}

Result<std::string> ask(HttpClient& http, const RetryPolicy& policy, const HttpRequest& request,
                        const std::string& what, const Limits& limits) {
  const auto make = [&]() -> Result<HttpRequest> { return request; };
  CALF_TRY(const Answer answer, perform_with_retries(http, policy, make, limits));
  if (answer.response.status != 200) return fail(answer_error(what, answer.response));
  return answer.response.body;
}

// The document that containers and instances get.
Result<Found> parse_keys(const std::string& body, const std::string& what) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  const auto text = [&](const char* name) -> std::string {
    if (!json.is_object()) return {};
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  Keys keys{.value = {text("AccessKeyId"), text("SecretAccessKey"), text("Token")}};
  if (keys.value.access_key_id.empty() || keys.value.secret_access_key.empty()) {
    return fail(ErrorCode::kUnavailable, what + " gave no keys");
  }
  if (!text("Expiration").empty()) {
    CALF_TRY(keys.expires_s, parse_iso_time(text("Expiration")));
  }
  return keys;
}

Result<Found> from_environment(const AwsCredentialOptions& options) {
  const auto id = options.environment("AWS_ACCESS_KEY_ID");
  const auto secret = options.environment("AWS_SECRET_ACCESS_KEY");
  if (!id && !secret) return std::nullopt;
  if (!id || !secret) {
    return fail(ErrorCode::kInvalidArgument,
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together");
  }
  return Keys{.value = {*id, *secret, options.environment("AWS_SESSION_TOKEN").value_or("")}};
}

std::string sts_url(const AwsCredentialOptions& options) {
  if (const auto endpoint = options.environment("AWS_ENDPOINT_URL_STS")) return *endpoint;
  if (options.region.empty()) return "https://sts.amazonaws.com";
  return "https://sts." + options.region + ".amazonaws.com" +
         (options.region.starts_with("cn-") ? ".cn" : "");
}

Result<Found> from_web_identity(const AwsCredentialOptions& options, const Limits& limits) {
  const auto file = options.environment("AWS_WEB_IDENTITY_TOKEN_FILE");
  const auto role = options.environment("AWS_ROLE_ARN");
  if (!file || !role) return std::nullopt;
  CALF_TRY(const std::string token, read_token(*file));
  const std::string session =
      options.environment("AWS_ROLE_SESSION_NAME").value_or(random_name("calf-"));
  const HttpRequest request{.method = "POST",
                            .url = sts_url(options) + "/",
                            .headers = {{"content-type", "application/x-www-form-urlencoded"}},
                            .body = canonical_query({{"Action", "AssumeRoleWithWebIdentity"},
                                                     {"Version", "2011-06-15"},
                                                     {"RoleArn", *role},
                                                     {"RoleSessionName", session},
                                                     {"WebIdentityToken", token}})};
  CALF_TRY(const std::string body,
           ask(*options.http, kStsPolicy, request, "asking STS for the role's keys", limits));
  pugi::xml_document document;
  document.load_buffer(body.data(), body.size());
  const pugi::xml_node keys = document.child("AssumeRoleWithWebIdentityResponse")
                                  .child("AssumeRoleWithWebIdentityResult")
                                  .child("Credentials");
  Keys found{.value = {keys.child_value("AccessKeyId"), keys.child_value("SecretAccessKey"),
                       keys.child_value("SessionToken")}};
  if (found.value.access_key_id.empty() || found.value.secret_access_key.empty()) {
    return fail(ErrorCode::kUnavailable, "STS gave no keys");
  }
  CALF_TRY(found.expires_s, parse_iso_time(keys.child_value("Expiration")));
  return found;
}

Result<Found> from_profile(const AwsCredentialOptions& options) {
  CALF_TRY(const auto profile, read_aws_profile(options.environment, options.profile));
  if (!profile) return std::nullopt;
  const auto value = [&](const char* name) {
    const auto found = profile->values.find(name);
    return found == profile->values.end() ? std::string() : found->second;
  };
  const AwsKeys keys{value("aws_access_key_id"), value("aws_secret_access_key"),
                     value("aws_session_token")};
  if (!keys.access_key_id.empty() && !keys.secret_access_key.empty()) return Keys{.value = keys};
  for (const char* other : {"role_arn", "sso_session", "sso_start_url", "credential_process"}) {
    if (value(other).empty()) continue;
    return fail(ErrorCode::kUnsupported,
                "AWS profile \"" + profile->name + "\" uses " + other + ", which is not supported",
                "export its keys: eval \"$(aws configure export-credentials --format env)\"");
  }
  return std::nullopt;
}

// Plain HTTP may carry keys only to the machine's own endpoints.
bool is_trusted_endpoint(const std::string& url) {
  if (url.starts_with("https://")) return true;
  const std::string origin = origin_of(url);
  for (const std::string host :
       {"http://169.254.170.2", "http://169.254.170.23", "http://[fd00:ec2::23]",
        "http://127.0.0.1", "http://localhost", "http://[::1]"}) {
    if (origin == host || origin.starts_with(host + ":")) return true;
  }
  return false;
}

Result<Found> from_container(const AwsCredentialOptions& options, const Limits& limits) {
  const auto relative = options.environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const auto full = options.environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (!relative && !full) return std::nullopt;
  HttpRequest request{.url = relative ? "http://169.254.170.2" + *relative : *full};
  if (!is_trusted_endpoint(request.url)) {
    return fail(ErrorCode::kInvalidArgument,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https or an address of this machine");
  }
  if (const auto file = options.environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")) {
    CALF_TRY(const std::string token, read_token(*file));
    request.headers.emplace_back("authorization", token);
  } else if (const auto token = options.environment("AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
    request.headers.emplace_back("authorization", *token);
  }
  const std::string what = "asking the container's endpoint for keys";
  CALF_TRY(const std::string body, ask(*options.http, kMetadataPolicy, request, what, limits));
  return parse_keys(body, "the container's endpoint");
}

Result<Found> from_instance(const AwsCredentialOptions& options, const Limits& limits) {
  if (options.environment("AWS_EC2_METADATA_DISABLED").value_or("") == "true") return std::nullopt;
  const std::string base =
      options.environment("AWS_EC2_METADATA_SERVICE_ENDPOINT").value_or("http://169.254.169.254");
  const HttpRequest session{.method = "PUT",
                            .url = base + "/latest/api/token",
                            .headers = {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}}};
  const std::string what = "asking the instance's metadata for keys";
  const auto token = ask(*options.http, kMetadataPolicy, session, what, limits);
  if (!token) return std::nullopt;  // not an EC2 instance
  const std::string roles = base + "/latest/meta-data/iam/security-credentials/";
  const Headers headers{{"x-aws-ec2-metadata-token", *token}};
  CALF_TRY(const std::string names,
           ask(*options.http, kMetadataPolicy, {.url = roles, .headers = headers}, what, limits));
  const std::string role = percent_encode(names.substr(0, names.find_first_of("\r\n")));
  CALF_TRY(const std::string body, ask(*options.http, kMetadataPolicy,
                                       {.url = roles + role, .headers = headers}, what, limits));
  return parse_keys(body, "the instance's metadata");
}

Result<Keys> find_keys(const AwsCredentialOptions& options, const Limits& limits) {
  if (options.configured) return Keys{.value = *options.configured};
  const Limits metadata = limits.at_most(kMetadataTimeoutMs);
  const std::function<Result<Found>()> sources[] = {
      [&] { return from_environment(options); },
      [&] { return from_web_identity(options, limits); },
      [&] { return from_profile(options); },
      [&] { return from_container(options, metadata); },
      [&] { return from_instance(options, metadata); },
  };
  for (const auto& source : sources) {
    CALF_TRY(const Found found, source());
    if (found) return *found;
  }
  return fail(ErrorCode::kPermissionDenied, "there are no AWS credentials",
              "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in "
              "~/.aws/credentials, or run with a web identity, container or instance role");
}

}  // namespace

AwsCredentials::AwsCredentials(AwsCredentialOptions options)
    : options_(std::move(options)),
      cache_([this](const Limits& limits) { return find_keys(options_, limits); }) {}

std::optional<std::string> profile_region(const Environment& environment,
                                          const std::string& profile) {
  const auto found = read_aws_profile(environment, profile);
  if (!found || !*found) return std::nullopt;
  const auto region = (*found)->values.find("region");
  if (region == (*found)->values.end() || region->second.empty()) return std::nullopt;
  return region->second;
}

}  // namespace calf::blob
