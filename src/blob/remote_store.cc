#include "blob/remote_store.h"

#include "blob/ranged_get.h"

namespace calf::blob {

Result<Answer> RemoteStore::perform(const Call& call, const Limits& limits) {
  return perform_with_retries(*http_, retry_, [&] { return request_for(call, limits); }, limits);
}

Result<ObjectInfo> RemoteStore::get(const std::string& key, ByteRange range, const Sink& sink,
                                    const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  const auto get_once = [&](const GetAttempt& attempt) -> Result<HttpResponse> {
    Call call{.method = "GET", .key = key, .sink = attempt.sink};
    if (const auto header = range_header(attempt.range))
      call.headers.emplace_back("range", *header);
    if (!attempt.if_match.empty()) call.headers.emplace_back("if-match", attempt.if_match);
    CALF_TRY(HttpRequest request, request_for(call, limits));
    request.head = attempt.head;
    return http_->perform(request, limits);
  };
  return resumable_get(describe(), key, range, retry_, get_once, sink, limits);
}

void RemoteStore::add_condition(const Condition& condition, Headers& headers) {
  if (condition.is_absent()) headers.emplace_back("if-none-match", "*");
  if (condition.is_match()) headers.emplace_back("if-match", condition.etag());
}

}  // namespace calf::blob
