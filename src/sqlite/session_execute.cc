// Running statements: from a prepared one through SQLite to rows for the client.
#include <sqlite3.h>

#include <algorithm>
#include <unordered_set>

#include "pgwire/wire.h"
#include "sqlite/connection.h"
#include "sqlite/session.h"
#include "sqlite/utility.h"

namespace calf::sqlite {
namespace {

bool is_query(const pg::Node& node) {
  return CALF_IS(&node, SELECT_STMT) || CALF_IS(&node, INSERT_STMT) ||
         CALF_IS(&node, UPDATE_STMT) || CALF_IS(&node, DELETE_STMT) || CALF_IS(&node, MERGE_STMT);
}

bool ends_a_block(const pg::Node& node) {
  if (!CALF_IS(&node, TRANSACTION_STMT)) return false;
  const auto kind = node.transaction_stmt->kind;
  return kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT ||
         kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK ||
         kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO;
}

bool same_in_result(const OutputColumn& a, const OutputColumn& b) {
  return a.name == b.name && a.type == b.type;
}

void set_size(pgwire::Bytes& out, std::size_t at) {
  const auto size = static_cast<std::uint32_t>(out.size() - at - 4);
  for (int i = 0; i < 4; ++i)
    out[at + static_cast<std::size_t>(i)] = static_cast<std::byte>(size >> (24 - 8 * i));
}

}  // namespace

// What conversions and lookups take from the settings.
void Session::apply_settings() {
  if (std::exchange(applied_settings_, settings_.changes()) == settings_.changes()) return;
  conversion_.clock.zone = Zone::find(settings_.now().time_zone);
  conversion_.bytea_escape = settings_.now().bytea_escape;
  conversion_.interval_iso = settings_.now().interval_iso;
  std::vector<std::string> path;
  for (const std::string& name : settings_.now().search_path)
    path.push_back(name == "$user" ? user_ : name);
  if (path == names_.path) return;
  names_.path = std::move(path);
  forget_catalog();
}

std::shared_ptr<Prepared> Session::prepare(std::shared_ptr<const Script> script, std::size_t index,
                                           std::vector<Oid> types) {
  auto prepared = std::make_shared<Prepared>();
  prepared->script = std::move(script);
  prepared->index = index;
  prepared->declared_types = std::move(types);
  prepared->query = is_query(prepared->node());
  check_block(prepared->node());
  if (prepared->query) {
    analyze(*prepared, prepared->declared_types);
  } else {
    prepared->parameter_types = prepared->declared_types;
    prepared->statement.columns = Utility(*this).columns(*prepared);
  }
  return prepared;
}

void Session::analyze(Prepared& prepared, const std::vector<Oid>& types) {
  const Catalog& now = catalog();
  Analyzer analyzer({.catalog = &now,
                     .conversion = &conversion_,
                     .parameter_types = types,
                     .steps = true,
                     .merge = prepared.script->merge()});
  prepared.statement = analyzer.analyze(prepared.node());
  prepared.parameter_types = analyzer.parameter_types();
  prepared.generation = catalog_generation_;
  prepared.environment = settings_.now().environment;
  sqlite3_finalize(std::exchange(prepared.compiled, nullptr));
}

// Analyzes again when tables or settings have changed since. What the client was told stays: the
// parameters' types, and the columns of the result.
void Session::refresh(Prepared& prepared) {
  if (!prepared.query || prepared.in_use) return;
  catalog();
  if (prepared.generation == catalog_generation_ &&
      prepared.environment == settings_.now().environment)
    return;
  if (!prepared.fixed_result) return analyze(prepared, prepared.declared_types);
  const std::vector<OutputColumn> before = prepared.statement.columns;
  analyze(prepared, std::vector<Oid>(prepared.parameter_types));
  if (std::equal(before.begin(), before.end(), prepared.statement.columns.begin(),
                 prepared.statement.columns.end(), same_in_result))
    return;
  // Not for what comes later, either.
  prepared.statement.columns = before;
  prepared.generation = 0;
  raise("0A000", "cached plan must not change result type");
}

void Session::check_block(const pg::Node& node) const {
  if (block_ == Block::kFailed && !ends_a_block(node)) {
    raise("25P02",
          "current transaction is aborted, commands ignored until end of transaction block");
  }
}

void Session::begin_statement() {
  timed_out_ = false;
  apply_settings();
  const auto after = [](std::int64_t ms) {
    return ms > 0 ? std::optional(ClientIo::Clock::now() + std::chrono::milliseconds(ms))
                  : std::nullopt;
  };
  deadline_ = after(settings_.now().statement_timeout_ms);
  lock_deadline_ = after(settings_.now().lock_timeout_ms);
  if (block_ == Block::kNone) conversion_.clock.now_micros = system_now_micros();
}

int Session::step(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  if (code == SQLITE_ROW || code == SQLITE_DONE) return code;
  SqlError error = sqlite_error(code);
  sqlite3_reset(statement);
  throw error;
}

// Sees whether a row of one table changes twice while it lives.
class ChangesOnce {
 public:
  ChangesOnce(sqlite3* connection, const std::string& table)
      : connection_(connection), table_(table) {
    if (!table_.empty()) sqlite3_update_hook(connection_, changed, this);
  }
  ~ChangesOnce() {
    if (!table_.empty()) sqlite3_update_hook(connection_, nullptr, nullptr);
  }
  ChangesOnce(const ChangesOnce&) = delete;
  ChangesOnce& operator=(const ChangesOnce&) = delete;
  [[nodiscard]] bool twice() const { return twice_; }

 private:
  static void changed(void* self, int what, const char*, const char* table, sqlite3_int64 row) {
    auto& once = *static_cast<ChangesOnce*>(self);
    if (once.table_ != table) return;
    if (!once.rows_.insert(row).second && what == SQLITE_UPDATE) once.twice_ = true;
  }

  sqlite3* connection_;
  const std::string& table_;
  std::unordered_set<std::int64_t> rows_;
  bool twice_ = false;
};

// A transaction that has read is not made to wait by SQLite, but told that somebody else writes.
// All changes are made here. `once`: a table whose rows may change only once (ON CONFLICT).
int Session::first_step(sqlite3_stmt* statement, const std::string& once) {
  const ChangesOnce changes(connection_.get(), once);
  while (true) {
    const int code = sqlite3_step(statement);
    if (changes.twice()) {
      sqlite3_reset(statement);
      raise("21000", "ON CONFLICT DO UPDATE command cannot affect row a second time",
            "Ensure that no rows proposed for insertion within the same command have duplicate "
            "constrained values.");
    }
    if (code == SQLITE_ROW || code == SQLITE_DONE) return code;
    if (code != SQLITE_BUSY || !await_writer()) {
      SqlError error = sqlite_error(code);
      sqlite3_reset(statement);
      throw error;
    }
    sqlite3_reset(statement);
  }
}

void Session::describe(const std::vector<OutputColumn>& columns,
                       const std::vector<std::int16_t>& formats) {
  std::vector<pgwire::ColumnDescription> out;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const OutputColumn& column = columns[i];
    const std::int16_t format = formats.empty()       ? std::int16_t{0}
                                : formats.size() == 1 ? formats[0]
                                : i < formats.size()  ? formats[i]
                                                      : std::int16_t{0};
    out.push_back({.name = column.name,
                   .table_oid = column.table,
                   .column_number = column.number,
                   .type_oid = column.type.oid,
                   .type_size = size_of(column.type.oid),
                   .type_modifier = column.type.typmod,
                   .format = format});
  }
  encoder_.row_description(out);
}

// Runs a portal until its end or `max_rows` rows. True: it has ended.
bool Session::execute(Portal& portal, std::uint32_t max_rows, bool with_description) {
  Prepared& prepared = *portal.prepared;
  check_block(prepared.node());
  if (!portal.started) {
    begin_statement();
    const auto allowed = database_->may_read();
    if (!allowed && !ends_a_block(prepared.node()))
      raise("55000", allowed.error().message, allowed.error().hint);
    start(portal);
  }
  const bool query = prepared.query;
  const auto& columns = query ? prepared.statement.columns : portal.columns;
  if (with_description && !columns.empty()) describe(columns, portal.formats);
  const bool ended = columns.empty() ? true : send_rows(portal, max_rows);
  if (!ended) {
    encoder_.bare('s');
    return false;
  }
  if (query) {
    const std::string& tag = prepared.statement.tag;
    const std::int64_t count = tag == "SELECT"    ? portal.rows
                               : portal.collected ? portal.changed
                                                  : sqlite3_changes64(connection_.get());
    portal.tag = tag + " " + std::to_string(count);
    stop(portal);
    if (std::exchange(portal.alone, false)) {
      block_ = Block::kNone;
      commit_now();
    }
    if (block_ == Block::kNone) release_transaction_locks();
  } else if (portal.tag == "SELECT" || portal.tag == "FETCH") {
    portal.tag += " " + std::to_string(portal.rows);
  }
  if (block_ == Block::kNone) publish_notifications();
  after_commit();
  portal.finished = true;
  if (!portal.tag.empty()) encoder_.command_complete(portal.tag);
  return true;
}

void Session::start(Portal& portal) {
  Prepared& prepared = *portal.prepared;
  portal.started = true;
  if (!prepared.query) {
    Utility(*this).run(portal);
    return;
  }
  const Statement& statement = prepared.statement;
  // Numbers that are handed out are written down with the commit, so there must be one of ours.
  if (block_ == Block::kNone &&
      (statement.writes || statement.uses_sequences || !statement.lock_table.empty())) {
    begin_implicit();
    portal.alone = true;
  }
  if (statement.writes && !statement.writes_temporary) take_writers_place();
  if (!statement.lock_table.empty()) {
    lock_nowait_ = statement.lock_nowait;
    try {
      raw("DELETE FROM " + quote_name(statement.lock_table) + " WHERE 0");
    } catch (...) {
      lock_nowait_ = false;
      throw;
    }
    lock_nowait_ = false;
  }
  if (statement.stepwise()) return start_steps(portal);
  while (!start_query(portal)) {
  }
  if (!portal.row_ready) stop(portal);
}

sqlite3_stmt* Session::compile(const std::string& sql) {
  sqlite3_stmt* made = nullptr;
  const int code =
      sqlite3_prepare_v3(connection_.get(), sql.c_str(), static_cast<int>(sql.size()) + 1,
                         SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  if (code != SQLITE_OK) throw sqlite_error(code);
  return made;
}

// False: the tables changed between the analysis and the first row.
bool Session::start_query(Portal& portal) {
  Prepared& prepared = *portal.prepared;
  refresh(prepared);
  const bool fixed = snapshot_is_fixed();
  if (prepared.compiled == nullptr || prepared.in_use) {
    sqlite3_stmt* made = compile(prepared.statement.sql);
    portal.owns_statement = prepared.in_use;
    if (!prepared.in_use) prepared.compiled = made;
    portal.statement = made;
  } else {
    portal.statement = prepared.compiled;
  }
  if (!portal.owns_statement) prepared.in_use = true;
  for (std::size_t i = 0; i < portal.parameters.size(); ++i)
    portal.parameters[i].bind(portal.statement, static_cast<int>(i) + 1);
  portal.row_ready = first_step(portal.statement, prepared.statement.once) == SQLITE_ROW;
  if (fixed || schema_dirty_ || prepared.statement.writes || portal.owns_statement ||
      database_->schema_is(prepared.generation))
    return true;
  stop(portal);
  return false;
}

// Ends SQLite's part: in autocommit this is where the transaction ends.
void Session::stop(Portal& portal) {
  if (portal.statement == nullptr) return;
  sqlite3_stmt* statement = std::exchange(portal.statement, nullptr);
  int code = SQLITE_OK;
  if (portal.owns_statement) {
    code = sqlite3_finalize(statement);
  } else {
    code = sqlite3_reset(statement);
    portal.prepared->in_use = false;
  }
  if (code != SQLITE_OK) throw sqlite_error(code);
}

bool Session::send_rows(Portal& portal, std::uint32_t max_rows) {
  std::uint32_t sent = 0;
  if (!portal.prepared->query || portal.collected) {
    while (portal.next_result < portal.results.size()) {
      if (max_rows != 0 && sent == max_rows) return false;
      send_values(portal, portal.results[portal.next_result++]);
      ++portal.rows;
      ++sent;
    }
    return true;
  }
  while (portal.row_ready) {
    if (max_rows != 0 && sent == max_rows) return false;
    send_row(portal, portal.statement);
    ++portal.rows;
    ++sent;
    portal.row_ready = step(portal.statement) == SQLITE_ROW;
    if (!io_.flush_if_large())
      throw SqlError{.report = {.sqlstate = "08006", .message = "the client is gone"},
                     .fatal = true};
  }
  return true;
}

void Session::put_value(const Datum& value, Oid type, std::int16_t format) {
  pgwire::Bytes& out = io_.out();
  if (value.null()) {
    pgwire::put_u32(out, 0xffffffff);
    return;
  }
  const std::size_t at = out.size();
  pgwire::put_u32(out, 0);
  pgwire::put_text(
      out, format == 1 ? to_binary(value, type, conversion_) : to_text(value, type, conversion_));
  set_size(out, at);
}

std::int16_t Session::format_of(const Portal& portal, std::size_t column) {
  if (portal.formats.empty()) return 0;
  return portal.formats.size() == 1 ? portal.formats[0] : portal.formats[column];
}

// An ordinary SQLite table may hold anything anywhere.
Datum Session::fitting(Datum value, const OutputColumn& column) const {
  const Storage storage = storage_of(column.type.oid);
  const bool fits = value.null() ||
                    (storage == Storage::kInteger && value.kind == Datum::Kind::kInteger) ||
                    (storage == Storage::kReal && value.kind != Datum::Kind::kText &&
                     value.kind != Datum::Kind::kBlob) ||
                    (storage == Storage::kText && value.kind == Datum::Kind::kText) ||
                    (storage == Storage::kBlob && value.kind == Datum::Kind::kBlob);
  if (fits) return value;
  if (storage == Storage::kText && value.kind != Datum::Kind::kBlob)
    return Datum::of(to_text(value, oid::kUnknown, conversion_));
  raise("22P02",
        "column \"" + column.name + "\" holds a value that is not of type " +
            format_type({column.type.oid}),
        "The table was not made by this engine. Read it as CAST(column AS text) in SQLite, "
        "or repair the value.");
}

void Session::send_row(const Portal& portal, sqlite3_stmt* statement) {
  const auto& columns = portal.prepared->statement.columns;
  const pgwire::MessageBuilder message(io_.out(), 'D');
  pgwire::put_u16(io_.out(), static_cast<std::uint16_t>(columns.size()));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    put_value(fitting(Datum::column(statement, static_cast<int>(i)), columns[i]),
              columns[i].type.oid, format_of(portal, i));
  }
}

void Session::send_values(const Portal& portal, const std::vector<Datum>& values) {
  const auto& columns = portal.collected ? portal.prepared->statement.columns : portal.columns;
  const pgwire::MessageBuilder message(io_.out(), 'D');
  pgwire::put_u16(io_.out(), static_cast<std::uint16_t>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i)
    put_value(values[i], columns[i].type.oid, format_of(portal, i));
}

// A transaction that has read sees the tables of its snapshot, whatever others have done since.
const Catalog& Session::catalog() {
  if (catalog_ != nullptr && (schema_dirty_ || (catalog_settled_ && in_sqlite_transaction())))
    return *catalog_;
  const bool fixed = snapshot_is_fixed();
  if (catalog_ == nullptr || !database_->schema_is(catalog_generation_)) {
    // Which generation a snapshot shows that was taken earlier, nobody knows any more.
    const std::uint64_t generation = schema_dirty_ ? catalog_generation_
                                     : fixed       ? own_generation()
                                                   : database_->settled_schema_generation();
    forget_catalog();
    catalog_ = Catalog::load(connection_.get(), names_);
    catalog_generation_ = generation;
  }
  catalog_settled_ = snapshot_is_fixed();
  return *catalog_;
}

// Never equal to one of the database's.
std::uint64_t Session::own_generation() {
  return (std::uint64_t{1} << 63) | ++own_generations_;
}

void Session::forget_catalog() {
  if (catalog_ != nullptr) old_catalogs_.push_back(std::move(catalog_));
  catalog_ = nullptr;
}

// After a change of the schema in this transaction.
void Session::schema_changed() {
  schema_dirty_ = true;
  forget_catalog();
  catalog_generation_ = own_generation();
  recent_.clear();
}

}  // namespace calf::sqlite
