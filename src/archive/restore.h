// Makes a database file of an archive: the newest base, then segment after segment.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "archive/chain.h"
#include "os/files.h"

namespace calf::archive {

struct RestoreProgress {
  std::uint64_t bytes = 0;        // of objects read
  std::uint64_t total_bytes = 0;  // about, and at most; 0: not known
  std::uint64_t segments = 0;
  std::int64_t time_ms = 0;  // of the state so far
};

struct RestoreOptions {
  std::optional<std::int64_t> at_ms{};  // since 1970; nothing: the end
  std::function<void(const RestoreProgress&)> progress{};
};

// A database file that follows a chain; not open in SQLite meanwhile. One thread at a time.
class Replay {
 public:
  // Writes the newest suitable base to `file`, which becomes new. kNotFound when the archive has
  // nothing (or nothing so old).
  static Result<Replay> begin(blob::ObjectStore& store, const std::filesystem::path& file,
                              const RestoreOptions& options, const blob::Limits& limits);

  // Applies what there is after it; true when anything was. The file is whole and synced
  // afterwards. kDataCorrupted, kNotFound when segments that are needed were deleted.
  Result<bool> advance(blob::ObjectStore& store, const blob::Limits& limits);

  // Of the last complete group; nothing before the first.
  [[nodiscard]] const std::optional<PageSetHeader>& state() const { return state_; }
  [[nodiscard]] const RestoreProgress& progress() const { return progress_; }

 private:
  Replay(std::filesystem::path path, os::FileDescriptor file, RestoreOptions options)
      : path_(std::move(path)), file_(std::move(file)), options_(std::move(options)) {}
  Result<void> load_base(blob::ObjectStore& store, Position base, const blob::Limits& limits);
  Result<bool> apply_group(blob::ObjectStore& store, ReadAhead& segments, const Link& first,
                           Position at, const blob::Limits& limits, bool& ended);
  Result<void> apply(const Link& link);
  Result<void> settle(const PageSetHeader& header);

  std::filesystem::path path_;
  os::FileDescriptor file_;
  RestoreOptions options_;
  Position at_{};
  std::optional<PageSetHeader> state_;
  RestoreProgress progress_;
};

// The database at `file`, which must not exist: it appears when it is complete. Gives the header of
// the restored state. kAlreadyExists, kNotFound, kDataCorrupted.
Result<PageSetHeader> restore(blob::ObjectStore& store, const std::filesystem::path& file,
                              const RestoreOptions& options, const blob::Limits& limits);

}  // namespace calf::archive
