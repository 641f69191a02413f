#include "sqlite/session.h"

#include <sqlite3.h>

#include <algorithm>
#include <thread>

#include "base/log.h"
#include "pgwire/wire.h"
#include "sqlite/connection.h"
#include "sqlite/lateral_table.h"
#include "sqlite/session_guard.h"
#include "sqlite/system_tables.h"
#include "sqlite/utility.h"
#include "sqlite/virtual_tables.h"

namespace calf::sqlite {
namespace {

constexpr std::size_t kMaxMessageBytes = 256U << 20;
constexpr int kProgressSteps = 2000;

bool is_identifier_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// A byte offset (from 1) in characters.
std::uint32_t in_characters(std::string_view sql, std::uint32_t position) {
  const std::string_view front = sql.substr(0, position > 0 ? position - 1 : 0);
  return static_cast<std::uint32_t>(
             std::count_if(front.begin(), front.end(), [](char c) { return (c & 0xc0) != 0x80; })) +
         1;
}

// BEGIN IMMEDIATE and the like are SQLite's words: they become a setting and a plain BEGIN.
std::string accept_begin_modes(std::string_view sql) {
  std::string text(sql);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || text.size() < first + 5 ||
      sqlite3_strnicmp(text.c_str() + first, "begin", 5) != 0)
    return text;
  const std::size_t word = text.find_first_not_of(" \t\r\n", first + 5);
  for (const char* mode : {"deferred", "immediate", "exclusive"}) {
    const std::size_t size = std::string_view(mode).size();
    if (word == std::string::npos ||
        sqlite3_strnicmp(text.c_str() + word, mode, static_cast<int>(size)) != 0)
      continue;
    if (text.size() > word + size && is_identifier_byte(text[word + size])) continue;
    // As long as what it replaces: positions in messages stay right.
    return text.substr(0, first) + "BEGIN" + text.substr(first + 5, word - first - 5) +
           std::string(size, ' ') + text.substr(word + size);
  }
  return text;
}

std::string begin_mode_of(std::string_view sql) {
  const std::string text(sql);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || text.size() < first + 5 ||
      sqlite3_strnicmp(text.c_str() + first, "begin", 5) != 0)
    return {};
  const std::size_t word = text.find_first_not_of(" \t\r\n", first + 5);
  for (const char* mode : {"deferred", "immediate", "exclusive"}) {
    if (word != std::string::npos &&
        sqlite3_strnicmp(text.c_str() + word, mode,
                         static_cast<int>(std::string_view(mode).size())) == 0)
      return mode;
  }
  return {};
}

SqlError refused_commit(const Error& error) {
  const bool full = error.code == ErrorCode::kResourceExhausted;
  return {.report = {.severity = "ERROR",
                     .sqlstate = full ? "53000" : "25006",
                     .message = error.message,
                     .hint = error.hint}};
}

}  // namespace

Prepared::~Prepared() {
  sqlite3_finalize(compiled);
}

Portal::~Portal() {
  if (statement == nullptr) return;
  if (owns_statement) {
    sqlite3_finalize(statement);
  } else {
    sqlite3_reset(statement);
    prepared->in_use = false;
  }
}

Session::Session(std::shared_ptr<Database> database, const SessionOptions& options,
                 server::ClientConnection connection, std::uint32_t pid)
    : database_(std::move(database)),
      options_(options),
      startup_(std::move(connection.startup_packet)),
      io_(std::move(connection.transport), kMaxMessageBytes),
      encoder_(io_.out()),
      pid_(pid) {
  names_.temporary_schema = "pg_temp_" + std::to_string(pid_);
  in_process_ = io_.transport().peer().kind == net::Address::Kind::kInProcess;
}

Session::~Session() {
  portals_.clear();
  recent_.clear();
  prepared_.clear();
  for (const auto& [sql, statement] : own_statements_) sqlite3_finalize(statement);
  database_->advisory_locks().unlock_all(pid_, AdvisoryScope::kSession);
  database_->notifications().forget(pid_);
  if (catalog_ == nullptr) return;
  for (const auto& [name, sequence] : catalog_->sequences) {
    if (catalog_->is_temporary(sequence.schema)) database_->forget_sequence(sequence.oid);
  }
}

void Session::cancel() {
  cancelled_ = true;
}

void Session::terminate() {
  terminated_ = true;
  io_.wake();
}

bool Session::open_connection() {
  auto opened = database_->connect();
  if (!opened) {
    throw SqlError{
        .report = {.severity = "FATAL", .sqlstate = "58030", .message = opened.error().message},
        .fatal = true};
  }
  connection_ = std::move(*opened);
  sqlite3* db = connection_.get();
  install_functions(db, *this, pending_);
  install_virtual_tables(db, *this, pending_, [this](const Relation& relation) {
    return SystemTables(*this).rows(relation);
  });
  install_lateral_table(db);
  install_kept_rows(db, kept_rows_);
  sqlite3_progress_handler(
      db, kProgressSteps,
      [](void* self) {
        auto& session = *static_cast<Session*>(self);
        if (session.deadline_ && ClientIo::Clock::now() > *session.deadline_)
          session.timed_out_ = true;
        return session.cancelled_ || session.terminated_ || session.timed_out_ ? 1 : 0;
      },
      this);
  sqlite3_busy_handler(
      db, [](void* self, int) { return static_cast<Session*>(self)->await_writer() ? 1 : 0; },
      this);
  sqlite3_wal_hook(
      db,
      [](void* self, sqlite3*, const char*, int frames) {
        auto& session = *static_cast<Session*>(self);
        session.wal_frames_ = static_cast<std::uint32_t>(frames);
        session.committed_ = true;
        return SQLITE_OK;
      },
      this);
  sqlite3_commit_hook(
      db,
      [](void* self) {
        auto& session = *static_cast<Session*>(self);
        auto allowed = session.database_->may_write();
        if (allowed) return 0;
        session.pending_ = std::make_exception_ptr(refused_commit(allowed.error()));
        return 1;
      },
      this);
  conversion_.name_of = [this](Oid type, Oid object) {
    return SystemTables(*this).name_of(type, object);
  };
  conversion_.object_named = [this](Oid type, std::string_view name) {
    return SystemTables(*this).object_named(type, name);
  };
  apply_settings();
  conversion_.clock.now_micros = system_now_micros();
  return true;
}

void Session::run() {
  if (!log_in()) return;
  serve();
  if (in_sqlite_transaction()) {
    close_portals();
    try {
      rollback_now();
    } catch (const SqlError& error) {
      log::warn("rolling back at the end of a session: {}", error.report.message);
    }
  }
}

void Session::serve() {
  std::optional<ClientIo::Clock::time_point> deadline;
  bool nudged = false;
  while (!gone_) {
    pgwire::Message message;
    if (!std::exchange(nudged, false)) {
      const auto idle = settings_.now().idle_in_transaction_ms;
      deadline.reset();
      if (idle > 0 && (block_ == Block::kOpen || block_ == Block::kFailed))
        deadline = ClientIo::Clock::now() + std::chrono::milliseconds(idle);
    }
    switch (io_.receive_or_nudge(message, deadline)) {
      case ClientIo::Status::kMessage:
        break;
      case ClientIo::Status::kNudged:
        nudged = true;
        if (block_ == Block::kNone && !skip_until_sync_) deliver_notifications();
        continue;
      case ClientIo::Status::kClosed:
        return;
      case ClientIo::Status::kWoken:
        return refuse("57P01", "terminating connection due to administrator command");
      case ClientIo::Status::kTimeout:
        return refuse("25P03", "terminating connection due to idle-in-transaction timeout");
      case ClientIo::Status::kMalformed:
        return refuse("08P01", "invalid message length");
    }
    if (!handle(message)) break;
    if (terminated_) return refuse("57P01", "terminating connection due to administrator command");
  }
  io_.flush();
}

void Session::report(const SqlError& error, std::string_view sql) {
  pgwire::ErrorMessage message = error.report;
  if (message.position > 0) message.position = in_characters(sql, message.position);
  pgwire::put_bytes(io_.out(), pgwire::encode_error_response(message));
}

void Session::notice(const std::string& sqlstate, const std::string& message,
                     const char* severity) {
  pgwire::put_bytes(io_.out(),
                    pgwire::encode_notice_response(
                        {.severity = severity, .sqlstate = sqlstate, .message = message}));
}

void Session::ready() {
  for (const auto& [name, value] : settings_.take_reports()) encoder_.parameter_status(name, value);
  if (block_ == Block::kNone) deliver_notifications();
  encoder_.ready_for_query(status());
}

bool Session::handle(const pgwire::Message& message) {
  old_catalogs_.clear();
  const auto extended = [&](auto parsed, auto run) {
    if (skip_until_sync_) return true;
    if (!parsed) {
      refuse("08P01", parsed.error().message);
      return false;
    }
    if (!guarded(current_sql_, [&] { run(*parsed); })) {
      skip_until_sync_ = true;
      fail_block();
    }
    return io_.flush_if_large();
  };
  switch (message.type) {
    case 'Q': {
      const auto sql = pgwire::parse_query(message.body);
      if (!sql) {
        refuse("08P01", sql.error().message);
        return false;
      }
      simple_query(*sql);
      return true;
    }
    case 'P':
      return extended(pgwire::parse_parse(message.body), [&](const auto& m) { parse_message(m); });
    case 'B':
      return extended(pgwire::parse_bind(message.body), [&](const auto& m) { bind_message(m); });
    case 'D':
      return extended(pgwire::parse_named_object(message.body),
                      [&](const auto& m) { describe_message(m); });
    case 'E':
      return extended(pgwire::parse_execute(message.body),
                      [&](const auto& m) { execute_message(m); });
    case 'C':
      return extended(pgwire::parse_named_object(message.body),
                      [&](const auto& m) { close_message(m); });
    case 'S':
      sync();
      return true;
    case 'H':
      return io_.flush();
    case 'X':
      return false;
    case 'd':
    case 'c':
    case 'f':
      return true;  // what is left of a COPY that has failed
    case 'F':
      if (!guarded("", [] { unsupported("the function call protocol"); })) ready();
      return true;
    default:
      refuse("08P01", "invalid frontend message type " +
                          std::to_string(static_cast<unsigned char>(message.type)));
      return false;
  }
}

void Session::simple_query(std::string_view sql) {
  cancelled_ = false;
  const std::string original(sql);
  const std::string mode = begin_mode_of(original);
  std::shared_ptr<const Script> script;
  const bool fine = guarded(original, [&] {
    portals_.erase("");
    // The same text again needs no parser.
    const auto known = std::find_if(recent_.begin(), recent_.end(),
                                    [&](const auto& entry) { return entry.first == original; });
    script = known != recent_.end()
                 ? known->second->script
                 : Script::parse(mode.empty() ? original : accept_begin_modes(original));
    if (script->size() == 0) encoder_.bare('I');
    const bool several = script->size() > 1;
    for (std::size_t i = 0; i < script->size(); ++i) {
      if (several && block_ == Block::kNone && !CALF_IS(&script->statement(i), TRANSACTION_STMT))
        begin_implicit();
      if (i == 0 && !mode.empty()) {
        settings_.set("calf.transaction_mode", mode, false);
        run_simple(script, i);
        settings_.reset("calf.transaction_mode");
      } else {
        run_simple(script, i);
      }
      if (!io_.flush_if_large()) gone_ = true;
    }
    if (block_ == Block::kImplicit) end_implicit(true);
  });
  if (!fine) fail_block();
  ready();
}

void Session::run_simple(const std::shared_ptr<const Script>& script, std::size_t index) {
  current_sql_ = script->sql();
  old_catalogs_.clear();
  std::shared_ptr<Prepared> prepared;
  const auto known = std::find_if(recent_.begin(), recent_.end(),
                                  [&](const auto& entry) { return entry.first == script->sql(); });
  if (known != recent_.end()) {
    recent_.splice(recent_.begin(), recent_, known);
    prepared = recent_.front().second;
  } else {
    begin_statement();
    prepared = prepare(script, index, {});
    prepared->fixed_result = false;
    constexpr std::size_t kKept = 32;
    constexpr std::size_t kLongest = 4096;
    if (script->size() == 1 && prepared->query && prepared->parameter_types.empty() &&
        script->sql().size() <= kLongest) {
      recent_.emplace_front(script->sql(), prepared);
      if (recent_.size() > kKept) recent_.pop_back();
    }
  }
  if (!prepared->parameter_types.empty()) raise("42P02", "there is no parameter $1");
  Portal portal;
  portal.prepared = std::move(prepared);
  execute(portal, 0, true);
}

SqlError Session::sqlite_error(int code) {
  if (pending_ != nullptr) {
    const std::exception_ptr pending = std::exchange(pending_, nullptr);
    try {
      std::rethrow_exception(pending);
    } catch (const SqlError& error) {
      return error;
    } catch (const std::exception& error) {
      return {.report = {.severity = "ERROR", .sqlstate = "XX000", .message = error.what()}};
    }
  }
  if (terminated_)
    return {.report = {.sqlstate = "57P01",
                       .message = "terminating connection due to administrator command"},
            .fatal = true};
  if (timed_out_)
    return {.report = {.severity = "ERROR",
                       .sqlstate = "57014",
                       .message = "canceling statement due to statement timeout"}};
  if (cancelled_)
    return {.report = {.severity = "ERROR",
                       .sqlstate = "57014",
                       .message = "canceling statement due to user request"}};
  const std::string message = sqlite3_errmsg(connection_.get());
  if ((code & 0xff) == SQLITE_CONSTRAINT) return constraint_error(message);
  if (lock_nowait_ && (code & 0xff) == SQLITE_BUSY)
    return {.report = {.severity = "ERROR",
                       .sqlstate = "55P03",
                       .message = "could not obtain lock on rows: another session is writing"}};
  try {
    raise_sqlite(connection_.get(), code);
  } catch (const SqlError& error) {
    return error;
  }
}

// "UNIQUE constraint failed: t.a, t.b" and its relatives, as PostgreSQL says them.
SqlError Session::constraint_error(const std::string& message) {
  SqlError error{.report = {.severity = "ERROR", .sqlstate = "23000", .message = message}};
  pgwire::ErrorMessage& r = error.report;
  const std::size_t colon = message.find(": ");
  const std::string subject = colon == std::string::npos ? "" : message.substr(colon + 2);
  const Catalog& catalog = this->catalog();
  // t.a, t.b: the table's name may have dots of its own.
  const auto split = [&](std::string& table, std::vector<std::string>& columns) {
    std::string_view rest = subject;
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(", "), rest.size());
      const std::string_view item = rest.substr(0, comma);
      const std::size_t dot = item.rfind('.');
      if (dot != std::string_view::npos) {
        table = item.substr(0, dot);
        columns.emplace_back(item.substr(dot + 1));
      }
      rest.remove_prefix(std::min(comma + 2, rest.size()));
    }
  };
  std::string table_name;
  std::vector<std::string> columns;
  split(table_name, columns);
  const Relation* table = catalog.by_sqlite_name(table_name);
  if (table != nullptr) {
    r.schema = table->schema;
    r.table = table->name;
  }
  if (message.starts_with("NOT NULL")) {
    r.sqlstate = "23502";
    r.column = columns.empty() ? "" : columns[0];
    r.message = "null value in column \"" + r.column + "\" of relation \"" + r.table +
                "\" violates not-null constraint";
  } else if (message.starts_with("UNIQUE") || message.starts_with("PRIMARY KEY")) {
    r.sqlstate = "23505";
    if (subject.starts_with("index '")) r.constraint = subject.substr(7, subject.size() - 8);
    if (table != nullptr) {
      for (const Index& index : table->indexes) {
        const bool same =
            index.unique && index.columns.size() == columns.size() &&
            std::equal(columns.begin(), columns.end(), index.columns.begin(),
                       [](const std::string& a, const IndexColumn& b) { return a == b.text; });
        if (same && r.constraint.empty()) r.constraint = index.name;
      }
    }
    if (const std::size_t dot = r.constraint.find('.'); dot != std::string::npos)
      r.constraint.erase(0, dot + 1);
    r.message = "duplicate key value violates unique constraint \"" + r.constraint + "\"";
  } else if (message.starts_with("CHECK")) {
    r.sqlstate = "23514";
    r.constraint = subject;
    for (const auto& [name, relation] : catalog.relations) {
      for (const TableConstraint& constraint : relation.constraints) {
        if (constraint.kind == 'c' && constraint.name == subject && r.table.empty()) {
          r.table = relation.name;
          r.schema = relation.schema;
        }
      }
    }
    r.message =
        "new row for relation \"" + r.table + "\" violates check constraint \"" + subject + "\"";
  } else if (message.starts_with("FOREIGN KEY")) {
    r.sqlstate = "23503";
    r.message = "insert, update or delete violates a foreign key constraint";
  }
  return error;
}

}  // namespace calf::sqlite
