// An ObjectStore in a container of Azure Blob Storage: block blobs.
#pragma once

#include <memory>

#include "blob/azure_credentials.h"
#include "blob/remote_store.h"

namespace calf::blob {

struct AzureOptions {
  AzureAccess access{};
  std::string container{};
  std::string prefix{};  // of all keys; "" or ending with "/"
  HttpOptions http{};
  RetryPolicy retry{};
  Environment environment = process_environment();
  // Larger objects go up as blocks of that size; Azure takes at most 50,000.
  std::uint64_t block_bytes = 8u << 20;
};

class AzureStore final : public RemoteStore {
 public:
  // Does not talk to the service. kInvalidArgument, kUnavailable without libcurl.
  static Result<std::unique_ptr<AzureStore>> open(AzureOptions options);

  Result<std::string> put(const std::string& key, Body& body, const Condition& condition,
                          const Limits& limits) override;
  Result<ListPage> list(const ListQuery& query, const Limits& limits) override;
  Result<void> remove(const std::string& key, const Limits& limits) override;
  [[nodiscard]] std::string describe() const override;

 private:
  AzureStore(AzureOptions options, AzureAccount account, std::shared_ptr<HttpClient> http)
      : RemoteStore(std::move(http), options.retry),
        options_(std::move(options)),
        account_(std::move(account)),
        tokens_(options_.environment, http_) {}

  Result<HttpRequest> request_for(const Call& call, const Limits& limits) override;
  Result<std::string> put_blocks(const std::string& key, Body& body, const Condition& condition,
                                 const Limits& limits);
  Result<std::string> finish_put(const std::string& key, Body& body, const Condition& condition,
                                 const Answer& answer, const Limits& limits);

  const AzureOptions options_;
  const AzureAccount account_;
  AzureTokens tokens_;
};

}  // namespace calf::blob
