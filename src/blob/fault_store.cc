#include "blob/fault_store.h"

namespace calf::blob {

bool FaultStore::hits(double share) {
  const std::lock_guard lock(mutex_);
  const bool hit = std::uniform_real_distribution<double>(0, 1)(dice_) < share;
  if (hit) ++faults_;
  return hit;
}

Result<void> FaultStore::on_the_way(std::string_view what, const Limits& limits) {
  CALF_CHECK_OK(limits.check(what));
  if (offline_) return fail(ErrorCode::kUnavailable, std::string(what) + ": no route to host");
  if (hits(plan_.refused)) {
    return fail(ErrorCode::kUnavailable, std::string(what) + ": status 503, slow down");
  }
  if (hits(plan_.timed_out)) {
    return fail(ErrorCode::kDeadlineExceeded, std::string(what) + ": out of time");
  }
  return {};
}

Result<void> FaultStore::on_the_way_back(std::string_view what) {
  if (hits(plan_.lost_acknowledgement)) {
    return fail(ErrorCode::kDeadlineExceeded, std::string(what) + ": no answer came");
  }
  return {};
}

Result<ObjectInfo> FaultStore::get(const std::string& key, ByteRange range, const Sink& sink,
                                   const Limits& limits) {
  const std::string what = "reading " + key;
  CALF_CHECK_OK(on_the_way(what, limits));
  const bool broken = hits(plan_.partial_read);
  const Sink cutting = [&](std::string_view chunk) -> Result<void> {
    if (!broken) return sink(chunk);
    CALF_CHECK_OK(sink(chunk.substr(0, chunk.size() / 2)));
    return fail(ErrorCode::kUnavailable, what + ": connection reset by peer");
  };
  return inner_.get(key, range, cutting, limits);
}

Result<std::string> FaultStore::put(const std::string& key, Body& body, const Condition& condition,
                                    const Limits& limits) {
  const std::string what = "writing " + key;
  CALF_CHECK_OK(on_the_way(what, limits));
  CALF_TRY(std::string etag, inner_.put(key, body, condition, limits));
  CALF_CHECK_OK(on_the_way_back(what));
  return etag;
}

Result<ListPage> FaultStore::list(const ListQuery& query, const Limits& limits) {
  CALF_CHECK_OK(on_the_way("listing " + query.prefix, limits));
  return inner_.list(query, limits);
}

Result<void> FaultStore::remove(const std::string& key, const Limits& limits) {
  const std::string what = "deleting " + key;
  CALF_CHECK_OK(on_the_way(what, limits));
  CALF_CHECK_OK(inner_.remove(key, limits));
  return on_the_way_back(what);
}

}  // namespace calf::blob
