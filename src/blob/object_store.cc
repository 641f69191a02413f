#include "blob/object_store.h"

#include <algorithm>

namespace calf::blob {
namespace {

bool is_key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool is_key_part(std::string_view part) {
  return !part.empty() && part != "." && part != ".." && !part.starts_with(".calf") &&
         std::all_of(part.begin(), part.end(), is_key_character);
}

}  // namespace

Result<void> check_key(std::string_view key) {
  const auto refuse = [&] {
    return fail(ErrorCode::kInvalidArgument,
                "\"" + std::string(key.substr(0, 100)) + "\" is not a key of an object");
  };
  if (key.empty() || key.size() > ObjectStore::kMaxKeyBytes) return refuse();
  for (std::size_t begin = 0; begin <= key.size();) {
    const std::size_t end = std::min(key.find('/', begin), key.size());
    if (!is_key_part(key.substr(begin, end - begin))) return refuse();
    begin = end + 1;
  }
  return {};
}

Result<Fetched> fetch(ObjectStore& store, const std::string& key, std::size_t max_bytes,
                      const Limits& limits) {
  Fetched fetched;
  const Sink collect = [&](std::string_view chunk) -> Result<void> {
    if (chunk.size() > max_bytes - fetched.bytes.size()) {
      return fail(ErrorCode::kResourceExhausted,
                  key + " is larger than " + std::to_string(max_bytes) + " bytes");
    }
    fetched.bytes.append(chunk);
    return {};
  };
  CALF_TRY(fetched.info, store.get(key, {}, collect, limits));
  return fetched;
}

Result<std::string> put_bytes(ObjectStore& store, const std::string& key, std::string_view bytes,
                              const Condition& condition, const Limits& limits) {
  MemoryBody body(bytes);
  return store.put(key, body, condition, limits);
}

Result<void> list_all(ObjectStore& store, const ListQuery& query,
                      const std::function<Result<void>(const ObjectInfo&)>& each,
                      const Limits& limits) {
  ListQuery next = query;
  while (true) {
    CALF_TRY(const ListPage page, store.list(next, limits));
    for (const ObjectInfo& object : page.objects) CALF_CHECK_OK(each(object));
    if (!page.more || page.objects.empty()) return {};
    next.start_after = page.objects.back().key;
  }
}

}  // namespace calf::blob
