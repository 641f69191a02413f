// One state of a cluster's files, and all that begins there: any number of branches.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "branches/branch_log.h"
#include "branches/storage.h"
#include "postgres/cluster.h"

namespace calf::branches {

// How a cluster is started, by whoever knows the installation and the settings.
struct StartOptions {
  bool is_branch = true;
  bool expects_client = false;  // see postgres::Cluster::Options
  LogSink log_sink;
  std::shared_ptr<vfs::FileSystem> data;
  std::shared_ptr<const postgres::Snapshot> snapshot;  // null: it boots
  std::shared_ptr<postgres::HostCommands> commands;
};
using Starter = std::function<Result<std::unique_ptr<postgres::Cluster>>(StartOptions)>;
// Records the state of a cluster that was shut down properly. See postgres::record_snapshot.
using Recorder = std::function<Result<std::shared_ptr<const postgres::Snapshot>>(
    std::shared_ptr<vfs::FileSystem> data, std::string database)>;

// Any thread. The first branch that starts here boots, with recovery, like any cluster that was not
// shut down; when there is a second one the booted state is recorded, and the others go on from
// that.
class BranchPoint {
 public:
  // `files` are not used by anybody else from here on. `database`: what sessions will want.
  BranchPoint(std::shared_ptr<Storage> storage, std::shared_ptr<vfs::FileSystem> files,
              uint64_t written_to, std::string database)
      : storage_(std::move(storage)),
        files_(std::move(files)),
        written_to_(written_to),
        database_(std::move(database)) {}

  // See postgres::HostCommand.
  [[nodiscard]] uint64_t written_to() const { return written_to_; }

  [[nodiscard]] const std::string& database() const { return database_; }

  struct Beginning {
    std::shared_ptr<vfs::FileSystem> files;
    std::shared_ptr<const postgres::Snapshot> snapshot;  // null: boot
    bool should_record = false;                          // call record() soon, once
  };
  // What the next branch begins with.
  Result<Beginning> begin();
  // The same for somebody who only reads them.
  Result<std::shared_ptr<vfs::FileSystem>> files();
  // Blocks for some 100 ms. An error only means that branches go on booting.
  Result<void> record(LogSink log_sink, const Starter& start, const Recorder& record);
  // Do branches that begin here go on from a recording?
  [[nodiscard]] bool is_recorded();

 private:
  std::shared_ptr<Storage> storage_;
  std::shared_ptr<vfs::FileSystem> files_;
  const uint64_t written_to_;
  const std::string database_;

  std::mutex mutex_;
  int begun_ = 0;
  std::shared_ptr<vfs::FileSystem> recorded_files_;
  std::shared_ptr<const postgres::Snapshot> recorded_;
};

}  // namespace calf::branches
