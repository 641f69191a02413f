// Transactions as PostgreSQL has them, on SQLite's. Sequences; what the host of functions needs.
#include <sqlite3.h>

#include <thread>

#include "sqlite/connection.h"
#include "sqlite/declarations.h"
#include "sqlite/session.h"

namespace calf::sqlite {

void Session::raw(const std::string& sql) {
  const int code = sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw sqlite_error(code);
}

// The same for what runs again and again: it is compiled once.
void Session::often(const std::string& sql, std::initializer_list<Datum> parameters) {
  sqlite3_stmt*& statement = own_statements_[sql];
  if (statement == nullptr) statement = compile(sql);
  int index = 0;
  for (const Datum& parameter : parameters) parameter.bind(statement, ++index);
  first_step(statement);
  sqlite3_reset(statement);
}

bool Session::in_sqlite_transaction() const {
  return connection_ != nullptr && sqlite3_get_autocommit(connection_.get()) == 0;
}

// Whether the transaction, or the statement that runs, has read or written.
bool Session::snapshot_is_fixed() const {
  return sqlite3_txn_state(connection_.get(), "main") != SQLITE_TXN_NONE;
}

char Session::status() const {
  return block_ == Block::kOpen ? 'T' : block_ == Block::kFailed ? 'E' : 'I';
}

// Several statements that come together are one transaction.
void Session::begin_implicit() {
  begin_statement();
  catalog();  // read before the transaction is: reading would fix its snapshot, and the next write
              // fail
  often("BEGIN");
  settings_.begin();
  block_ = Block::kImplicit;
}

void Session::end_implicit(bool success) {
  block_ = Block::kNone;
  if (success) {
    portals_.clear();
    commit_now();
  } else {
    rollback_now();
  }
}

void Session::begin_block(const std::string& mode) {
  if (block_ == Block::kOpen)
    return notice("25001", "there is already a transaction in progress", "WARNING");
  if (block_ == Block::kNone) {
    begin_statement();
    catalog();
    raw("BEGIN " + mode);
    settings_.begin();
  }
  block_ = Block::kOpen;
}

void Session::commit_block(bool chain) {
  if (block_ == Block::kFailed) return rollback_block(chain);
  if (block_ != Block::kOpen) {
    if (chain) raise("25P01", "COMMIT AND CHAIN can only be used in transaction blocks");
    if (block_ == Block::kImplicit) end_implicit(true);
    return notice("25P01", "there is no transaction in progress", "WARNING");
  }
  close_portals();
  savepoints_.clear();
  try {
    commit_now();
    block_ = Block::kNone;
  } catch (...) {
    block_ = Block::kNone;
    throw;
  }
  if (chain) begin_block("DEFERRED");
}

void Session::rollback_block(bool chain) {
  if (block_ == Block::kNone) {
    if (chain) raise("25P01", "ROLLBACK AND CHAIN can only be used in transaction blocks");
    return notice("25P01", "there is no transaction in progress", "WARNING");
  }
  close_portals();
  savepoints_.clear();
  block_ = Block::kNone;
  rollback_now();
  if (chain) begin_block("DEFERRED");
}

void Session::savepoint(const std::string& name) {
  if (block_ != Block::kOpen) raise("25P01", "SAVEPOINT can only be used in transaction blocks");
  // Names of ours in SQLite: theirs are case-insensitive there.
  savepoints_.push_back(
      {.name = name,
       .mark = {.actions = listen_actions_.size(), .notifications = notifications_.size()}});
  raw("SAVEPOINT s" + std::to_string(savepoints_.size()));
}

void Session::release(const std::string& name) {
  if (block_ != Block::kOpen)
    raise("25P01", "RELEASE SAVEPOINT can only be used in transaction blocks");
  for (std::size_t i = savepoints_.size(); i-- > 0;) {
    if (savepoints_[i].name != name) continue;
    raw("RELEASE s" + std::to_string(i + 1));
    savepoints_.resize(i);
    return;
  }
  raise("3B001", "savepoint \"" + name + "\" does not exist");
}

void Session::rollback_to(const std::string& name) {
  if (block_ != Block::kOpen && block_ != Block::kFailed)
    raise("25P01", "ROLLBACK TO SAVEPOINT can only be used in transaction blocks");
  for (std::size_t i = savepoints_.size(); i-- > 0;) {
    if (savepoints_[i].name != name) continue;
    close_portals();
    if (!in_sqlite_transaction())
      raise("25P02", "the transaction was rolled back: it cannot go on from a savepoint");
    raw("ROLLBACK TO s" + std::to_string(i + 1));
    forget_notifications(savepoints_[i].mark);
    savepoints_.resize(i + 1);
    block_ = Block::kOpen;
    if (schema_dirty_) schema_changed();
    return;
  }
  raise("3B001", "savepoint \"" + name + "\" does not exist");
}

void Session::close_portals() {
  portals_.clear();
}

// ON COMMIT of temporary tables.
void Session::end_temporary() {
  if (catalog_ != nullptr && catalog_->temporary_initialized) Declarations(*this).before_commit();
}

void Session::commit_now() {
  std::unique_lock<std::mutex> order;
  if (!notifications_.empty()) order = database_->notifications().commit_order();
  try {
    if (in_sqlite_transaction()) {
      end_temporary();
      store_sequences();
      std::optional<Database::SchemaChange> change;
      if (schema_dirty_) change.emplace(*database_);
      often("COMMIT");
    }
    publish_notifications();
  } catch (...) {
    rollback_now();
    throw;
  }
  if (order.owns_lock()) order.unlock();
  settings_.commit();
  release_transaction_locks();
  if (std::exchange(schema_dirty_, false)) forget_catalog();
  catalog_settled_ = false;
  after_commit();
  database_->writer_done();
}

void Session::rollback_now() {
  // What is still being read would make it fail.
  for (sqlite3_stmt* running = sqlite3_next_stmt(connection_.get(), nullptr); running != nullptr;
       running = sqlite3_next_stmt(connection_.get(), running)) {
    if (sqlite3_stmt_busy(running) != 0) sqlite3_reset(running);
  }
  if (in_sqlite_transaction())
    sqlite3_exec(connection_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  pending_ = nullptr;
  release_transaction_locks();
  forget_notifications({});
  settings_.rollback();
  apply_settings();
  dirty_sequences_.clear();
  if (std::exchange(schema_dirty_, false)) {
    forget_catalog();
    recent_.clear();
  }
  catalog_settled_ = false;
  database_->writer_done();
}

// Something was committed: what ships commits may want the client to wait for it.
void Session::after_commit() {
  if (!std::exchange(committed_, false)) return;
  database_->writer_done();
  const auto shipped = database_->after_commit(connection_.get(), wal_frames_);
  if (!shipped) {
    throw SqlError{.report = {.severity = "FATAL",
                              .sqlstate = "57P02",
                              .message = "the commit was made here, but not confirmed: " +
                                         shipped.error().message,
                              .hint = shipped.error().hint},
                   .fatal = true};
  }
}

void Session::fail_block() {
  if (block_ == Block::kImplicit) {
    portals_.clear();
    end_implicit(false);
  } else if (block_ == Block::kOpen) {
    portals_.clear();
    block_ = Block::kFailed;
  } else if (block_ == Block::kNone) {
    portals_.clear();
    if (in_sqlite_transaction()) rollback_now();
    forget_notifications({});
  }
}

void Session::ensure_catalog_table(bool temporary) {
  if (temporary ? catalog().temporary_initialized : catalog().initialized) return;
  const std::string part = temporary ? "temp." : "main.";
  raw("CREATE TABLE IF NOT EXISTS " + part + kCatalogTable +
      "(kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, name)) "
      "STRICT, WITHOUT ROWID");
  if (!temporary)
    raw("CREATE TABLE IF NOT EXISTS calf_sequence(name TEXT PRIMARY KEY, last INTEGER NOT NULL, "
        "called INTEGER NOT NULL) STRICT, WITHOUT ROWID");
  schema_changed();
}

void Session::store_sequences() {
  for (const Oid oid : dirty_sequences_) {
    const Sequence* sequence = catalog().sequence_by_oid(oid);
    if (sequence == nullptr || catalog().is_temporary(sequence->schema)) continue;
    const Database::SequenceState state = database_->sequence_state(oid);
    often(
        "INSERT INTO calf_sequence VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET last = "
        "excluded.last, called = excluded.called",
        {Datum::of(sqlite_name_of(sequence->schema, sequence->name)), Datum::of(state.last),
         Datum::of_bool(state.called)});
  }
  dirty_sequences_.clear();
}

std::int64_t Session::next_value(Oid oid) {
  const Sequence* sequence = catalog().sequence_by_oid(oid);
  if (sequence == nullptr)
    raise("42P01", "relation with OID " + std::to_string(oid) + " does not exist");
  std::optional<Database::SequenceState> stored;
  if (!database_->knows_sequence(oid) && !catalog().is_temporary(sequence->schema)) {
    Connection(connection_.get())
        .query("SELECT last, called FROM calf_sequence WHERE name = ?1",
               [&](const Row& row) {
                 stored =
                     Database::SequenceState{.last = row.integer(0), .called = row.integer(1) != 0};
               },
               {Datum::of(sqlite_name_of(sequence->schema, sequence->name))});
  }
  const std::int64_t value = database_->next_value(*sequence, stored);
  dirty_sequences_.insert(oid);
  sequence_values_[oid] = value;
  last_value_ = value;
  return value;
}

std::int64_t Session::current_value(Oid oid) {
  const auto found = sequence_values_.find(oid);
  if (found != sequence_values_.end()) return found->second;
  const Sequence* sequence = catalog().sequence_by_oid(oid);
  raise("55000", "currval of sequence \"" +
                     (sequence == nullptr ? std::to_string(oid) : sequence->name) +
                     "\" is not yet defined in this session");
}

void Session::set_value(Oid oid, std::int64_t value, bool called) {
  const Sequence* sequence = catalog().sequence_by_oid(oid);
  if (sequence == nullptr)
    raise("42P01", "relation with OID " + std::to_string(oid) + " does not exist");
  if (value < sequence->minimum || value > sequence->maximum) {
    raise("22003", "setval: value " + std::to_string(value) + " is out of bounds for sequence \"" +
                       sequence->name + "\" (" + std::to_string(sequence->minimum) + ".." +
                       std::to_string(sequence->maximum) + ")");
  }
  database_->set_sequence(oid, {.last = value, .called = called});
  dirty_sequences_.insert(oid);
  if (called) {
    sequence_values_[oid] = value;
    last_value_ = value;
  }
}

std::int64_t Session::last_value() {
  if (!last_value_) raise("55000", "lastval is not yet defined in this session");
  return *last_value_;
}

std::string Session::setting(const std::string& name, bool missing_ok) {
  auto value = settings_.get(name);
  if (!value && !missing_ok)
    raise("42704", "unrecognized configuration parameter \"" + name + "\"");
  return value.value_or("");
}

void Session::set_setting(const std::string& name, const std::string& value, bool local) {
  settings_.set(name, value, local);
  apply_settings();
}

// Who is about to write waits for the others before it looks at the tables: what it waited for may
// have changed them.
void Session::take_writers_place() {
  // Not by way of catalog(): that would read.
  if (catalog_ == nullptr || !catalog_->initialized || database_->read_only() ||
      sqlite3_txn_state(connection_.get(), "main") == SQLITE_TXN_WRITE)
    return;
  often(std::string("DELETE FROM main.") + kCatalogTable + " WHERE 0");
}

// Called while another session writes. False: enough of waiting.
bool Session::await_writer() {
  const auto now = ClientIo::Clock::now();
  if (cancelled_ || terminated_ || lock_nowait_) return false;
  if (deadline_ && now > *deadline_) {
    timed_out_ = true;
    return false;
  }
  if (lock_deadline_ && now > *lock_deadline_) return false;
  database_->wait_for_writer(std::chrono::milliseconds(2));
  return true;
}

void Session::check_interrupts() {
  if (deadline_ && ClientIo::Clock::now() > *deadline_) timed_out_ = true;
  if (timed_out_) raise("57014", "canceling statement due to statement timeout");
  if (cancelled_) raise("57014", "canceling statement due to user request");
  if (terminated_)
    throw SqlError{.report = {.sqlstate = "57P01",
                              .message = "terminating connection due to administrator command"},
                   .fatal = true};
}

bool Session::try_advisory_lock(const AdvisoryKey& key, AdvisoryMode mode, AdvisoryScope scope) {
  transaction_locks_ = transaction_locks_ || scope == AdvisoryScope::kTransaction;
  return database_->advisory_locks().try_lock(pid_, key, mode, scope);
}

void Session::await_advisory_lock() {
  check_interrupts();
  if (lock_deadline_ && ClientIo::Clock::now() > *lock_deadline_)
    raise("55P03", "canceling statement due to lock timeout");
  database_->advisory_locks().wait(std::chrono::milliseconds(10));
}

bool Session::advisory_unlock(const AdvisoryKey& key, AdvisoryMode mode) {
  if (database_->advisory_locks().unlock(pid_, key, mode)) return true;
  notice("01000",
         std::string("you don't own a lock of type ") +
             (mode == AdvisoryMode::kShared ? "ShareLock" : "ExclusiveLock"),
         "WARNING");
  return false;
}

void Session::advisory_unlock_all() {
  database_->advisory_locks().unlock_all(pid_, AdvisoryScope::kSession);
}

void Session::release_transaction_locks() {
  if (std::exchange(transaction_locks_, false))
    database_->advisory_locks().unlock_all(pid_, AdvisoryScope::kTransaction);
}

void Session::sleep(double seconds) {
  const auto end =
      ClientIo::Clock::now() +
      std::chrono::microseconds(static_cast<std::int64_t>(std::max(seconds, 0.0) * 1e6));
  while (ClientIo::Clock::now() < end) {
    check_interrupts();
    std::this_thread::sleep_for(std::min<ClientIo::Clock::duration>(end - ClientIo::Clock::now(),
                                                                    std::chrono::milliseconds(10)));
  }
}

}  // namespace calf::sqlite
