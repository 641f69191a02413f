// Branches: clusters that are started ahead. Whoever makes one branch of a recorded state after the
// other finds the next one's cluster running: what remains of waking it is to hand it over.
#include <algorithm>

#include "base/log.h"
#include "branches/branch.h"
#include "os/mapping_budget.h"

namespace calf::branches {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMostSpares = 4;  // states that branches are made of by turns
constexpr auto kKeptFor = 10s;     // after the last branch that began where it has begun

}  // namespace

std::deque<Branches::Spare>::iterator Branches::spare_for(const BranchPoint* point) {
  return std::ranges::find_if(spares_,
                              [&](const Spare& one) { return one.point.lock().get() == point; });
}

// Does the branch, which sleeps, have a cluster now? Only one that has nothing of its own yet.
bool Branches::adopt_spare(const std::shared_ptr<Branch>& branch) {
  if (branch->files != nullptr || branch->point == nullptr) return false;
  const auto spare = spare_for(branch->point.get());
  if (spare == spares_.end() || !spare->started) return false;
  Started started = std::move(*spare->started);
  spares_.erase(spare);
  give_to(branch, started);
  take_over(*branch, std::move(started));
  spare_mappings_if_crowded();
  want_spare(branch->point);
  return true;
}

// Will the branch, which is waking, have the one that is being started?
bool Branches::claim_spare(const std::shared_ptr<Branch>& branch) {
  if (branch->files != nullptr || branch->point == nullptr) return false;
  const auto spare = spare_for(branch->point.get());
  if (spare == spares_.end() || spare->claimed_by != nullptr) return false;
  spare->claimed_by = branch;
  return true;
}

void Branches::give_to(const std::shared_ptr<Branch>& branch, Started& started) {
  started.log->set_name(branch->name);
  started.commands->belong_to(branch);
}

// A branch of `point` has just woken, so others may come.
void Branches::want_spare(const std::shared_ptr<BranchPoint>& point) {
  if (!storage_->clones_are_free() || !point->is_recorded() || stopping_ ||
      os::MappingBudget::of_program().is_filling())
    return;
  if (const auto spare = spare_for(point.get()); spare != spares_.end()) {
    spare->since = Branch::Clock::now();
    return;
  }
  if (spares_.size() >= kMostSpares) return;
  spares_.push_back({.point = point, .started = std::nullopt});
  post([this, point] { make_spare(point); });
}

void Branches::make_spare(const std::shared_ptr<BranchPoint>& point) {
  Started started = prepare_start();
  auto made = [&]() -> Result<void> {
    CALF_TRY(auto beginning, point->begin());
    started.files = std::move(beginning.files);
    return start(started, std::move(beginning.snapshot), For::kLater);
  }();
  if (!made) log::debug("no cluster was started ahead: {}", made.error().to_string());
  std::unique_lock lock(mutex_);
  const auto spare = spare_for(point.get());
  const std::shared_ptr<Branch> claimed_by = spare->claimed_by;
  if (made && claimed_by == nullptr) {
    spare->started = std::move(started);
    return;
  }
  spares_.erase(spare);
  if (claimed_by == nullptr) return;
  if (made) give_to(claimed_by, started);
  lock.unlock();
  made ? welcome(claimed_by, std::move(started)) : wake(claimed_by);
}

void Branches::drop_old_spares() {
  const auto now = Branch::Clock::now();
  const bool is_filling = os::MappingBudget::of_program().is_filling();
  std::erase_if(spares_, [&](Spare& spare) {
    if (!spare.started) return false;
    const bool is_old = now - spare.since > kKeptFor;
    if (!is_old && !is_filling && !spare.point.expired()) return false;
    // To end a cluster takes a moment.
    auto ending = std::make_shared<Started>(std::move(*spare.started));
    post([ending] { ending->cluster.reset(); });
    return true;
  });
}

}  // namespace calf::branches
