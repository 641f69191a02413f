// A get over HTTP that goes on where it broke off, and the check whether an uncertain conditional
// put was ours: what S3 and Azure share. Internal to this module.
#pragma once

#include <optional>

#include "blob/http_retry.h"
#include "blob/object_store.h"

namespace calf::blob {

// One attempt at a GET. `if_match` may be empty.
struct GetAttempt {
  ByteRange range{};
  std::string if_match{};
  Sink sink{};
  std::function<void(const HttpResponse&)> head{};
};
using GetOnce = std::function<Result<HttpResponse>(const GetAttempt&)>;

Result<ObjectInfo> resumable_get(const std::string& store, const std::string& key, ByteRange range,
                                 const RetryPolicy& policy, const GetOnce& get_once,
                                 const Sink& sink, const Limits& limits);

// "bytes=3-9"; nothing for the whole.
std::optional<std::string> range_header(ByteRange range);

// After a refused conditional put that may have happened before: the ETag if the object has exactly
// these bytes, else kPreconditionFailed.
Result<std::string> etag_if_same(ObjectStore& store, const std::string& key, Body& body,
                                 const Limits& limits);

}  // namespace calf::blob
