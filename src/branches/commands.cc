// Branches: what SQL asks for. Everything here runs on a cluster's thread and does not block.
#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

#include "branches/branch.h"
#include "branches/branch_name.h"

namespace calf::branches {
namespace {

using postgres::CommandAnswer;
using postgres::HostCommand;

CommandAnswer refuse(const char* sqlstate, std::string message, std::string_view hint = "") {
  if (!hint.empty()) message.append("\n").append(hint);
  return {.sqlstate = sqlstate, .text = std::move(message)};
}

CommandAnswer no_such_branch(std::string_view name) {
  return refuse("42704", "branch \"" + std::string(name) + "\" does not exist");
}

std::string timestamp(int64_t microseconds) {
  const std::time_t seconds = microseconds / 1'000'000;
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  char text[64];
  const size_t length = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
  return fmt::format("{}.{:06}Z", std::string_view(text, length), microseconds % 1'000'000);
}

}  // namespace

// The branch whose SQL asks may have been dropped by now, and another one may have its name.
template <typename Function>
auto Branches::Commands::locked(Function function) -> decltype(function(nullptr)) {
  std::lock_guard lock(branches_.mutex_);
  if (is_root_) return function(nullptr);
  const std::shared_ptr<Branch> branch = branch_.lock();
  const bool is_there = branch != nullptr && branches_.find(branch->name) == branch.get();
  return is_there ? function(branch.get()) : decltype(function(nullptr)){};
}

Branches::Preparation Branches::Commands::preparation(const HostCommand& command) {
  return locked([&](Branch* asking) { return branches_.preparation(asking, command); });
}

CommandAnswer Branches::Commands::run(const HostCommand& command) {
  auto answer = locked(
      [&](Branch* asking) { return std::optional<CommandAnswer>(branches_.run(asking, command)); });
  return answer ? *answer : refuse("57P01", "the branch of this session was dropped");
}

// A checkpoint of a cluster in memory takes a moment, and many branches may begin at it. On a disk
// it can take long, and one branch is all that would gain from it.
Branches::Preparation Branches::preparation(Branch* asking, const HostCommand& command) {
  if (command.verb != "create" || must_wait(command.name)) return Preparation::kNone;
  if (!storage_->clones_are_free()) return Preparation::kFlush;
  const auto& point = current_point(asking);
  const bool is_current = point != nullptr && point->written_to() == command.written_to;
  return is_current ? Preparation::kNone : Preparation::kCheckpoint;
}

CommandAnswer Branches::run(Branch* asking, const HostCommand& command) {
  if (command.verb == "create") {
    return must_wait(command.name) ? Answer{.sqlstate = Answer::kNotYet} : create(asking, command);
  }
  if (command.verb == "reset") return reset(asking, command);
  if (command.verb == "drop") return drop(asking, command);
  if (command.verb == "promote") return promote(asking, command);
  if (command.verb == "await") return await(command);
  if (command.verb == "list") return list();
  if (command.verb == "wake") return wake_ahead(command);
  return refuse("22023", "unknown command \"" + std::string(command.verb) + "\"");
}

// The files of the asking cluster as they are now; the ones of the last time if nothing was written
// since.
Result<std::shared_ptr<BranchPoint>> Branches::point_of(Branch* asking, const std::string& name,
                                                        const HostCommand& command) {
  std::shared_ptr<BranchPoint>& current = current_point(asking);
  if (storage_->clones_are_free() && current != nullptr &&
      current->written_to() == command.written_to)
    return current;
  vfs::FileSystem& live = asking == nullptr ? *options_.data : *asking->files;
  CALF_TRY(auto files, storage_->clone(live, asking == nullptr ? "" : asking->name, name));
  auto point = std::make_shared<BranchPoint>(storage_, std::move(files), command.written_to,
                                             std::string(command.argument));
  if (storage_->clones_are_free()) current = point;
  return point;
}

CommandAnswer Branches::create(Branch* asking, const HostCommand& command) {
  const std::string name(command.name);
  if (!is_branch_name(name)) {
    return refuse("42602", "invalid branch name: \"" + name + "\"",
                  "A name has up to 63 letters, digits, \"_\", \"-\" and \".\".");
  }
  if (find(name) != nullptr) return refuse("42710", "branch \"" + name + "\" already exists");
  auto point = point_of(asking, name, command);
  if (!point) return refuse("58000", point.error().message, point.error().hint);
  auto branch = std::make_shared<Branch>(name, asking == nullptr ? "" : asking->name);
  branch->point = std::move(*point);
  branches_.emplace(name, std::move(branch));
  if (storage_->clones_are_free()) return {};
  return {.sqlstate = Answer::kNotYet, .text = std::to_string(settle(name))};
}

CommandAnswer Branches::reset(Branch* asking, const HostCommand& command) {
  const std::string name(command.name);
  Branch* branch = find(name);
  if (branch == nullptr) return no_such_branch(name);
  if (branch == asking) return refuse("55006", "cannot reset the branch of this session");
  if (branch->parent != (asking == nullptr ? "" : asking->name)) {
    return refuse("55000", "branch \"" + name + "\" is not a branch of this session's cluster",
                  branch->parent.empty()
                      ? "Connect to the server's own database to reset it."
                      : "Connect to a database of \"@" + branch->parent + "\" to reset it.");
  }
  return drop(asking, command);
}

CommandAnswer Branches::drop(Branch* asking, const HostCommand& command) {
  const std::string name(command.name);
  if (find(name) == nullptr) return no_such_branch(name);
  if (find(name) == asking) return refuse("55006", "cannot drop the branch of this session");
  if (has_branches(name)) {
    return refuse("2BP01", "cannot drop branch \"" + name + "\" because it has branches of its own",
                  "Drop those first.");
  }
  const std::shared_ptr<Branch> branch = std::move(branches_.find(name)->second);
  branches_.erase(name);
  const bool has_clients = branch->has_clients();
  const uint64_t number = end(branch);
  // Of one in memory nobody sees the rest, and nothing can fail.
  if (storage_->clones_are_free() && !has_clients) return {};
  return {.sqlstate = Answer::kNotYet, .text = std::to_string(number)};
}

CommandAnswer Branches::promote(Branch* asking, const HostCommand& command) {
  const std::string name(command.name);
  Branch* branch = find(name);
  if (branch == nullptr) return no_such_branch(name);
  if (branch == asking) return refuse("55006", "cannot promote the branch of this session");
  if (has_branches(name)) {
    return refuse("2BP01",
                  "cannot promote branch \"" + name + "\" because it has branches of its own",
                  "Drop those first.");
  }
  if (!command.argument.starts_with('/')) {
    return refuse("22023", "the directory must be an absolute path",
                  "It is one of the machine that the server runs on.");
  }
  if (branch->is_in_hand()) return {.sqlstate = Answer::kNotYet};
  const std::shared_ptr<Branch> taken = std::move(branches_.find(name)->second);
  branches_.erase(name);
  taken->dropped = true;
  taken->ending = next_number_++;
  running_.emplace(taken->ending, Work{.name = name, .is_end = true});
  post([this, taken, path = std::string(command.argument)] { write_out(taken, path); });
  return {.sqlstate = Answer::kNotYet, .text = std::to_string(taken->ending)};
}

// A branch cannot be made while one of the same name is ended, nor faster than others end: memory
// comes back first.
bool Branches::must_wait(std::string_view name) const {
  constexpr ptrdiff_t kMostEnding = 16;
  ptrdiff_t ending = 0;
  for (const auto& [number, work] : running_) {
    if (work.is_end && work.name == name) return true;
    ending += work.is_end ? 1 : 0;
  }
  return ending > kMostEnding;
}

// Is the work with this number done?
CommandAnswer Branches::await(const HostCommand& command) {
  uint64_t number = 0;
  const char* end = command.name.data() + command.name.size();
  const auto parsed = std::from_chars(command.name.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return refuse("22023", "nothing to wait for");
  if (const auto work = running_.find(number); work != running_.end() && work->second.is_awaited) {
    return {.sqlstate = Answer::kNotYet, .text = std::string(command.name)};
  }
  auto failed = failed_.extract(number);
  return failed ? refuse("58000", failed.mapped().message, failed.mapped().hint) : Answer{};
}

// A hint: its next client need not wait for it to wake.
CommandAnswer Branches::wake_ahead(const HostCommand& command) {
  const auto found = branches_.find(command.name);
  if (found == branches_.end()) return no_such_branch(command.name);
  if (stopping_) return {};
  ahead_.push_back(found->second);
  start_workers();
  changed_.notify_one();
  return {};
}

CommandAnswer Branches::list() {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& [name, branch] : branches_) {
    rows.push_back(
        {{"name", name},
         {"parent", branch->parent.empty() ? nlohmann::json() : nlohmann::json(branch->parent)},
         {"created_at", timestamp(branch->created_at_us)},
         {"state", branch->state_name()},
         {"sessions", branch->cluster == nullptr ? 0 : branch->cluster->sessions()}});
  }
  return {.text = rows.dump()};
}

}  // namespace calf::branches
