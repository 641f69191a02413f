#include "archive/source.h"

#include <chrono>
#include <thread>

namespace calf::archive {
namespace {

constexpr int kBusyTimeoutMs = 5'000;
constexpr int kMaxBusyTries = 20'000;

// SQLite's own handler sleeps ever longer; between two commits of a busy writer it never wakes.
int wait_a_moment(void*, int tries) {
  std::this_thread::sleep_for(std::chrono::microseconds(100));
  return tries < kMaxBusyTries ? 1 : 0;
}

// Reading anything makes the transaction begin.
constexpr const char* kBeginRead = "BEGIN; SELECT count(*) FROM sqlite_schema WHERE rowid < 0";

std::filesystem::path log_of(const std::filesystem::path& database) {
  return database.string() + "-wal";
}

Result<void> turn_wal_on(const Connection& connection) {
  std::string mode;
  const auto take = [](void* context, int, char** values, char**) {
    *static_cast<std::string*>(context) = values[0];
    return 0;
  };
  if (sqlite3_exec(connection.get(), "PRAGMA journal_mode = WAL", take, &mode, nullptr) !=
      SQLITE_OK) {
    return fail(sqlite_error(connection.get(), "turning WAL mode on"));
  }
  if (mode == "wal") return {};
  return fail(ErrorCode::kUnavailable, "the database stays in journal mode " + mode,
              "close other programs that use the file");
}

}  // namespace

Error sqlite_error(sqlite3* connection, const std::string& what) {
  const int code = sqlite3_errcode(connection) & 0xff;
  ErrorCode kind = ErrorCode::kIo;
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED) kind = ErrorCode::kUnavailable;
  if (code == SQLITE_NOTADB) kind = ErrorCode::kInvalidArgument;
  if (code == SQLITE_CORRUPT) kind = ErrorCode::kDataCorrupted;
  if (code == SQLITE_FULL) kind = ErrorCode::kResourceExhausted;
  return {.code = kind, .message = what + ": " + sqlite3_errmsg(connection)};
}

Result<Connection> Connection::open(const std::filesystem::path& database) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
  const int code = sqlite3_open_v2(database.c_str(), &handle, flags, nullptr);
  Connection connection(handle);
  if (handle == nullptr) return fail(ErrorCode::kResourceExhausted, "SQLite has no memory");
  if (code != SQLITE_OK) return fail(sqlite_error(handle, "opening " + database.string()));
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  sqlite3_wal_autocheckpoint(handle, 0);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  return connection;
}

Result<void> Connection::execute(const char* sql) const {
  if (sqlite3_exec(get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return fail(sqlite_error(get(), "archiving the database"));
}

Result<std::int64_t> Connection::integer(const char* sql) const {
  sqlite3_stmt* statement = nullptr;
  std::int64_t value = 0;
  int code = sqlite3_prepare_v2(get(), sql, -1, &statement, nullptr);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code == SQLITE_ROW) value = sqlite3_column_int64(statement, 0);
  Result<std::int64_t> result = value;
  if (code != SQLITE_ROW) result = fail(sqlite_error(get(), "archiving the database"));
  sqlite3_finalize(statement);
  return result;
}

// Through SQLite's own descriptor: opening and closing the database file here would drop the locks
// of every connection of this process (POSIX locks belong to process and file).
Result<std::string> Snapshot::read_page(std::uint32_t number) {
  if (!in_log_.empty() && in_log_[number] != 0) {
    return log_.read_page({.page = number, .page_offset = in_log_[number]});
  }
  sqlite3_file* file = nullptr;
  sqlite3_file_control(connection_.get(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  std::string page(page_size_, '\0');
  const int code = file->pMethods->xRead(file, page.data(), static_cast<int>(page_size_),
                                         sqlite3_int64{number - 1} * page_size_);
  if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) {
    return fail(ErrorCode::kIo, "reading page " + std::to_string(number) +
                                    " of the database: " + sqlite3_errstr(code));
  }
  return page;
}

Source::Source(std::filesystem::path database, Connection pin, Connection idle, Connection writer)
    : database_(std::move(database)),
      log_(log_of(database_)),
      pin_(std::move(pin)),
      idle_(std::move(idle)),
      writer_(std::move(writer)) {}

Result<Source> Source::open(const std::filesystem::path& database) {
  CALF_TRY(Connection pin, Connection::open(database));
  CALF_TRY(Connection idle, Connection::open(database));
  CALF_TRY(Connection writer, Connection::open(database));
  CALF_CHECK_OK(turn_wal_on(writer));
  sqlite3_busy_handler(writer.get(), &wait_a_moment, nullptr);
  CALF_CHECK_OK(pin.execute(kBeginRead));
  CALF_TRY(const std::int64_t page_size, writer.integer("PRAGMA page_size"));
  Source source(database, std::move(pin), std::move(idle), std::move(writer));
  source.log_frame_bytes_ = kWalFrameHeadBytes + static_cast<std::uint64_t>(page_size);
  return source;
}

Result<void> Source::advance_pin() {
  CALF_CHECK_OK(idle_.execute(kBeginRead));
  std::swap(pin_, idle_);
  return idle_.execute("COMMIT");
}

Result<bool> Source::checkpoint(const std::function<Result<void>()>& with_writers_waiting) {
  int in_log = 0;
  int in_database = 0;
  const auto passive = [&] {
    sqlite3_wal_checkpoint_v2(idle_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, &in_log,
                              &in_database);
  };
  passive();  // most of the work, while writers go on
  CALF_CHECK_OK(writer_.execute("BEGIN IMMEDIATE"));
  auto done = [&]() -> Result<void> {
    CALF_CHECK_OK(with_writers_waiting());
    CALF_CHECK_OK(pin_.execute("COMMIT"));
    passive();
    return pin_.execute(kBeginRead);
  }();
  CALF_CHECK_OK(writer_.execute("ROLLBACK"));
  CALF_CHECK_OK(done);
  return in_log == in_database;
}

Result<Snapshot> Source::snapshot(const std::function<Result<void>()>& with_writers_waiting) {
  CALF_TRY(Connection connection, Connection::open(database_));
  Snapshot snapshot(std::move(connection), log_of(database_));
  const auto begin = [&]() -> Result<void> {
    CALF_CHECK_OK(with_writers_waiting());
    CALF_CHECK_OK(snapshot.connection_.execute(kBeginRead));
    CALF_TRY(const std::int64_t size, snapshot.connection_.integer("PRAGMA page_size"));
    CALF_TRY(const std::int64_t count, snapshot.connection_.integer("PRAGMA page_count"));
    snapshot.page_size_ = static_cast<std::uint32_t>(size);
    snapshot.page_count_ = static_cast<std::uint32_t>(count);
    // When all of the log is in the database, the snapshot does not keep it from being begun anew:
    // then it must not be read. Asked after the transaction began, so that the answer stays true.
    int in_log = 0;
    int in_database = 0;
    sqlite3_wal_checkpoint_v2(idle_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, &in_log,
                              &in_database);
    CALF_TRY(const auto start, snapshot.log_.start());
    if (!start || in_log == in_database) return {};
    snapshot.in_log_.assign(std::size_t{snapshot.page_count_} + 1, 0);
    CALF_TRY(const WalCommits commits, snapshot.log_.commits_after(*start, UINT64_MAX));
    for (const WalFrame& frame : commits.frames) {
      if (frame.page <= snapshot.page_count_) snapshot.in_log_[frame.page] = frame.page_offset;
    }
    return {};
  };
  CALF_CHECK_OK(writer_.execute("BEGIN IMMEDIATE"));
  auto begun = begin();
  CALF_CHECK_OK(writer_.execute("ROLLBACK"));
  if (!begun) return fail(std::move(begun).error());
  return snapshot;
}

}  // namespace calf::archive
