#include "sqlite/database.h"

#include <sqlite3.h>

#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

constexpr std::uint32_t kCheckpointFrames = 1000;
constexpr int kCacheKiB = 1000;

Error sqlite_error(sqlite3* connection, int code, const std::string& what) {
  const std::string message =
      what + ": " + (connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(code));
  switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return {.code = ErrorCode::kDataCorrupted,
              .message = message,
              .hint = "the file is not a SQLite database, or it is damaged"};
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return {.code = ErrorCode::kPermissionDenied,
              .message = message,
              .hint = "the file and its directory must be writable"};
    case SQLITE_BUSY:
      return {.code = ErrorCode::kUnavailable,
              .message = message,
              .hint = "another program holds the file"};
    default:
      return {.code = ErrorCode::kIo, .message = message};
  }
}

}  // namespace

void Database::Close::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);
}

Result<Database::Handle> Database::connect() {
  sqlite3* made = nullptr;
  const int access =
      options_.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int opened =
      sqlite3_open_v2(options_.file.c_str(), &made,
                      access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, nullptr);
  Handle connection(made);
  if (opened != SQLITE_OK)
    return fail(sqlite_error(made, opened, "opening " + options_.file.string()));
  sqlite3_extended_result_codes(made, 1);
  sqlite3_db_config(made, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(made, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_db_config(made, SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  sqlite3_db_config(made, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_busy_timeout(made, 5000);
  const std::string setup = std::string(
                                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA "
                                "foreign_keys = ON; PRAGMA trusted_schema = ON; ") +
                            "PRAGMA synchronous = " + (options_.ephemeral ? "OFF" : "FULL") +
                            "; PRAGMA cache_size = -" + std::to_string(kCacheKiB);
  if (const int code = sqlite3_exec(made, setup.c_str(), nullptr, nullptr, nullptr);
      code != SQLITE_OK) {
    return fail(sqlite_error(made, code, "opening " + options_.file.string()));
  }
  return connection;
}

Result<std::shared_ptr<Database>> Database::open(DatabaseOptions options) {
  std::shared_ptr<Database> database(new Database(std::move(options)));
  std::error_code ignored;
  const auto& file = database->options_.file;
  if (std::filesystem::is_directory(file, ignored)) {
    return fail(ErrorCode::kInvalidArgument, file.string() + " is a directory",
                "the sqlite engine takes a file");
  }
  database->created_ =
      !std::filesystem::exists(file, ignored) || std::filesystem::file_size(file, ignored) == 0;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), ignored);
  CALF_TRY(const Handle probe, database->connect());
  return database;
}

Database::~Database() {
  if (!options_.ephemeral) return;
  std::error_code ignored;
  std::filesystem::remove_all(options_.file.parent_path(), ignored);
}

void Database::wait_for_writer(std::chrono::microseconds limit) {
  std::unique_lock lock(writer_mutex_);
  writer_done_.wait_for(lock, limit);
}

void Database::writer_done() {
  writer_done_.notify_all();
}

std::uint64_t Database::settled_schema_generation() {
  while (schema_changes_ != 0) wait_for_writer(std::chrono::milliseconds(1));
  return schema_generation();
}

Result<void> Database::may_write() const {
  if (options_.observer == nullptr) return {};
  return options_.observer->may_write();
}

Result<void> Database::may_read() const {
  if (options_.observer == nullptr) return {};
  return options_.observer->may_read();
}

Result<void> Database::after_commit(sqlite3* connection, std::uint32_t frames) {
  if (options_.observer != nullptr) CALF_CHECK_OK(options_.observer->committed(frames));
  if (frames >= kCheckpointFrames) checkpoint(connection, frames);
  return {};
}

void Database::checkpoint(sqlite3* connection, std::uint32_t frames) {
  if (options_.observer != nullptr && !options_.observer->may_checkpoint(frames)) return;
  sqlite3_wal_checkpoint_v2(connection, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
}

std::int64_t Database::next_value(const Sequence& s, const std::optional<SequenceState>& stored) {
  const std::lock_guard lock(sequence_mutex_);
  auto found = sequences_.find(s.oid);
  if (found == sequences_.end())
    found = sequences_.emplace(s.oid, stored.value_or(SequenceState{.last = s.start})).first;
  SequenceState& state = found->second;
  if (!state.called) {
    state.called = true;
    return state.last;
  }
  std::int64_t next = 0;
  const bool overflow = __builtin_add_overflow(state.last, s.increment, &next);
  if (overflow || (s.increment > 0 ? next > s.maximum : next < s.minimum)) {
    if (!s.cycle) {
      raise("2200H", std::string("nextval: reached ") + (s.increment > 0 ? "maximum" : "minimum") +
                         " value of sequence \"" + s.name + "\" (" +
                         std::to_string(s.increment > 0 ? s.maximum : s.minimum) + ")");
    }
    next = s.increment > 0 ? s.minimum : s.maximum;
  }
  state.last = next;
  return next;
}

bool Database::knows_sequence(Oid oid) {
  const std::lock_guard lock(sequence_mutex_);
  return sequences_.contains(oid);
}
void Database::set_sequence(Oid oid, SequenceState state) {
  const std::lock_guard lock(sequence_mutex_);
  sequences_[oid] = state;
}
Database::SequenceState Database::sequence_state(Oid oid) {
  const std::lock_guard lock(sequence_mutex_);
  return sequences_[oid];
}
void Database::forget_sequence(Oid oid) {
  const std::lock_guard lock(sequence_mutex_);
  sequences_.erase(oid);
}

}  // namespace calf::sqlite
