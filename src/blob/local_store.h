// An ObjectStore in a folder: one file an object, at its key. Several processes of one machine may
// use the folder at a time; conditions hold between them (flock, so not over every network file
// system). An object appears whole, by rename, after it was synced.
#pragma once

#include <filesystem>

#include "blob/object_store.h"
#include "os/files.h"

namespace calf::blob {

class LocalStore final : public ObjectStore {
 public:
  // Makes the folder when it is missing. kPermissionDenied, kIo.
  static Result<std::unique_ptr<LocalStore>> open(const std::filesystem::path& folder);

  Result<ObjectInfo> get(const std::string& key, ByteRange range, const Sink& sink,
                         const Limits& limits) override;
  Result<std::string> put(const std::string& key, Body& body, const Condition& condition,
                          const Limits& limits) override;
  Result<ListPage> list(const ListQuery& query, const Limits& limits) override;
  Result<void> remove(const std::string& key, const Limits& limits) override;
  [[nodiscard]] std::string describe() const override { return "folder " + folder_.string(); }

 private:
  explicit LocalStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  [[nodiscard]] std::filesystem::path path_of(const std::string& key) const;
  // Held by whoever changes names; released when the descriptor is closed.
  Result<os::FileDescriptor> lock(const Limits& limits) const;
  Result<std::string> publish(const std::filesystem::path& fresh, const std::string& key,
                              const Condition& condition, const Limits& limits);

  std::filesystem::path folder_;
};

}  // namespace calf::blob
