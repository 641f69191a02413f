// The SQLite engine's link to an archive: ships what its sessions commit, or brings what another
// server committed.
#pragma once

#include <filesystem>
#include <memory>

#include "blob/limits.h"
#include "cli/engine_factory.h"
#include "sqlite/database.h"

namespace calf::node {

// Any thread, but for the destructor: sessions' connections are closed before.
class ArchiveLink : public sqlite::CommitObserver {
 public:
  // Brings `file` to the archive's newest state. `observer` hears of a restore and can end it; may
  // be empty. Blocks, also for another writer's lease. Errors: archive::Archiver::open,
  // archive::Follower::open.
  static Result<std::unique_ptr<ArchiveLink>> open(const cli::StorageOptions& storage,
                                                   const std::filesystem::path& file,
                                                   const cli::WorkObserver& observer);

  // The file came from the archive, just now.
  [[nodiscard]] virtual bool restored() const = 0;

  // Commits that wait for the store fail at once.
  virtual void end_waits() = 0;

  // Brings everything to the store and lets others write. No commits afterwards.
  virtual Result<void> close(const blob::Limits& limits) = 0;
};

// `engine`, which has `link` for its observer, and is closed before it.
std::unique_ptr<server::Engine> archived_engine(std::unique_ptr<ArchiveLink> link,
                                                std::unique_ptr<server::Engine> engine);

}  // namespace calf::node
