// An ObjectStore in a container of Azure Blob Storage: block blobs.
#pragma once

#include <memory>

#include "blob/azure_credentials.h"
#include "blob/http_retry.h"
#include "blob/object_store.h"

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

class AzureStore final : public ObjectStore {
 public:
  // Does not talk to the service. kInvalidArgument, kUnavailable without libcurl.
  static Result<std::unique_ptr<AzureStore>> open(AzureOptions options);

  Result<ObjectInfo> get(const std::string& key, ByteRange range, const Sink& sink,
                         const Limits& limits) override;
  Result<std::string> put(const std::string& key, Body& body, const Condition& condition,
                          const Limits& limits) override;
  Result<ListPage> list(const ListQuery& query, const Limits& limits) override;
  Result<void> remove(const std::string& key, const Limits& limits) override;
  [[nodiscard]] std::string describe() const override;

 private:
  struct Call {
    std::string method{};
    std::string key{};  // without the prefix; empty: the container
    Query query{};
    Headers headers{};
    std::string body{};
    Sink sink{};
  };
  AzureStore(AzureOptions options, AzureAccount account, std::shared_ptr<HttpClient> http)
      : options_(std::move(options)),
        account_(std::move(account)),
        http_(std::move(http)),
        tokens_(options_.environment, http_) {}

  Result<HttpRequest> authorize(const Call& call, const Limits& limits);
  Result<Answer> perform(const Call& call, const Limits& limits);
  Result<std::string> put_blocks(const std::string& key, Body& body, const Condition& condition,
                                 const Limits& limits);
  Result<std::string> finish_put(const std::string& key, Body& body, const Condition& condition,
                                 const Answer& answer, const Limits& limits);

  const AzureOptions options_;
  const AzureAccount account_;
  const std::shared_ptr<HttpClient> http_;
  AzureTokens tokens_;
};

}  // namespace calf::blob
