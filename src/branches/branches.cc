#include "branches/branches.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "branches/branch.h"
#include "branches/branch_name.h"
#include "net/memory_pipe.h"
#include "os/mapping_budget.h"
#include "vfs/tree_copy.h"

namespace calf::branches {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkers = 2;
constexpr auto kLookAtIdleEvery = 1s;
constexpr auto kIdleFor = 30s;  // without a client, before a branch goes to sleep
constexpr auto kSettled = 2s;   // a client that was just handed over may not have a process yet
// Of those that have no client, the ones that were used last stay awake: to sleep and to wake are
// dear beside a test. In memory, where most go on from a recording, each keeps about a megabyte.
constexpr size_t kMostIdle = 32;
constexpr size_t kMostIdleInMemory = 300;
constexpr size_t kMostIdleWhenFull = 16;
constexpr int64_t kStopMs = 10'000;

}  // namespace

Branches::Branches(Options options)
    : options_(std::move(options)), storage_(std::move(options_.storage)) {}

Result<std::unique_ptr<Branches>> Branches::start(Options options) {
  std::unique_ptr<Branches> branches(new Branches(std::move(options)));
  branches->adopt_kept();
  CALF_TRY(branches->root_, branches->options_.start_root({.is_branch = false,
                                                           .expects_client = true,
                                                           .log_sink = branches->options_.log_sink,
                                                           .data = branches->options_.data,
                                                           .snapshot = branches->options_.snapshot,
                                                           .commands = std::make_shared<Commands>(
                                                               *branches, Commands::Of::kRoot)}));
  return branches;
}

Branches::~Branches() {
  stop_branches();
  root_.reset();  // its SQL asks this object
}

void Branches::adopt_kept() {
  for (const Storage::Kept& one : storage_->kept()) {
    auto branch = std::make_shared<Branch>(one.name, one.parent);
    branch->created_at_us = one.created_at_us;
    branches_.emplace(one.name, std::move(branch));
  }
}

Branches::Branch* Branches::find(const std::string& name) {
  auto it = branches_.find(name);
  return it == branches_.end() ? nullptr : it->second.get();
}

bool Branches::has_branches(const std::string& name) const {
  return std::any_of(branches_.begin(), branches_.end(),
                     [&](const auto& entry) { return entry.second->parent == name; });
}

std::shared_ptr<BranchPoint>& Branches::current_point(Branch* cluster) {
  return cluster == nullptr ? root_point_ : cluster->own_point;
}

// --- Clients

void Branches::connect(postgres::ClientConnection connection) {
  auto wish = find_wish(connection.startup_packet);
  std::unique_lock lock(mutex_);
  const auto it = wish && !stopping_ ? branches_.find(wish->branch) : branches_.end();
  if (it == branches_.end()) {
    // PostgreSQL itself says that there is no such database, and not to everybody.
    lock.unlock();
    root_->connect(std::move(connection));
    return;
  }
  const std::shared_ptr<Branch>& branch = it->second;
  connection.startup_packet = std::move(wish->packet);
  branch->last_used = Branch::Clock::now();
  branch->used = true;
  if (branch->state == Branch::State::kAwake) {
    branch->cluster->connect(std::move(connection));
    return;
  }
  if (branch->state == Branch::State::kAsleep && adopt_spare(branch)) {
    branch->cluster->connect(std::move(connection));
    return;
  }
  branch->waiting.push_back(std::move(connection));
  if (branch->state != Branch::State::kAsleep) return;
  branch->state = Branch::State::kWaking;
  if (!claim_spare(branch)) post([this, branch] { wake(branch); }, Order::kFirst);
}

void Branches::cancel(const std::vector<std::byte>& packet,
                      std::unique_ptr<net::Transport> transport) {
  std::lock_guard lock(mutex_);
  auto send = [&packet](postgres::Cluster& cluster, std::unique_ptr<net::Transport> client) {
    if (client == nullptr) client = std::move(net::MemoryPipe::create().engine_end);
    cluster.connect({.transport = std::move(client), .startup_packet = packet});
  };
  for (const auto& [name, branch] : branches_) {
    if (branch->state == Branch::State::kAwake) send(*branch->cluster, nullptr);
  }
  send(*root_, std::move(transport));
}

// --- Workers

// With the lock. What is still to do when the program ends is not done.
void Branches::post(std::function<void()> job, Order order) {
  if (stopping_) return;
  start_workers();
  jobs_.insert(order == Order::kFirst ? jobs_.begin() : jobs_.end(), std::move(job));
  changed_.notify_one();
}

void Branches::start_workers() {
  while (workers_.size() < kWorkers) workers_.emplace_back([this] { work(); });
}

void Branches::work() {
  std::unique_lock lock(mutex_);
  auto look_at = Branch::Clock::now() + kLookAtIdleEvery;
  for (;;) {
    changed_.wait_until(lock, look_at,
                        [this] { return stopping_ || !jobs_.empty() || may_wake_ahead(); });
    if (stopping_ && jobs_.empty()) return;
    if (!jobs_.empty()) {
      const std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    } else if (may_wake_ahead()) {
      wake_next_ahead(lock);
    }
    if (Branch::Clock::now() >= look_at) {
      put_idle_to_sleep();
      look_at = Branch::Clock::now() + kLookAtIdleEvery;
    }
  }
}

// One at a time: a worker is left for whoever waits for something.
bool Branches::may_wake_ahead() const {
  return !ahead_.empty() && !is_waking_ahead_ && !stopping_;
}

void Branches::wake_next_ahead(std::unique_lock<std::mutex>& lock) {
  const std::shared_ptr<Branch> branch = std::move(ahead_.front());
  ahead_.pop_front();
  if (branch->dropped || branch->state != Branch::State::kAsleep ||
      os::MappingBudget::of_program().is_filling())
    return;
  if (adopt_spare(branch)) return;
  branch->state = Branch::State::kWaking;
  branch->last_used = Branch::Clock::now();
  is_waking_ahead_ = true;
  lock.unlock();
  wake(branch);
  lock.lock();
  is_waking_ahead_ = false;
  changed_.notify_one();
}

// Starts the cluster of a branch that is kWaking.
void Branches::wake(const std::shared_ptr<Branch>& branch) {
  welcome(branch, start_cluster(branch));
}

// Hands over who waits for it.
void Branches::welcome(const std::shared_ptr<Branch>& branch, Result<Started> started) {
  std::deque<postgres::ClientConnection> refused;
  std::unique_lock lock(mutex_);
  if (started && !branch->dropped) {
    take_over(*branch, std::move(*started));
    if (branch->point != nullptr) want_spare(branch->point);
    for (auto& connection : branch->waiting) branch->cluster->connect(std::move(connection));
    branch->waiting.clear();
    spare_mappings_if_crowded();
    return;
  }
  refused.swap(branch->waiting);
  branch->state = Branch::State::kAsleep;
  const bool dropped = branch->dropped;
  lock.unlock();
  if (!started)
    log::error("branch {} did not start: {}", branch->name, started.error().to_string());
  const Error error =
      started ? Error{.code = ErrorCode::kCancelled, .message = "the branch was dropped"}
              : started.error();
  // They are closed in any case.
  for (auto& connection : refused)
    (void)connection.transport->write_some(postgres::encode_refusal(error));
  if (started) started->cluster.reset();
  if (dropped) bury(branch);
}

// With the lock. The branch is awake from here on.
void Branches::take_over(Branch& branch, Started started) {
  branch.state = Branch::State::kAwake;
  branch.last_used = Branch::Clock::now();
  branch.files = std::move(started.files);
  branch.cluster = std::move(started.cluster);
}

// With the lock. When the program becomes crowded, every cluster that runs hears it once.
void Branches::spare_mappings_if_crowded() {
  const bool is_crowded = os::MappingBudget::of_program().is_crowded();
  if (is_crowded == std::exchange(was_crowded_, is_crowded) || !is_crowded) return;
  root_->spare_mappings();
  for (const auto& [name, branch] : branches_) {
    if (branch->state == Branch::State::kAwake) branch->cluster->spare_mappings();
  }
}

Result<Branches::Started> Branches::start_cluster(const std::shared_ptr<Branch>& branch) {
  Started started = prepare_start();
  started.log->set_name(branch->name);
  std::shared_ptr<BranchPoint> point;
  {
    std::lock_guard lock(mutex_);
    started.commands->belong_to(branch);
    started.files = branch->files;
    point = branch->point;
  }
  std::shared_ptr<const postgres::Snapshot> snapshot;
  if (started.files == nullptr && point == nullptr) {
    CALF_TRY(started.files, storage_->open(branch->name));
    std::lock_guard lock(mutex_);
    branch->files = started.files;
  } else if (started.files == nullptr) {
    CALF_TRY(auto beginning, point->begin());
    started.files = std::move(beginning.files);
    snapshot = std::move(beginning.snapshot);
    std::lock_guard lock(mutex_);
    branch->files = started.files;
    if (beginning.should_record) post([this, branch, point] { record(*branch, *point); });
  }
  CALF_CHECK_OK(start(started, std::move(snapshot), For::kClient));
  return started;
}

Branches::Started Branches::prepare_start() {
  return {.files = nullptr,
          .log = std::make_shared<BranchLog>(options_.log_sink),
          .commands = std::make_shared<Commands>(*this, Commands::Of::kBranch),
          .cluster = nullptr};
}

// With everything but the cluster in `started`.
Result<void> Branches::start(Started& started, std::shared_ptr<const postgres::Snapshot> snapshot,
                             For whom) {
  CALF_TRY(started.cluster,
           options_.start_branch({.expects_client = whom == For::kLater,
                                  .log_sink = [log = started.log](auto line) { log->write(line); },
                                  .data = started.files,
                                  .snapshot = std::move(snapshot),
                                  .commands = started.commands}));
  return {};
}

void Branches::record(const Branch& branch, BranchPoint& point) {
  auto log = std::make_shared<BranchLog>(options_.log_sink);
  log->set_name(branch.name);
  auto recorded =
      point.record([log](auto line) { log->write(line); }, options_.start_branch, options_.record);
  if (!recorded) log::debug("branches go on booting: {}", recorded.error().to_string());
}

// Its files are whole on their own afterwards, or begin again where they began: nobody has used
// them.
void Branches::rest(const std::shared_ptr<Branch>& branch) {
  std::unique_ptr<postgres::Cluster> cluster;
  bool begins_again = false;
  {
    std::lock_guard lock(mutex_);
    cluster.swap(branch->cluster);
    begins_again = !branch->used && storage_->clones_are_free();
    if (begins_again) branch->files.reset();
  }
  if (!begins_again) {
    cluster->request_shutdown(postgres::Cluster::Shutdown::kFast);
    if (auto stopped = cluster->wait_stopped(kStopMs); !stopped)
      log::warn("branch {} did not stop in order: {}", branch->name, stopped.error().to_string());
  }
  cluster.reset();  // before it starts anew on the same files
  lay_down(branch);
}

// A worker, or use_files(), has it in hand no longer; its cluster does not run.
void Branches::lay_down(const std::shared_ptr<Branch>& branch) {
  std::unique_lock lock(mutex_);
  if (branch->dropped) {
    lock.unlock();
    bury(branch);
    return;
  }
  branch->state = Branch::State::kAsleep;
  if (branch->waiting.empty()) return;
  branch->state = Branch::State::kWaking;
  post([this, branch] { wake(branch); }, Order::kFirst);
}

Result<void> Branches::use_files(const std::string& name, const FilesUser& use) {
  std::shared_ptr<Branch> branch;
  {
    const std::lock_guard lock(mutex_);
    const auto it = branches_.find(name);
    if (it == branches_.end() || stopping_)
      return fail(ErrorCode::kNotFound, "branch \"" + name + "\" does not exist");
    branch = it->second;
    if (branch->state != Branch::State::kAsleep || branch->files != nullptr)
      return fail(ErrorCode::kUnavailable, "branch \"" + name + "\" has been used");
    branch->state = Branch::State::kGoingToSleep;
  }
  auto used = [&]() -> Result<void> {
    CALF_TRY(const auto files, files_of(branch));
    return use(*files);
  }();
  lay_down(branch);
  return used;
}

void Branches::put_idle_to_sleep() {
  const auto now = Branch::Clock::now();
  std::vector<std::shared_ptr<Branch>> idle;
  for (const auto& [name, branch] : branches_) {
    if (branch->state != Branch::State::kAwake) continue;
    if (branch->cluster->sessions() > 0) branch->last_used = now;
    if (now - branch->last_used > kSettled) idle.push_back(branch);
  }
  std::sort(idle.begin(), idle.end(),
            [](const auto& a, const auto& b) { return a->last_used > b->last_used; });
  drop_old_spares();
  size_t most_idle = storage_->clones_are_free() ? kMostIdleInMemory : kMostIdle;
  if (os::MappingBudget::of_program().is_nearly_full()) most_idle = kMostIdleWhenFull;
  for (size_t i = 0; i < idle.size(); ++i) {
    if (i < most_idle && now - idle[i]->last_used < kIdleFor) continue;
    idle[i]->state = Branch::State::kGoingToSleep;
    post([this, branch = idle[i]] { rest(branch); });
  }
}

// With the lock. Gives the number of the work, for await().
uint64_t Branches::end(const std::shared_ptr<Branch>& branch) {
  branch->dropped = true;
  branch->ending = next_number_++;
  running_.emplace(branch->ending, Work{.name = branch->name, .is_end = true});
  if (!branch->is_in_hand()) post([this, branch] { bury(branch); });  // else who has it does
  return branch->ending;
}

void Branches::bury(const std::shared_ptr<Branch>& branch) {
  if (branch->cluster != nullptr && storage_->clones_are_free()) {
    branch->cluster->halt();
    (void)branch->cluster->wait_stopped(kStopMs);
    clients_are_gone(branch->ending);
  }
  branch->cluster.reset();
  branch->files.reset();
  branch->own_point.reset();
  branch->point.reset();
  finish(branch->ending, storage_->drop(branch->name));
}

// The files of a branch whose cluster does not run.
Result<std::shared_ptr<vfs::FileSystem>> Branches::files_of(const std::shared_ptr<Branch>& branch) {
  if (branch->files != nullptr) return branch->files;
  if (branch->point == nullptr) return storage_->open(branch->name);
  return branch->point->files();
}

// Turns a branch that was taken from the others into a directory; it comes back if that fails.
void Branches::write_out(const std::shared_ptr<Branch>& branch, const std::string& path) {
  if (branch->cluster != nullptr) {
    branch->cluster->request_shutdown(postgres::Cluster::Shutdown::kFast);
    (void)branch->cluster->wait_stopped(kStopMs);
    branch->cluster.reset();
  }
  auto files = files_of(branch);
  auto written = files ? vfs::write_directory(**files, path, {.leave_out = {}, .observer = {}})
                       : Result<void>(fail(files.error()));
  if (files) files->reset();
  if (written) {
    bury(branch);
    return;
  }
  std::lock_guard lock(mutex_);
  branch->dropped = false;
  branch->state = Branch::State::kAsleep;
  branches_.emplace(branch->name, branch);
  running_.erase(branch->ending);
  failed_.emplace(branch->ending, std::move(written).error());
}

// With the lock.
uint64_t Branches::settle(const std::string& name) {
  const uint64_t number = next_number_++;
  running_.emplace(number, Work{.name = name});
  post([this, number, name] { finish(number, storage_->settle(name)); });
  return number;
}

// Who waits for the end of a branch in memory need not wait for the rest: nothing of it can fail.
void Branches::clients_are_gone(uint64_t number) {
  std::lock_guard lock(mutex_);
  if (auto at = running_.find(number); at != running_.end()) at->second.is_awaited = false;
}

void Branches::finish(uint64_t number, const Result<void>& result) {
  std::lock_guard lock(mutex_);
  running_.erase(number);
  if (result) return;
  log::error("{}", result.error().to_string());
  constexpr size_t kMostKept = 100;  // of errors that nobody asks for
  if (failed_.size() >= kMostKept) failed_.erase(failed_.begin());
  failed_.emplace(number, result.error());
}

void Branches::stop_branches() {
  std::map<std::string, std::shared_ptr<Branch>, std::less<>> branches;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    branches.swap(branches_);
    ahead_.clear();
    changed_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
  spares_.clear();
  // All at the same time, and no longer than one of them may take. In memory only their clients
  // would see the difference to a sudden end.
  const auto deadline = Branch::Clock::now() + std::chrono::milliseconds(kStopMs);
  std::erase_if(branches, [this](const auto& entry) {
    const auto& cluster = entry.second->cluster;
    return cluster == nullptr || (storage_->clones_are_free() && cluster->sessions() == 0);
  });
  for (const auto& [name, branch] : branches)
    branch->cluster->request_shutdown(postgres::Cluster::Shutdown::kFast);
  for (const auto& [name, branch] : branches) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Branch::Clock::now());
    auto stopped = branch->cluster->wait_stopped(std::max<int64_t>(left.count(), 0));
    if (!stopped)
      log::warn("branch {} did not stop in order: {}", name, stopped.error().to_string());
  }
}

}  // namespace calf::branches
