// An ObjectStore in memory, for tests and models. Everything is gone with it.
#pragma once

#include <map>
#include <mutex>

#include "blob/object_store.h"

namespace calf::blob {

class MemoryStore final : public ObjectStore {
 public:
  Result<ObjectInfo> get(const std::string& key, ByteRange range, const Sink& sink,
                         const Limits& limits) override;
  Result<std::string> put(const std::string& key, Body& body, const Condition& condition,
                          const Limits& limits) override;
  Result<ListPage> list(const ListQuery& query, const Limits& limits) override;
  Result<void> remove(const std::string& key, const Limits& limits) override;
  [[nodiscard]] std::string describe() const override { return "memory"; }

 private:
  struct Object {
    std::string bytes{};
    std::string etag{};
  };
  std::mutex mutex_;
  std::map<std::string, Object, std::less<>> objects_;
  std::uint64_t puts_ = 0;
};

}  // namespace calf::blob
