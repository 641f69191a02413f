// What stores behind HTTP share: requests with retries, gets that go on where they broke off,
// conditions as headers. Who derives says how a call becomes a request, signed. Internal to this
// module.
#pragma once

#include <memory>

#include "blob/encoding.h"
#include "blob/http_retry.h"
#include "blob/object_store.h"

namespace calf::blob {

class RemoteStore : public ObjectStore {
 public:
  Result<ObjectInfo> get(const std::string& key, ByteRange range, const Sink& sink,
                         const Limits& limits) final;

 protected:
  struct Call {
    std::string method{};
    std::string key{};  // without the prefix; empty: the bucket or container
    Query query{};
    Headers headers{};
    std::string body{};
    Sink sink{};
  };

  RemoteStore(std::shared_ptr<HttpClient> http, const RetryPolicy& retry)
      : http_(std::move(http)), retry_(retry) {}

  // Made anew for every attempt: signatures have a time.
  virtual Result<HttpRequest> request_for(const Call& call, const Limits& limits) = 0;

  Result<Answer> perform(const Call& call, const Limits& limits);
  static void add_condition(const Condition& condition, Headers& headers);

  const std::shared_ptr<HttpClient> http_;

 private:
  const RetryPolicy retry_;
};

}  // namespace calf::blob
