// A cluster and its branches: clusters that began with a copy of its files, by name. The door of
// this module.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "branches/branch_point.h"
#include "branches/storage.h"
#include "postgres/cluster.h"

namespace calf::branches {

// Any thread. A branch has files from its creation on, and a running cluster only while somebody
// uses it: it wakes with the first client, and sleeps after a while without one.
class Branches {
 public:
  struct Options {
    std::shared_ptr<vfs::FileSystem> data;               // of the server's own cluster
    std::shared_ptr<const postgres::Snapshot> snapshot;  // which it goes on from; or null
    std::unique_ptr<Storage> storage;
    LogSink log_sink;
    // Both are called on threads of this object, and outlive it.
    Starter start_root, start_branch;
    Recorder record;
  };

  // Starts the server's own cluster; errors are Cluster::start()'s.
  static Result<std::unique_ptr<Branches>> start(Options options);
  // Stops everything at once.
  ~Branches();
  Branches(const Branches&) = delete;
  Branches& operator=(const Branches&) = delete;

  // Hands a client to the branch that its startup packet names, or to the server's own cluster.
  // Does not block.
  void connect(postgres::ClientConnection connection);
  // Hands a cancel request to every cluster that runs: the keys are different, and only PostgreSQL
  // knows them.
  void cancel(const std::vector<std::byte>& packet, std::unique_ptr<net::Transport> transport);

  // The server's own cluster.
  [[nodiscard]] postgres::Cluster& root() { return *root_; }
  // Calls `use` with the files of a branch that nobody has connected to since it was made, as a
  // crash would have left them. Whoever connects meanwhile waits. kNotFound; kUnavailable when
  // somebody has used it; the error of `use`. Blocks.
  using FilesUser = std::function<Result<void>(vfs::FileSystem& files)>;
  Result<void> use_files(const std::string& name, const FilesUser& use);
  // Ends all branches; what is kept of them is on the disk then. No client reaches one afterwards.
  void stop_branches();

 private:
  struct Branch;
  class Commands;
  struct Started;
  struct Spare;
  using Answer = postgres::CommandAnswer;

  explicit Branches(Options options);
  void adopt_kept();

  // --- Commands (commands.cc). `asking`: the branch whose SQL asks; null: the server's own
  // cluster.
  using Preparation = postgres::HostCommands::Preparation;
  Preparation preparation(Branch* asking, const postgres::HostCommand& command);
  Answer run(Branch* asking, const postgres::HostCommand& command);
  Answer create(Branch* asking, const postgres::HostCommand& command);
  Answer reset(Branch* asking, const postgres::HostCommand& command);
  Answer drop(Branch* asking, const postgres::HostCommand& command);
  [[nodiscard]] bool must_wait(std::string_view name) const;
  Answer await(const postgres::HostCommand& command);
  Answer promote(Branch* asking, const postgres::HostCommand& command);
  Answer list();
  Answer wake_ahead(const postgres::HostCommand& command);
  Result<std::shared_ptr<BranchPoint>> point_of(Branch* asking, const std::string& name,
                                                const postgres::HostCommand& command);
  [[nodiscard]] Branch* find(const std::string& name);
  [[nodiscard]] bool has_branches(const std::string& name) const;
  [[nodiscard]] std::shared_ptr<BranchPoint>& current_point(Branch* cluster);

  // --- Jobs of the workers
  void work();
  enum class Order { kLast, kFirst };
  void post(std::function<void()> job, Order order = Order::kLast);
  void start_workers();
  void wake(const std::shared_ptr<Branch>& branch);
  void welcome(const std::shared_ptr<Branch>& branch, Result<Started> started);
  [[nodiscard]] bool may_wake_ahead() const;
  void wake_next_ahead(std::unique_lock<std::mutex>& lock);
  Result<Started> start_cluster(const std::shared_ptr<Branch>& branch);
  [[nodiscard]] Started prepare_start();
  enum class For { kClient, kLater };
  Result<void> start(Started& started, std::shared_ptr<const postgres::Snapshot> snapshot,
                     For whom);
  void take_over(Branch& branch, Started started);
  void record(const Branch& branch, BranchPoint& point);
  void rest(const std::shared_ptr<Branch>& branch);
  void lay_down(const std::shared_ptr<Branch>& branch);
  uint64_t end(const std::shared_ptr<Branch>& branch);
  uint64_t settle(const std::string& name);
  void write_out(const std::shared_ptr<Branch>& branch, const std::string& path);
  Result<std::shared_ptr<vfs::FileSystem>> files_of(const std::shared_ptr<Branch>& branch);
  void bury(const std::shared_ptr<Branch>& branch);
  void clients_are_gone(uint64_t number);
  void finish(uint64_t number, const Result<void>& result);
  void put_idle_to_sleep();

  // --- Clusters that are started ahead (spares.cc). With the lock.
  std::deque<Spare>::iterator spare_for(const BranchPoint* point);
  bool adopt_spare(const std::shared_ptr<Branch>& branch);
  bool claim_spare(const std::shared_ptr<Branch>& branch);
  static void give_to(const std::shared_ptr<Branch>& branch, Started& started);
  void want_spare(const std::shared_ptr<BranchPoint>& point);
  void drop_old_spares();
  void make_spare(const std::shared_ptr<BranchPoint>& point);  // without it
  void spare_mappings_if_crowded();

  Options options_;
  std::shared_ptr<Storage> storage_;
  std::unique_ptr<postgres::Cluster> root_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Branch>, std::less<>> branches_;
  // Work that SQL waits for, by a number: ends of dropped branches, and new ones that are not safe
  // on the disk yet; with the name, and then the error.
  struct Work {
    std::string name;
    bool is_end = false;
    bool is_awaited = true;
  };
  std::map<uint64_t, Work> running_;
  std::map<uint64_t, Error> failed_;
  uint64_t next_number_ = 1;
  std::shared_ptr<BranchPoint> root_point_;  // the newest of the server's own cluster
  std::deque<std::function<void()>> jobs_;
  std::deque<std::shared_ptr<Branch>> ahead_;  // to be woken when there is nothing else to do
  bool is_waking_ahead_ = false;
  std::deque<Spare> spares_;  // at most one for a point
  bool stopping_ = false;
  bool was_crowded_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace calf::branches
