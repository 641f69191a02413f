// A running PostgreSQL cluster: one data directory, its processes, one thread. The door of this
// module.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "postgres/client_socket.h"
#include "postgres/host_commands.h"
#include "postgres/slice_ticker.h"
#include "postgres/snapshot.h"
#include "vfs/file_system.h"

namespace calf::postgres {

// Any thread. Destroying a cluster that runs stops it as kImmediate does; an ephemeral one at once,
// its sessions see the connection closed.
class Cluster {
 public:
  struct Options {
    // PostgreSQL's own read-only files (installation.h), what /pglite is to the guest.
    std::shared_ptr<vfs::FileSystem> installation;
    // The data directory's files: a MemoryFileSystem or a DirectoryFileSystem that holds an
    // initialised cluster, which nobody else runs. Used by the cluster's thread alone from here on.
    std::shared_ptr<vfs::FileSystem> data;
    // Go on from here instead of booting, if not null. `data` must hold the snapshot's own files as
    // they are, and the snapshot must allow `settings`.
    std::shared_ptr<const Snapshot> snapshot;
    // Settings for this run, as with `postgres -c name=value`; later ones win.
    std::vector<std::pair<std::string, std::string>> settings;
    // What SQL may ask of the program; null: nothing.
    std::shared_ptr<HostCommands> commands;
    // What PostgreSQL may start on the host; nothing, unless somebody says so.
    HostProgramRights programs{};
    // A new cluster starts PostgreSQL's helpers (checkpointer, autovacuum, …) when it has been idle
    // for so long, ten times as long after its start at the latest, or when one is needed.
    int64_t helpers_idle_ns = 20'000'000;
    // Then the time before the first client, and while there is none, does not count.
    bool helpers_wait_for_clients = false;
    // Of a cluster that goes on from a snapshot: a client is sure to come soon, so its session is
    // made ready, as far as that is possible before it.
    bool expects_client = false;
    // Shared with the program's other clusters; null: a thread of its own.
    std::shared_ptr<TickThread> ticks;
    // Nothing of `data` survives this cluster, so that destroying it needs no orderly end.
    bool ephemeral = false;
    // A line of PostgreSQL's log, without its line feed. On the cluster's thread; must be quick.
    // Empty: nowhere.
    std::function<void(std::string_view)> log_sink;
  };
  enum class Shutdown { kSmart, kFast, kImmediate };

  // Starts the cluster and returns when it accepts connections; crash recovery, if it is needed,
  // has been done then. Errors: kInvalidArgument for a bad setting, kDataCorrupted, kIo;
  // PostgreSQL's own FATAL message is in the error.
  static Result<std::unique_ptr<Cluster>> start(Options options);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Hands a client over; its session ends when either side closes. Does not block.
  void connect(ClientConnection connection);
  // Clients that have a process now.
  [[nodiscard]] int sessions() const;

  // The program has become crowded (os::MappingBudget): the cluster gives mappings back soon, for
  // memory. Does not block.
  void spare_mappings();

  // The calling thread, which waits for an in-process client's answer, runs the cluster in place of
  // the cluster's own thread: until `done`, or until no process can run. False when it is run
  // already. An answer then costs no switch of threads.
  bool help(const std::function<bool()>& done);

  // Asks PostgreSQL to stop; does not wait. A sharper mode overtakes an earlier one.
  void request_shutdown(Shutdown mode);
  // Ends everything at once, as a power cut would; does not wait.
  void halt();
  // Blocks until the cluster has stopped or `timeout_ms` is over (kDeadlineExceeded). The error
  // says why it stopped if it was not asked to.
  Result<void> wait_stopped(int64_t timeout_ms);
  // Called once, on the cluster's thread, when the cluster has stopped.
  void set_stop_handler(std::function<void(Result<void>)> handler);

 private:
  struct Running;
  explicit Cluster(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace calf::postgres
