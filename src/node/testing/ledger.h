// A workload with a journal: sessions that move money, insert, make and drop tables, truncate, and
// remember which commits were acknowledged; and the check that a database holds just these.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <random>

#include "node/testing/cluster_on_disk.h"

namespace calf::node::testing {

// The tables of the workload, on a disk with a cluster that was shut down. Each call gives a copy.
DiskPointer disk_with_ledger();

// One run over one database. What a seed makes the sessions do does not depend on the machine.
class Ledger {
 public:
  explicit Ledger(uint64_t seed) : seed_(seed) {}

  // Several sessions take turns, statement by statement, on this thread: the seed decides whose
  // turn it is, so the cluster is asked for the same things in the same order each time. Returns
  // when `transactions` are done, the power is cut or the cluster is gone.
  void run_in_turns(ClusterOnDisk& cluster, int sessions, int transactions);
  // Each session on a thread of its own, over the same accounts.
  void run_at_once(ClusterOnDisk& cluster, int sessions, int transactions);

  [[nodiscard]] size_t acknowledged() const;
  // What is wrong: lost or half transactions, ones that nobody committed, damage. Empty: nothing.
  std::string problems(client::Session& session) const;

 private:
  enum class Fate { kInDoubt, kAcknowledged, kRolledBack };
  struct Transaction {
    int64_t id = 0;
    std::vector<std::string> statements;
    bool commits = true;
  };
  class Author;  // writes one session's transactions

  // False when the session is gone.
  bool run_statement(client::Session& session, const Transaction& transaction, size_t index);
  void note(int64_t transaction, Fate fate);

  const uint64_t seed_;
  mutable std::mutex mutex_;
  std::map<int64_t, Fate> fates_;  // of transactions that asked to commit
};

}  // namespace calf::node::testing
