// Branches: what SQL asks for. Everything here runs on a cluster's thread and does not block.
#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

#include "branches/branch.h"
#include "branches/branch_name.h"

namespace calf::branches {
namespace {

// Above that many clusters which are being ended, new branches wait: memory comes back first.
constexpr size_t kMostEnding = 16;

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

bool Branches::Commands::wants_checkpoint(const HostCommand& command) {
  return locked([&](Branch* asking) { return branches_.wants_checkpoint(asking, command); });
}

CommandAnswer Branches::Commands::run(const HostCommand& command) {
  auto answer = locked(
      [&](Branch* asking) { return std::optional<CommandAnswer>(branches_.run(asking, command)); });
  return answer ? *answer : refuse("57P01", "the branch of this session was dropped");
}

bool Branches::wants_checkpoint(Branch* asking, const HostCommand& command) {
  if (command.verb != "create" && command.verb != "reset") return false;
  const auto& point = current_point(asking);
  return point == nullptr || point->written_to() != command.written_to;
}

CommandAnswer Branches::run(Branch* asking, const HostCommand& command) {
  const bool makes_one = command.verb == "create" || command.verb == "reset";
  if (makes_one && ending_.size() > kMostEnding) return {.sqlstate = Answer::kNotYet};
  if (command.verb == "create") return create(asking, command);
  if (command.verb == "reset") return reset(asking, command);
  if (command.verb == "drop") return drop(asking, command);
  if (command.verb == "await") return await(command);
  if (command.verb == "list") return list();
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
  CALF_TRY(auto files, storage_->clone(live, name));
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
  return {.text = std::string(command.argument) + "@" + name};
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
  if (has_branches(name)) return refuse("2BP01", "branch \"" + name + "\" has branches of its own");
  const std::string database = branch->point->database();
  Answer dropped = drop(asking, command);
  if (dropped.sqlstate != Answer::kNotYet) return dropped;
  Answer created = create(asking, {.verb = "create",
                                   .name = command.name,
                                   .argument = database,
                                   .written_to = command.written_to});
  return created.sqlstate == Answer::kDone ? dropped : created;
}

CommandAnswer Branches::drop(Branch* asking, const HostCommand& command) {
  const std::string name(command.name);
  if (find(name) == nullptr) return no_such_branch(name);
  if (find(name) == asking) return refuse("55006", "cannot drop the branch of this session");
  if (has_branches(name)) {
    return refuse("2BP01", "cannot drop branch \"" + name + "\" because it has branches of its own",
                  "Drop those first.");
  }
  auto remains = storage_->drop(name);
  if (!remains) return refuse("58000", remains.error().message, remains.error().hint);
  std::shared_ptr<Branch> branch = std::move(branches_.find(name)->second);
  branches_.erase(name);
  end(branch, std::move(*remains));
  return {.sqlstate = Answer::kNotYet, .text = std::to_string(branch->ending_number)};
}

// Has the cluster of a dropped branch ended?
CommandAnswer Branches::await(const HostCommand& command) {
  uint64_t number = 0;
  const char* end = command.name.data() + command.name.size();
  const auto parsed = std::from_chars(command.name.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return refuse("22023", "nothing to wait for");
  return {.sqlstate = ending_.contains(number) ? Answer::kNotYet : Answer::kDone};
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
