#include "pool/branch_databases.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace calf::pool {
namespace {

using namespace std::chrono_literals;

constexpr auto kTimeout = 30s;  // of one statement
// A session keeps its template awake. More templates than these take a moment longer.
constexpr std::size_t kMostSessions = 16;

std::string call(const char* function, const std::string& name) {
  return std::string("select calf.") + function + "(" + client::quote_literal(name) + ")";
}

std::string and_wake(std::string statement, const std::string& name) {
  return statement + ", calf.command('wake', " + client::quote_literal(name) + ", '')";
}

}  // namespace

Result<std::shared_ptr<client::Session>> BranchDatabases::connect(const std::string& branch) {
  CALF_TRY(auto session,
           client::Session::connect(
               engine_, {.user = user_,
                         .database = branch.empty() ? database_ : database_ + "@" + branch,
                         .application_name = "calf pool",
                         .timeout = kTimeout}));
  return std::shared_ptr<client::Session>(std::move(session));
}

std::shared_ptr<BranchDatabases::Kept> BranchDatabases::kept(const std::string& branch) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Kept>& entry = kept_[branch];
  if (entry == nullptr) entry = std::make_shared<Kept>();
  std::shared_ptr<Kept> result = entry;
  result->last_use = ++uses_;
  if (kept_.size() > kMostSessions) {
    kept_.erase(std::min_element(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) {
      return a.second->last_use < b.second->last_use;
    }));
  }
  return result;
}

// The first value of `sql`'s answer. A session that has ended meanwhile (its branch crashed,
// somebody terminated it) is made anew by the next call.
Result<std::optional<std::string>> BranchDatabases::run(const std::string& branch,
                                                        const std::string& sql) {
  const std::shared_ptr<Kept> place = kept(branch);
  const std::lock_guard in_use(place->mutex);
  if (place->session == nullptr || !place->session->is_open()) {
    CALF_TRY(auto session, connect(branch));
    const std::lock_guard lock(mutex_);
    if (closed_) return fail(ErrorCode::kUnavailable, "the pool is being stopped");
    place->session = std::move(session);
  }
  return client::query_value(*place->session, sql);
}

void BranchDatabases::forget(const std::string& branch) {
  std::shared_ptr<Kept> gone;
  const std::lock_guard lock(mutex_);
  if (const auto it = kept_.find(branch); it != kept_.end()) {
    gone = std::move(it->second);
    kept_.erase(it);
  }
}

Result<void> BranchDatabases::create_template(const std::string& name) {
  CALF_CHECK_OK(run("", call("branch", name)));
  return {};
}

Result<void> BranchDatabases::create_test(const std::string& template_name,
                                          const std::string& name) {
  CALF_CHECK_OK(run(template_name, and_wake(call("branch", name), name)));
  return {};
}

Result<void> BranchDatabases::reset_test(const std::string& template_name,
                                         const std::string& name) {
  CALF_CHECK_OK(run(template_name, and_wake(call("reset_branch", name), name)));
  return {};
}

Result<void> BranchDatabases::drop(const std::string& name) {
  forget(name);
  CALF_CHECK_OK(run("", call("drop_branch", name)));
  return {};
}

Result<std::set<std::string>> BranchDatabases::in_use() {
  CALF_TRY(const auto text,
           run("", "select json_agg(name) from calf.branches() where sessions > 0"));
  if (!text) return std::set<std::string>{};
  const auto names = nlohmann::json::parse(*text, nullptr, false);
  if (!names.is_array()) return fail(ErrorCode::kInternal, "calf.branches() gave no names");
  return names.get<std::set<std::string>>();
}

Result<void> BranchDatabases::drop_leftovers() {
  // Tests before their templates.
  CALF_CHECK_OK(run("",
                    "select calf.drop_branch(name) from"
                    " (select name from calf.branches() where name ~ '^pool-[0-9]+(-[0-9]+)?$'"
                    " order by name ~ '^pool-[0-9]+$' offset 0) as leftovers"));
  return {};
}

void BranchDatabases::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& [name, place] : kept_) {
    if (place->session != nullptr) place->session->close();
  }
}

}  // namespace calf::pool
