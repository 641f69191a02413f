// How a request to Azure Blob Storage is authorized: the account's key, a connection string, a
// shared access signature, or a token: of a workload identity, or of the machine's managed
// identity.
#pragma once

#include <memory>
#include <variant>

#include "blob/encoding.h"
#include "blob/environment.h"
#include "blob/http.h"
#include "blob/token_cache.h"

namespace calf::blob {

struct AzureSharedKey {
  std::string key{};  // its bytes, not base64
};
struct AzureSas {
  Query query{};
};
struct AzureIdentity {};
using AzureCredential = std::variant<AzureSharedKey, AzureSas, AzureIdentity>;

// What the user gave; empty strings are looked up in the environment: AZURE_STORAGE_ACCOUNT,
// AZURE_STORAGE_KEY, AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_SAS_TOKEN.
struct AzureAccess {
  std::string account{};
  std::string key{};  // base64
  std::string connection_string{};
  std::string sas{};
  std::string endpoint{};  // "https://account.blob.core.windows.net", or an emulator's with a path
  bool use_managed_identity = false;
};

struct AzureAccount {
  std::string account{};
  std::string endpoint{};  // without a slash at the end
  AzureCredential credential{};
};

// kInvalidArgument when the account is not known or a value is malformed; no secret is shown.
Result<AzureAccount> resolve_azure_account(const AzureAccess& access,
                                           const Environment& environment);

// Tokens for AzureIdentity: a workload identity (AZURE_FEDERATED_TOKEN_FILE) when there is one,
// else App Service's or Container Apps' endpoint (IDENTITY_ENDPOINT), else the machine's metadata
// (AZURE_POD_IDENTITY_AUTHORITY_HOST overrides its address). AZURE_CLIENT_ID chooses a
// user-assigned identity.
class AzureTokens {
 public:
  AzureTokens(Environment environment, std::shared_ptr<HttpClient> http);

  // A bearer token that is valid now. Errors of HTTP; kPermissionDenied. Blocks; any thread.
  Result<std::string> token(const Limits& limits) { return cache_.get(limits); }

 private:
  Result<Expiring<std::string>> fetch(const Limits& limits);
  Result<HttpRequest> request() const;

  const Environment environment_;
  const std::shared_ptr<HttpClient> http_;
  TokenCache<std::string> cache_;
};

}  // namespace calf::blob
