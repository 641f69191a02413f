#include "blob/memory_store.h"

#include "blob/store_errors.h"

namespace calf::blob {

Result<ObjectInfo> MemoryStore::get(const std::string& key, ByteRange range, const Sink& sink,
                                    const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  CALF_CHECK_OK(limits.check("reading " + key));
  Object object;
  {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    if (found == objects_.end()) return not_found(describe(), key);
    object = found->second;
  }
  if (range.offset > object.bytes.size()) return past_the_end(key);
  const std::string_view part =
      std::string_view(object.bytes).substr(range.offset, range.length.value_or(std::string::npos));
  if (!part.empty()) CALF_CHECK_OK(sink(part));
  return ObjectInfo{.key = key, .size_bytes = object.bytes.size(), .etag = object.etag};
}

Result<std::string> MemoryStore::put(const std::string& key, Body& body, const Condition& condition,
                                     const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  CALF_CHECK_OK(limits.check("writing " + key));
  CALF_TRY(std::string bytes, read_part(body, 0, body.size_bytes()));
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  const bool present = found != objects_.end();
  if ((condition.is_absent() && present) ||
      (condition.is_match() && (!present || found->second.etag != condition.etag()))) {
    return condition_failed(describe(), key);
  }
  std::string etag = std::to_string(++puts_);
  objects_.insert_or_assign(key, Object{std::move(bytes), etag});
  return etag;
}

Result<ListPage> MemoryStore::list(const ListQuery& query, const Limits& limits) {
  CALF_CHECK_OK(limits.check("listing " + query.prefix));
  const std::lock_guard lock(mutex_);
  ListPage page;
  auto at = query.start_after < query.prefix ? objects_.lower_bound(query.prefix)
                                             : objects_.upper_bound(query.start_after);
  for (; at != objects_.end() && at->first.starts_with(query.prefix); ++at) {
    if (page.objects.size() == query.limit) {
      page.more = true;
      break;
    }
    page.objects.push_back(
        {.key = at->first, .size_bytes = at->second.bytes.size(), .etag = at->second.etag});
  }
  return page;
}

Result<void> MemoryStore::remove(const std::string& key, const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  CALF_CHECK_OK(limits.check("deleting " + key));
  const std::lock_guard lock(mutex_);
  objects_.erase(key);
  return {};
}

}  // namespace calf::blob
