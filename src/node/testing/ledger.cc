#include "node/testing/ledger.h"

#include <set>
#include <thread>

#include "base/assert.h"
#include "base/log.h"

namespace calf::node::testing {
namespace {

using Dice = std::mt19937_64;
constexpr int kAccounts = 400;
constexpr int kSessions = 8;  // at most
constexpr int kRowsOfMade = 50;

constexpr const char* kTables = R"(
create extension amcheck;
create table account (id int primary key, balance bigint not null, note text);
insert into account select i, 1000, 'account ' || i from generate_series(1, 400) i;
create index on account (balance);
create table journal (tx bigint primary key, session int, items int, made bool, dropped text, kept int);
create table item (tx bigint, n int, payload text, primary key (tx, n));
create index on item (md5(payload));
do $$ begin for s in 0..7 loop execute format('create table kept_%s (tx bigint, n int primary key)', s); end loop; end $$;
)";

}  // namespace

DiskPointer disk_with_ledger() {
  static const DiskPointer made = [] {
    auto disk = fresh_disk();
    auto cluster = ClusterOnDisk::start(disk);
    ASSERT(cluster.has_value());
    auto session = (*cluster)->connect();
    ASSERT(session.has_value());
    const auto prepared = client::execute(**session, kTables);
    if (!prepared) log::error("{}", prepared.error().to_string());
    ASSERT(prepared.has_value());
    session->reset();
    ASSERT((*cluster)->stop().has_value());
    return disk;
  }();
  return made->after_power_cut(0);
}

// Transactions of one session. Ids grow by time within a session.
class Ledger::Author {
 public:
  // `own_accounts`: touch only accounts that no other session touches.
  Author(uint64_t seed, int session, int sessions, bool own_accounts)
      : dice_(seed * 1000 + static_cast<uint64_t>(session)),
        session_(session),
        sessions_(own_accounts ? sessions : 0) {}

  Transaction next() {
    Transaction out;
    out.id = ++count_ * kSessions + session_;
    const auto roll = dice_() % 100;
    if (roll < 6) return maintenance(out, roll);
    out.commits = dice_() % 100 < 85;
    const int items = 1 + static_cast<int>(dice_() % 5);
    out.statements = {"begin"};
    insert_items(out, items);
    move_money(out);
    const bool makes = dice_() % 100 < 10;
    if (makes) make_table(out);
    const std::string dropped = dice_() % 100 < 5 && !made_.empty() ? drop_table(out) : "";
    const int kept = dice_() % 100 < 8 ? replace_kept(out) : 0;
    out.statements.push_back(
        fmt::format("insert into journal values ({}, {}, {}, {}, nullif('{}', ''), nullif({}, 0))",
                    out.id, session_, items, makes, dropped, kept));
    out.statements.emplace_back(out.commits ? "commit" : "rollback");
    if (out.commits && makes) made_.push_back(fmt::format("made_{}", out.id));
    if (!out.commits && !dropped.empty()) made_.push_back(dropped);
    return out;
  }

 private:
  Transaction maintenance(Transaction& out, uint64_t roll) {
    out.commits = false;
    out.statements = {roll < 4 ? "checkpoint" : "vacuum item"};
    return std::move(out);
  }
  void insert_items(Transaction& out, int items) {
    for (int n = 1; n <= items; ++n) {
      // Some too long for a page: they go to TOAST.
      const uint64_t length = dice_() % 10 == 0 ? 400 : dice_() % 10;
      out.statements.push_back(
          fmt::format("insert into item select {0}, {1}, string_agg(md5('{0}' || i), '') from "
                      "generate_series(0, {2}) i",
                      out.id, n, length));
    }
  }
  int account() {
    if (sessions_ == 0) return 1 + static_cast<int>(dice_() % kAccounts);
    const int share = kAccounts / sessions_;
    return 1 + session_ * share + static_cast<int>(dice_() % static_cast<uint64_t>(share));
  }
  void move_money(Transaction& out) {
    const auto [from, to] = std::minmax({account(), account()});
    const int amount = static_cast<int>(dice_() % 100) - 50;
    for (const auto& [id, change] : {std::pair(from, amount), std::pair(to, -amount)}) {
      out.statements.push_back(
          fmt::format("update account set balance = balance + {}, note = 'by {}' where id = {}",
                      change, out.id, id));
    }
  }
  void make_table(Transaction& out) {
    out.statements.push_back(fmt::format("create table made_{} (n int primary key)", out.id));
    out.statements.push_back(
        fmt::format("insert into made_{} select generate_series(1, {})", out.id, kRowsOfMade));
  }
  std::string drop_table(Transaction& out) {
    const std::string name = made_.front();
    made_.erase(made_.begin());
    out.statements.push_back("drop table " + name);
    return name;
  }
  int replace_kept(Transaction& out) {
    const int rows = 1 + static_cast<int>(dice_() % 300);
    out.statements.push_back(fmt::format("truncate kept_{}", session_));
    out.statements.push_back(fmt::format("insert into kept_{} select {}, generate_series(1, {})",
                                         session_, out.id, rows));
    return rows;
  }

  Dice dice_;
  const int session_;
  const int sessions_;  // 0: all accounts are everybody's
  int64_t count_ = 0;
  std::vector<std::string> made_;
};

void Ledger::note(int64_t transaction, Fate fate) {
  const std::lock_guard lock(mutex_);
  fates_[transaction] = fate;
}

size_t Ledger::acknowledged() const {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& [id, fate] : fates_) count += fate == Fate::kAcknowledged ? 1 : 0;
  return count;
}

// COMMIT of a failed transaction succeeds, too; its tag tells.
class LastTag final : public client::QueryEvents {
 public:
  void complete(std::string_view command_tag) override { tag = command_tag; }
  std::string tag;
};

bool Ledger::run_statement(client::Session& session, const Transaction& transaction, size_t index) {
  const bool commits = transaction.commits && index + 1 == transaction.statements.size();
  if (commits) note(transaction.id, Fate::kInDoubt);
  LastTag events;
  if (!session.query(transaction.statements[index], events)) return false;
  if (commits)
    note(transaction.id, events.tag == "COMMIT" ? Fate::kAcknowledged : Fate::kRolledBack);
  return true;
}

void Ledger::run_in_turns(ClusterOnDisk& cluster, int sessions, int transactions) {
  struct Seat {
    std::unique_ptr<client::Session> session;
    Author author;
    Transaction now{};
    size_t next = 0;
  };
  Dice dice(seed_);
  std::vector<Seat> seats;
  for (int i = 0; i < sessions; ++i) {
    auto session = cluster.connect();
    if (!session) return;
    seats.push_back({std::move(*session), Author(seed_, i, sessions, true)});
  }
  while (transactions > 0 && !cluster.disk().is_cut()) {
    Seat& seat = seats[dice() % seats.size()];
    if (seat.next == seat.now.statements.size()) {
      seat.now = seat.author.next();
      seat.next = 0;
    }
    if (!run_statement(*seat.session, seat.now, seat.next)) return;
    if (++seat.next == seat.now.statements.size()) --transactions;
  }
}

void Ledger::run_at_once(ClusterOnDisk& cluster, int sessions, int transactions) {
  std::atomic<int> left = transactions;
  std::vector<std::thread> threads;
  for (int i = 0; i < sessions; ++i) {
    auto connected = cluster.connect();
    if (!connected) break;
    threads.emplace_back([&, i, session = std::move(*connected)] {
      Author author(seed_, i, sessions, false);
      while (left-- > 0 && !cluster.disk().is_cut()) {
        const Transaction now = author.next();
        for (size_t next = 0; next < now.statements.size(); ++next)
          if (!run_statement(*session, now, next)) return;
      }
    });
  }
  for (std::thread& each : threads) each.join();
}

namespace {

class Rows final : public client::QueryEvents {
 public:
  void row(std::span<const std::optional<std::string_view>> values) override {
    rows.emplace_back(values[0].value_or(""));
  }
  void error(const pgwire::Report& report) override { failure = report.message; }
  std::vector<std::string> rows;
  std::string failure;
};

// Each row of `sql` is a problem, and so is its failure.
void add_problems(client::Session& session, const std::string& sql, std::string& problems) {
  Rows found;
  if (auto outcome = session.query(sql, found); !outcome) found.failure = outcome.error().message;
  for (const std::string& row : found.rows) problems += row + "\n";
  if (!found.failure.empty()) problems += sql + ": " + found.failure + "\n";
}

constexpr const char* kHalfTransactions =
    "select format('transaction %s has %s of %s items', tx, i.n, j.items) from journal j full join "
    "(select tx, count(*) n from item group by tx) i using (tx) where j.items is distinct from i.n";
constexpr const char* kWrongTables =
    "with expected as (select 'made_' || tx as name from journal where made except "
    "select dropped from journal), actual as (select relname::text as name from pg_class "
    "where relname like 'made\\_%' and relkind = 'r') "
    "select format('table %s %s', name, case when a.name is null then 'is missing' else "
    "'should not be there' end) from expected e full join actual a using (name) "
    "where a.name is null or e.name is null";

std::string wrong_kept(int session) {
  return fmt::format(
      "select format('kept_{0} has %s rows of %s, not %s of %s', n, first, kept, tx) from (select "
      "count(*) n, min(tx) first, max(tx) last from kept_{0}) k left join (select tx, kept from "
      "journal where session = {0} and kept is not null order by tx desc limit 1) j on true "
      "where n is distinct from coalesce(kept, 0) or first is distinct from tx or last is distinct "
      "from tx",
      session);
}

}  // namespace

std::string Ledger::problems(client::Session& session) const {
  std::string problems;
  Rows journal;
  if (auto outcome = session.query("select tx from journal", journal); !outcome)
    return outcome.error().to_string();
  if (!journal.failure.empty()) return journal.failure;
  std::set<int64_t> present;
  for (const std::string& tx : journal.rows) present.insert(std::stoll(tx));
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, fate] : fates_) {
      if (fate == Fate::kAcknowledged && !present.contains(id))
        problems += fmt::format("transaction {} was acknowledged and is lost\n", id);
    }
    for (int64_t id : present) {
      const auto known = fates_.find(id);
      if (known == fates_.end() || known->second == Fate::kRolledBack)
        problems += fmt::format("transaction {} is there and was never committed\n", id);
    }
  }
  add_problems(session, kHalfTransactions, problems);
  add_problems(session, kWrongTables, problems);
  for (int i = 0; i < kSessions; ++i) add_problems(session, wrong_kept(i), problems);
  if (const std::string sum = ask(session, "select count(*) || ' ' || sum(balance) from account");
      sum != fmt::format("{} {}", kAccounts, kAccounts * 1000))
    problems += "accounts: " + sum + "\n";
  Rows made;
  (void)session.query(
      "select relname from pg_class where relname like 'made\\_%' and relkind = 'r'", made);
  for (const std::string& table : made.rows) {
    if (const std::string rows = ask(session, "select count(*) from " + table);
        rows != std::to_string(kRowsOfMade))
      problems += table + " has rows: " + rows + "\n";
  }
  return problems + damage_in(session);
}

}  // namespace calf::node::testing
