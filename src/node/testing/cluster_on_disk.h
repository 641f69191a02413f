// A real cluster on a simulated disk, for tests of what survives, and what must hold in it.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "client/session.h"
#include "os/testing/simulated_disk.h"
#include "postgres/cluster.h"

namespace calf::node::testing {

using client::Session;
using os::testing::SimulatedDisk;
using DiskPointer = std::shared_ptr<SimulatedDisk>;

// Where the data directory is on a simulated disk.
inline constexpr const char* kDataDirectory = "/data";

// A disk with a fresh data directory, all of it durable. Made once; each call gives a copy.
DiskPointer fresh_disk();

// Settings with which a cluster does nothing of its own accord: no timer writes anything.
std::vector<std::pair<std::string, std::string>> quiet_settings();

class ClusterOnDisk {
 public:
  using Settings = std::vector<std::pair<std::string, std::string>>;
  static Result<std::unique_ptr<ClusterOnDisk>> start(DiskPointer disk,
                                                      Settings settings = quiet_settings());
  ~ClusterOnDisk();

  Result<std::unique_ptr<client::Session>> connect(const std::string& database = "postgres");
  // A fast shutdown.
  Result<void> stop();
  // kDeadlineExceeded when it takes longer.
  Result<void> stop(postgres::Cluster::Shutdown mode, int64_t timeout_ms);
  [[nodiscard]] std::string log() const;
  [[nodiscard]] SimulatedDisk& disk() { return *disk_; }

 private:
  ClusterOnDisk() = default;
  DiskPointer disk_;
  struct Log {
    std::mutex mutex;
    std::string text;
  };
  std::shared_ptr<Log> log_ = std::make_shared<Log>();  // shared with the cluster's thread
  std::unique_ptr<postgres::Cluster> cluster_;
  std::unique_ptr<server::Engine> engine_;
};

// The first value that `sql` answers, "NULL" for NULL, or the error with its SQLSTATE.
std::string ask(client::Session& session, const std::string& sql);

// The SQLSTATE that `sql` ends with: "00000" when it succeeds, "08006" when the session is gone.
std::string state_of(client::Session& session, const std::string& sql);

// What amcheck finds wrong in this database: tables with their TOAST, B-trees with everything that
// the table holds, the catalogs' included; and whether all pages can be read. Empty: nothing.
std::string damage_in(client::Session& session);

}  // namespace calf::node::testing
