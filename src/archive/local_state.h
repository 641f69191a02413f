// What this machine knows about the database file that it archives: FILE-calf, a small JSON file
// beside it, locked while an archiver runs.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "blob/host_file.h"

namespace calf::archive {

class LocalState {
 public:
  // Makes it when it is missing. kUnavailable when another archiver runs on the same file.
  static Result<LocalState> open(const std::filesystem::path& database);

  // Random, the same for ever: tells this place from others.
  [[nodiscard]] const std::string& owner() const { return owner_; }
  // True when the last epoch that wrote the archive wrote from this very file.
  [[nodiscard]] bool is_current(const std::array<char, 16>& archive_id, std::uint64_t epoch) const;

  // True when this file was the archive's at some time, though perhaps not its newest state.
  [[nodiscard]] bool is_of_archive(const std::array<char, 16>& archive_id) const;

  // Durable when it returns. `epochs`: whose last segment this file has.
  Result<void> save(const std::array<char, 16>& archive_id, std::vector<std::uint64_t> epochs);

 private:
  LocalState(std::filesystem::path path, os::FileDescriptor lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  Result<void> load();
  Result<void> write() const;

  std::filesystem::path path_;
  os::FileDescriptor lock_;
  std::string owner_{};
  std::string archive_id_{};
  std::vector<std::uint64_t> epochs_{};
};

}  // namespace calf::archive
