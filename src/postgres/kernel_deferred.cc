// Children that a cluster has put off which boots or goes on from a snapshot: the postmaster knows
// their pids, but they are made when they are needed, or when the cluster has been idle for a
// while.
#include <algorithm>

#include "base/log.h"
#include "os/mapping_budget.h"
#include "postgres/kernel.h"

namespace calf::postgres {
namespace {

constexpr uint32_t kCheckpointer = 11;  // BackendType

}  // namespace

bool Kernel::has_deferred(int pid) const {
  return std::any_of(deferred_.begin(), deferred_.end(),
                     [&](const auto& child) { return child.pid == pid; });
}

// One that is asked to end before it was made need not be made: it would find nothing to do. The
// checkpointer would.
int Kernel::signal_deferred(int pid, int signal) {
  const auto child = std::find_if(deferred_.begin(), deferred_.end(),
                                  [&](const auto& one) { return one.pid == pid; });
  const bool ends = signal == kSigQuit || signal == kSigKill ||
                    (signal == kSigTerm && child->launch.type != kCheckpointer);
  if (ends) {
    deferred_.erase(child);
    ended_.push_back({pid, {}});
    return send_signal(Process::kPostmasterPid, kSigChild);
  }
  make_deferred(child);
  if (Process* made = find(pid)) made->post(signal);
  return 0;
}

void Kernel::start_checkpointer() {
  const auto child = std::find_if(deferred_.begin(), deferred_.end(),
                                  [](const auto& one) { return one.launch.type == kCheckpointer; });
  if (child != deferred_.end()) make_deferred(child);
}

void Kernel::start_deferred() {
  while (!deferred_.empty() && find(Process::kPostmasterPid) != nullptr)
    make_deferred(deferred_.begin());
}

void Kernel::make_deferred(std::deque<SnapshotState::Child>::iterator child) {
  Process& postmaster = *find(Process::kPostmasterPid);
  const int pid = child->pid;
  // It leaves the list afterwards: until then the postmaster is not alone.
  std::unique_ptr<ClientSocket> no_client;
  const auto made = make_child(postmaster, pid, std::move(child->launch), no_client);
  deferred_.erase(child);
  if (made) return;
  log::error("could not start a process: {}", made.error().to_string());
  ended_.push_back({pid, {.code = 1}});
  postmaster.post(kSigChild);
}

void Kernel::put_off_deferred() {
  deferred_until_ns_ = now_ns() + 10 * options_.helpers_idle_ns;
}

void Kernel::start_deferred_if_due() {
  const int64_t now = now_ns();
  if (now < deferred_due_ns()) return;
  if (os::MappingBudget::of_program().is_filling()) {
    deferred_not_before_ns_ = now + 10 * options_.helpers_idle_ns;
  } else {
    start_deferred();
  }
}

int64_t Kernel::deferred_due_ns() const {
  if (options_.helpers_wait_for_clients && clients_ == 0) return Process::kNever;
  const int64_t idle_until =
      nobody_is_runnable() ? idle_since_ns_ + options_.helpers_idle_ns : Process::kNever;
  return std::max(deferred_not_before_ns_, std::min(idle_until, deferred_until_ns_));
}

}  // namespace calf::postgres
