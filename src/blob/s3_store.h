// An ObjectStore in an S3 bucket, or in one of a service with the same protocol.
#pragma once

#include <memory>

#include "blob/aws_credentials.h"
#include "blob/remote_store.h"

namespace calf::blob {

struct S3Options {
  std::string bucket{};
  std::string prefix{};    // of all keys; "" or ending with "/"
  std::string region{};    // empty: AWS_REGION, AWS_DEFAULT_REGION, the profile's, us-east-1
  std::string endpoint{};  // "https://host:port"; empty: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS
  std::optional<bool> path_style{};  // nothing: for endpoints that are not AWS's
  std::optional<AwsKeys> keys{};
  std::string profile{};
  HttpOptions http{};
  RetryPolicy retry{};
  Environment environment = process_environment();
  // Larger objects go up in parts of that size. S3 takes at most 10,000 parts, at least 5 MiB each.
  std::uint64_t part_bytes = 8u << 20;
};

class S3Store final : public RemoteStore {
 public:
  // Does not talk to the service. kInvalidArgument, kUnavailable without libcurl.
  static Result<std::unique_ptr<S3Store>> open(S3Options options);

  Result<std::string> put(const std::string& key, Body& body, const Condition& condition,
                          const Limits& limits) override;
  Result<ListPage> list(const ListQuery& query, const Limits& limits) override;
  Result<void> remove(const std::string& key, const Limits& limits) override;
  [[nodiscard]] std::string describe() const override;

 private:
  S3Store(S3Options options, std::string host, std::string path, std::shared_ptr<HttpClient> http);

  Result<HttpRequest> request_for(const Call& call, const Limits& limits) override;
  Result<std::string> put_once(const std::string& key, Body& body, const Condition& condition,
                               const Limits& limits);
  Result<std::string> put_parts(const std::string& key, Body& body, const Condition& condition,
                                const Limits& limits);
  Result<std::string> upload_part(const std::string& key, const std::string& upload, int number,
                                  std::string bytes, const Limits& limits);
  Result<std::string> complete(const std::string& key, Body& body, const std::string& upload,
                               const std::vector<std::string>& etags, const Condition& condition,
                               const Limits& limits);

  const S3Options options_;
  const std::string host_;  // "https://bucket.host"
  const std::string path_;  // "" or "/bucket"
  AwsCredentials credentials_;
};

}  // namespace calf::blob
