#include "sqlite/connection.h"

#include <sqlite3.h>

#include <memory>

#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

Statement prepare(sqlite3* handle, const std::string& sql, const std::vector<Datum>& parameters) {
  sqlite3_stmt* made = nullptr;
  const int code =
      sqlite3_prepare_v2(handle, sql.c_str(), static_cast<int>(sql.size()), &made, nullptr);
  Statement statement(made);
  if (code != SQLITE_OK) raise_sqlite(handle, code);
  for (std::size_t i = 0; i < parameters.size(); ++i)
    parameters[i].bind(made, static_cast<int>(i) + 1);
  return statement;
}

}  // namespace

bool Row::null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}
std::string Row::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return data == nullptr
             ? ""
             : std::string(data,
                           static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
}
std::int64_t Row::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

void Connection::execute(const std::string& sql, const std::vector<Datum>& parameters) {
  query(sql, [](const Row&) {}, parameters);
}

void Connection::query(const std::string& sql, const std::function<void(const Row&)>& each,
                       const std::vector<Datum>& parameters) {
  const Statement statement = prepare(handle_, sql, parameters);
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement.get())) == SQLITE_ROW) each(Row(statement.get()));
  if (code != SQLITE_DONE) raise_sqlite(handle_, code);
}

void raise_sqlite(sqlite3* handle, int code) {
  const int extended = sqlite3_extended_errcode(handle);
  const std::string message = sqlite3_errmsg(handle);
  switch (code & 0xff) {
    case SQLITE_BUSY:
      if (extended == SQLITE_BUSY_SNAPSHOT) {
        raise("40001", "could not serialize access due to concurrent update");
      }
      raise("55P03", "canceling statement due to lock timeout",
            "Another session is writing; this database has one writer at a time.");
    case SQLITE_LOCKED:
      raise("55006", "the object is in use by a query of this session: " + message);
    case SQLITE_INTERRUPT:
      raise("57014", "canceling statement due to user request");
    case SQLITE_FULL:
      raise("53100", "could not extend the database file: " + message);
    case SQLITE_NOMEM:
      raise("53200", "out of memory");
    case SQLITE_READONLY:
      raise("25006", "cannot write: the database file is read-only");
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      raise("58030", "could not access the database file: " + message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      raise("XX001", "the database file is damaged: " + message);
    case SQLITE_TOOBIG:
      raise("54000", "string or statement too large: " + message);
    default:
      if (message.starts_with("ON CONFLICT clause does not match")) {
        raise("42P10",
              "there is no unique or exclusion constraint matching the ON CONFLICT specification");
      }
      if (message == "parser stack overflow" ||
          message.starts_with("Expression tree is too large")) {
        raise("54001", "stack depth limit exceeded",
              "The expression is nested too deeply for SQLite.");
      }
      if (message == "integer overflow") raise("22003", "bigint out of range");
      raise("XX000", message);
  }
}

}  // namespace calf::sqlite
