#include "pool/templates.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "os/thread_signals.h"

namespace calf::pool {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostTemplates = 1000;
constexpr std::size_t kPlenty = 200;  // databases of one template
constexpr auto kLookAtWaitersEvery = 200ms;

nlohmann::json describe(const std::string& hash, const Reach& reach, const std::string& branch) {
  // A client that writes "password=" and a blank before the next key would take that for the
  // password, so it is never empty. Where none is needed nobody looks at it.
  const std::string& password = reach.password.empty() ? reach.user : reach.password;
  return {{"database",
           {{"templateHash", hash},
            {"config",
             {{"host", reach.host},
              {"port", reach.port},
              {"username", reach.user},
              {"password", password},
              {"database", reach.database + "@" + branch}}}}}};
}

Answer ok(const nlohmann::json& json) {
  return {.status = 200,
          .body = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

Answer failed(const Error& error) {
  return Answer::error(error.code == ErrorCode::kResourceExhausted ? 507 : 500, error.to_string());
}

}  // namespace

struct Templates::Test {
  enum class State { kMaking, kClean, kOut };
  State state = State::kMaking;
  std::uint64_t turn = 0;  // when it was given out; it grows
};

// A client that wants a database.
struct Templates::Waiter {
  Reach reach;
  Reply reply;
  Clock::time_point deadline;
};

struct Templates::Template {
  std::string hash;
  std::string branch;
  bool created = false, finalized = false, discarded = false;
  std::map<int, Test> tests;
  std::deque<int> clean;
  std::deque<Waiter> waiting;
  std::size_t making = 0;  // of the jobs below: those that end in a clean database
  std::size_t jobs = 0;    // that use its branches
  std::uint64_t turns = 0;
  int last_id = 0;
  Reply on_drop;  // once it is discarded

  [[nodiscard]] std::string branch_of(int id) const { return branch + "-" + std::to_string(id); }

  // The one that was given out longest ago and is not in `used`.
  std::optional<int> oldest_out(const std::set<std::string>& used = {}) const {
    std::optional<int> oldest;
    for (const auto& [id, test] : tests) {
      if (test.state != Test::State::kOut || used.contains(branch_of(id))) continue;
      if (!oldest || test.turn < tests.at(*oldest).turn) oldest = id;
    }
    return oldest;
  }
};

Templates::Templates(Databases& databases, Options options)
    : databases_(databases), options_(options) {
  for (std::size_t i = 0; i < options_.workers; i++) {
    workers_.emplace_back([this] {
      os::block_signals_on_this_thread();
      work();
    });
  }
}

Templates::~Templates() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    jobs_.clear();
    for (const auto& [hash, one] : templates_) {
      answer_waiters(*one, Answer::error(503, "the server is being stopped"));
    }
  }
  databases_.close();
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

// --- Calls

void Templates::handle(const Call& call, Reach reach, Reply reply) {
  using Kind = Call::Kind;
  const std::lock_guard lock(mutex_);
  if (stopping_) return reply(Answer::error(503, "the server is being stopped"));
  if (call.kind == Kind::kInitialize) return initialize(call, reach, reply);
  if (call.kind == Kind::kDiscardAll) return discard_all(std::move(reply));
  const auto found = templates_.find(call.hash);
  if (found == templates_.end()) return reply(Answer::error(404, "template not found"));
  const TemplatePointer one = found->second;
  switch (call.kind) {
    case Kind::kFinalize:
      return finalize(one, reply);
    case Kind::kDiscard:
      templates_.erase(found);
      return discard(one, std::move(reply));
    case Kind::kTake:
      return take(one, std::move(reach), std::move(reply));
    case Kind::kUnlock:
      return unlock(one, call.id, reply);
    default:
      return recreate(one, call.id, reply);
  }
}

void Templates::initialize(const Call& call, const Reach& reach, const Reply& reply) {
  if (templates_.contains(call.hash)) {
    return reply(Answer::error(423, "template is already initialized"));
  }
  if (templates_.size() >= kMostTemplates) {
    return reply(Answer::error(507, "there are too many templates; discard some"));
  }
  auto one = std::make_shared<Template>();
  one->hash = call.hash;
  one->branch = "pool-" + std::to_string(++last_number_);
  one->jobs = 1;
  templates_.emplace(call.hash, one);
  post([=, this] { create(one, reach, reply); });
}

void Templates::finalize(const TemplatePointer& one, const Reply& reply) {
  if (!one->created) return reply(Answer::error(423, "template is being initialized"));
  one->finalized = true;
  reply({});
  fill(one);
}

void Templates::discard_all(Reply reply) {
  struct Outcome {
    std::size_t left;
    Answer answer{};
  };
  auto outcome = std::make_shared<Outcome>(Outcome{.left = templates_.size()});
  if (outcome->left == 0) return reply({});
  // Replies come under mutex_.
  auto one_is_gone = [outcome, reply = std::move(reply)](Answer answer) {
    if (answer.status != 204) outcome->answer = std::move(answer);
    if (--outcome->left == 0) reply(outcome->answer);
  };
  for (const auto& [hash, one] : templates_) discard(one, one_is_gone);
  templates_.clear();
}

void Templates::take(const TemplatePointer& one, Reach reach, Reply reply) {
  one->waiting.push_back({.reach = std::move(reach),
                          .reply = std::move(reply),
                          .deadline = Clock::now() + options_.finalize_timeout});
  serve(*one);
  fill(one);
  if (!one->waiting.empty()) changed_.notify_one();  // its deadline
}

void Templates::unlock(const TemplatePointer& one, int id, const Reply& reply) {
  const auto found = one->tests.find(id);
  if (found == one->tests.end()) return reply(Answer::error(404, "test database not found"));
  Test& test = found->second;
  if (test.state == Test::State::kMaking) {
    return reply(Answer::error(423, "test database is being recreated"));
  }
  if (test.state == Test::State::kOut) {
    test.state = Test::State::kClean;
    one->clean.push_back(id);
  }
  reply({});
  serve(*one);
}

void Templates::recreate(const TemplatePointer& one, int id, const Reply& reply) {
  const auto found = one->tests.find(id);
  if (found == one->tests.end()) return reply(Answer::error(404, "test database not found"));
  if (found->second.state != Test::State::kOut) return reply({});  // it is clean, or will be
  found->second.state = Test::State::kMaking;
  one->making += 1;
  one->jobs += 1;
  post([=, this] { reset(one, id, reply); });
}

// --- What follows from them

// The branches go when no job uses them any more.
void Templates::discard(const TemplatePointer& one, Reply reply) {
  one->discarded = true;
  one->on_drop = std::move(reply);
  answer_waiters(*one, Answer::error(410, "template was just discarded"));
  one->jobs += 1;
  end_job(one);
}

// Gives clean databases to those who wait.
void Templates::serve(Template& one) {
  while (one.finalized && !one.waiting.empty() && !one.clean.empty()) {
    const int id = one.clean.front();
    one.clean.pop_front();
    one.tests[id] = {.state = Test::State::kOut, .turn = ++one.turns};
    const Waiter waiter = std::move(one.waiting.front());
    one.waiting.pop_front();
    nlohmann::json json = describe(one.hash, waiter.reach, one.branch_of(id));
    json["id"] = id;
    waiter.reply(ok(json));
  }
}

std::size_t Templates::ahead() const {
  return std::min(options_.ahead, options_.max_databases / 8);
}

// Whoever took it has had half of all turns to be done with it.
bool Templates::is_old(const Template& one, std::optional<int> id) const {
  return id && one.tests.at(*id).turn + options_.max_databases / 2 <= one.turns;
}

// Begins to make what is missing for those who wait, and some ahead. From some number on old ones
// come first: each database that is kept costs memory.
void Templates::fill(const TemplatePointer& one) {
  if (!one->finalized) return;
  const std::size_t wanted = one->waiting.size() + ahead();
  const std::size_t present = one->clean.size() + one->making;
  std::size_t missing = wanted - std::min(wanted, present);
  const bool is_urgent = one->making < one->waiting.size();
  const bool has_old = is_old(*one, one->oldest_out());
  const bool recycles_first = has_old && one->tests.size() >= kPlenty;
  while (missing > 0 && one->tests.size() < options_.max_databases && !recycles_first) {
    make_new(one);
    missing -= 1;
  }
  // Several at a time: who has sessions is asked once for all of them.
  const std::size_t least = is_urgent ? 1 : std::max<std::size_t>(ahead() / 2, 1);
  if (missing < least || (!is_urgent && !has_old)) return;
  one->making += missing;
  one->jobs += 1;
  post([=, this] { recycle(one, missing); });
}

void Templates::make_new(const TemplatePointer& one) {
  const int id = ++one->last_id;
  one->tests[id] = {};
  one->making += 1;
  one->jobs += 1;
  post([=, this] { make(one, id); });
}

// A database has been made, or could not be: then one of those who wait hears why, and nothing is
// made ahead until somebody asks again.
void Templates::finish(const TemplatePointer& one, int id, const Result<void>& made) {
  one->making -= 1;
  if (made) {
    one->tests[id].state = Test::State::kClean;
    one->clean.push_back(id);
    serve(*one);
    return;
  }
  one->tests.erase(id);
  if (!one->discarded && !stopping_) log::warn("pool: {}", made.error().to_string());
  if (one->waiting.empty()) return;
  one->waiting.front().reply(failed(made.error()));
  one->waiting.pop_front();
  if (!one->waiting.empty()) fill(one);
}

void Templates::end_job(const TemplatePointer& one) {
  one->jobs -= 1;
  if (one->jobs == 0 && one->discarded) {
    post([=, this, reply = std::move(one->on_drop)] { drop(one, reply); });
  }
}

void Templates::answer_waiters(Template& one, const Answer& answer) {
  for (const Waiter& waiter : one.waiting) waiter.reply(answer);
  one.waiting.clear();
}

void Templates::expire_waiters() {
  const auto now = Clock::now();
  for (const auto& [hash, one] : templates_) {
    while (!one->waiting.empty() && one->waiting.front().deadline <= now) {
      one->waiting.front().reply(Answer::error(
          503, one->finalized ? "no test database in time" : "template was not finalized in time"));
      one->waiting.pop_front();
    }
  }
}

// --- Jobs

void Templates::post(std::function<void()> job) {
  if (stopping_) return;
  jobs_.push_back(std::move(job));
  changed_.notify_one();
}

void Templates::work() {
  std::unique_lock lock(mutex_);
  const auto something = [this] { return stopping_ || !jobs_.empty(); };
  while (!stopping_) {
    const bool someone_waits = std::any_of(templates_.begin(), templates_.end(), [](const auto& t) {
      return !t.second->waiting.empty();
    });
    if (!something() && !someone_waits) {
      changed_.wait(lock);
      continue;
    }
    changed_.wait_for(lock, kLookAtWaitersEvery, something);
    expire_waiters();
    if (stopping_ || jobs_.empty()) continue;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = {};
    lock.lock();
  }
}

void Templates::create(const TemplatePointer& one, const Reach& reach, const Reply& reply) {
  const auto made = databases_.create_template(one->branch);
  const std::lock_guard lock(mutex_);
  one->created = made.has_value();
  if (!made) {
    answer_waiters(*one, failed(made.error()));
    const auto found = templates_.find(one->hash);
    if (found != templates_.end() && found->second == one) templates_.erase(found);
  }
  reply(made ? ok(describe(one->hash, reach, one->branch)) : failed(made.error()));
  end_job(one);
}

void Templates::make(const TemplatePointer& one, int id) {
  const auto made = databases_.create_test(one->branch, one->branch_of(id));
  const std::lock_guard lock(mutex_);
  finish(one, id, made);
  end_job(one);
}

void Templates::recycle(const TemplatePointer& one, std::size_t count) {
  const auto used = databases_.in_use();
  const std::lock_guard lock(mutex_);
  for (; count > 0; count--) {
    const bool is_needed = one->waiting.size() > one->making - count;
    const std::optional<int> id = used ? one->oldest_out(*used) : std::nullopt;
    if (id && (is_needed || is_old(*one, id))) {
      one->tests[*id].state = Test::State::kMaking;
      one->jobs += 1;
      post([=, this] { reset(one, *id, [](const Answer&) {}); });
      continue;
    }
    one->making -= 1;
    if (!is_needed) continue;
    if (one->tests.size() < options_.max_databases) {
      make_new(one);
      continue;
    }
    one->waiting.front().reply(
        used ? Answer::error(507, "pool is full: all its databases are in use")
             : failed(used.error()));
    one->waiting.pop_front();
  }
  end_job(one);
}

void Templates::reset(const TemplatePointer& one, int id, const Reply& reply) {
  const auto made = databases_.reset_test(one->branch, one->branch_of(id));
  if (!made) (void)databases_.drop(one->branch_of(id));  // it may be gone already
  const std::lock_guard lock(mutex_);
  finish(one, id, made);
  reply(made ? Answer{} : failed(made.error()));
  end_job(one);
}

void Templates::drop(const TemplatePointer& one, const Reply& reply) {
  Result<void> dropped;
  const auto drop_one = [&](const std::string& branch) {
    if (auto done = databases_.drop(branch); !done && dropped) dropped = std::move(done);
  };
  for (const auto& [id, test] : one->tests) drop_one(one->branch_of(id));
  if (one->created) drop_one(one->branch);
  const std::lock_guard lock(mutex_);
  reply(dropped ? Answer{} : failed(dropped.error()));
}

}  // namespace calf::pool
