#include "blob/azure_credentials.h"

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "blob/host_file.h"
#include "blob/http_retry.h"

namespace calf::blob {
namespace {

constexpr std::size_t kMaxTokenBytes = 64 << 10;
constexpr std::string_view kResource = "https://storage.azure.com";
constexpr RetryPolicy kTokenPolicy{.attempt_timeout_ms = 5'000, .attempts = 5};

// "Name=value;Name=value"; values may hold '='.
std::map<std::string, std::string> parse_connection_string(const std::string& text) {
  std::map<std::string, std::string> values;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(';', begin), text.size());
    const std::string item = text.substr(begin, end - begin);
    if (const std::size_t equals = item.find('='); equals != std::string::npos) {
      values[item.substr(0, equals)] = item.substr(equals + 1);
    }
    begin = end + 1;
  }
  return values;
}

Query parse_query(std::string_view text) {
  if (text.starts_with('?')) text.remove_prefix(1);
  Query query;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view item = text.substr(0, end);
    const std::size_t equals = std::min(item.find('='), item.size());
    query.emplace_back(percent_decode(item.substr(0, equals)),
                       percent_decode(item.substr(std::min(equals + 1, item.size()))));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return query;
}

void fill(std::string& value, const Environment& environment, const char* name) {
  if (value.empty()) value = environment(name).value_or("");
}

Result<AzureCredential> choose_credential(const AzureAccess& access) {
  if (access.use_managed_identity) return AzureIdentity{};
  if (!access.key.empty()) {
    auto key = from_base64(access.key);
    if (!key) {
      return fail(ErrorCode::kInvalidArgument, "the Azure account key is not base64",
                  "copy it again from the storage account's access keys");
    }
    return AzureSharedKey{std::move(*key)};
  }
  if (!access.sas.empty()) return AzureSas{parse_query(access.sas)};
  return AzureIdentity{};
}

std::int64_t number_in(const nlohmann::json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end()) return 0;
  if (found->is_number_integer()) return found->get<std::int64_t>();
  if (!found->is_string()) return 0;  // both forms are in use
  const auto text = found->get<std::string>();
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Result<Expiring<std::string>> parse_token(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("access_token") || !json["access_token"].is_string()) {
    return fail(ErrorCode::kUnavailable, "Azure gave no token");
  }
  const std::int64_t now_s = os::SystemClock().realtime_ns() / 1'000'000'000;
  const std::int64_t expires_on_s = number_in(json, "expires_on");
  return Expiring<std::string>{
      .value = json["access_token"].get<std::string>(),
      .expires_s = expires_on_s > 0 ? expires_on_s : now_s + number_in(json, "expires_in")};
}

}  // namespace

Result<AzureAccount> resolve_azure_account(const AzureAccess& given,
                                           const Environment& environment) {
  AzureAccess access = given;
  const bool identity = access.use_managed_identity;
  if (!identity && access.key.empty() && access.sas.empty()) {
    fill(access.connection_string, environment, "AZURE_STORAGE_CONNECTION_STRING");
  }
  auto parts = parse_connection_string(access.connection_string);
  if (access.account.empty()) access.account = parts["AccountName"];
  if (access.endpoint.empty()) access.endpoint = parts["BlobEndpoint"];
  if (access.key.empty()) access.key = parts["AccountKey"];
  if (access.sas.empty()) access.sas = parts["SharedAccessSignature"];
  fill(access.account, environment, "AZURE_STORAGE_ACCOUNT");
  if (access.key.empty() && access.sas.empty()) {
    fill(access.key, environment, "AZURE_STORAGE_KEY");
    fill(access.sas, environment, "AZURE_STORAGE_SAS_TOKEN");
  }
  if (access.account.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the Azure storage account is not known",
                "set storage.azure.account, AZURE_STORAGE_ACCOUNT or a connection string");
  }
  if (access.endpoint.empty()) {
    const std::string suffix =
        parts["EndpointSuffix"].empty() ? "core.windows.net" : parts["EndpointSuffix"];
    access.endpoint = "https://" + access.account + ".blob." + suffix;
  }
  while (access.endpoint.ends_with('/')) access.endpoint.pop_back();
  CALF_TRY(AzureCredential credential, choose_credential(access));
  return AzureAccount{access.account, access.endpoint, std::move(credential)};
}

AzureTokens::AzureTokens(Environment environment, std::shared_ptr<HttpClient> http)
    : environment_(std::move(environment)),
      http_(std::move(http)),
      cache_([this](const Limits& limits) { return fetch(limits); }) {}

Result<HttpRequest> AzureTokens::request() const {
  const std::string client = environment_("AZURE_CLIENT_ID").value_or("");
  const auto file = environment_("AZURE_FEDERATED_TOKEN_FILE");
  const auto tenant = environment_("AZURE_TENANT_ID");
  if (file && tenant && !client.empty()) {
    CALF_TRY(std::string assertion, read_file(*file, kMaxTokenBytes));
    const std::string authority =
        environment_("AZURE_AUTHORITY_HOST").value_or("https://login.microsoftonline.com/");
    return HttpRequest{
        .method = "POST",
        .url = authority + (authority.ends_with('/') ? "" : "/") + percent_encode(*tenant) +
               "/oauth2/v2.0/token",
        .headers = {{"content-type", "application/x-www-form-urlencoded"}},
        .body = canonical_query(
            {{"client_id", client},
             {"scope", std::string(kResource) + "/.default"},
             {"grant_type", "client_credentials"},
             {"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
             {"client_assertion", assertion}})};
  }
  Query query{{"resource", std::string(kResource)}};
  if (!client.empty()) query.emplace_back("client_id", client);
  const auto endpoint = environment_("IDENTITY_ENDPOINT");
  const auto secret = environment_("IDENTITY_HEADER");
  if (endpoint && secret) {
    query.emplace_back("api-version", "2019-08-01");
    return HttpRequest{.url = *endpoint + "?" + canonical_query(query),
                       .headers = {{"x-identity-header", *secret}}};
  }
  query.emplace_back("api-version", "2018-02-01");
  const std::string machine =
      environment_("AZURE_POD_IDENTITY_AUTHORITY_HOST").value_or("http://169.254.169.254");
  return HttpRequest{.url = machine + "/metadata/identity/oauth2/token?" + canonical_query(query),
                     .headers = {{"metadata", "true"}}};
}

Result<Expiring<std::string>> AzureTokens::fetch(const Limits& limits) {
  auto answer = perform_with_retries(*http_, kTokenPolicy, [this] { return request(); }, limits);
  if (!answer) {
    Error error = std::move(answer).error().with_context("asking for a token of Azure's");
    error.hint =
        "set a key, a SAS or a connection string when this machine has no managed identity";
    return fail(std::move(error));
  }
  if (answer->response.status != 200) {
    return fail(answer_error("asking for a token of Azure's", answer->response));
  }
  return parse_token(answer->response.body);
}

}  // namespace calf::blob
