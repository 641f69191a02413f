#include "sqlite/lateral_table.h"

#include <sqlite3.h>

#include <new>
#include <string>

#include "base/assert.h"

namespace calf::sqlite {
namespace {

constexpr int kQuery = kMaxLateralColumns;  // the hidden column of the query's text

struct Table : sqlite3_vtab {
  sqlite3* connection = nullptr;
};

// Keeps its statement from one row of the outer query to the next.
struct Cursor : sqlite3_vtab_cursor {
  sqlite3_stmt* statement = nullptr;
  std::string sql{};
  std::int64_t row = 0;
  bool ended = true;
};

int fail(Cursor& cursor, int code) {
  auto& table = *static_cast<Table*>(cursor.pVtab);
  sqlite3_free(table.zErrMsg);
  table.zErrMsg = sqlite3_mprintf("%s", sqlite3_errmsg(table.connection));
  cursor.ended = true;
  return code;
}

int connect(sqlite3* db, void*, int, const char* const*, sqlite3_vtab** out, char**) {
  std::string columns;
  for (int i = 1; i <= kMaxLateralColumns; ++i) columns += "c" + std::to_string(i) + ", ";
  columns += "query HIDDEN";
  for (int i = 1; i <= kMaxLateralArguments; ++i) columns += ", a" + std::to_string(i) + " HIDDEN";
  const int declared = sqlite3_declare_vtab(db, ("CREATE TABLE x(" + columns + ")").c_str());
  if (declared != SQLITE_OK) return declared;
  auto* table = new (std::nothrow) Table();
  if (table == nullptr) return SQLITE_NOMEM;
  table->connection = db;
  *out = table;
  return SQLITE_OK;
}

int disconnect(sqlite3_vtab* table) {
  delete static_cast<Table*>(table);
  return SQLITE_OK;
}

// All hidden columns that are given must be usable: they are the call.
int best_index(sqlite3_vtab*, sqlite3_index_info* info) {
  info->estimatedCost = 100;
  info->estimatedRows = 10;
  bool query = false;
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto& constraint = info->aConstraint[i];
    if (constraint.iColumn < kQuery || constraint.op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
    if (constraint.usable == 0) return SQLITE_CONSTRAINT;
    info->aConstraintUsage[i].argvIndex = constraint.iColumn - kQuery + 1;
    info->aConstraintUsage[i].omit = 1;
    query = query || constraint.iColumn == kQuery;
  }
  return query ? SQLITE_OK : SQLITE_CONSTRAINT;
}

int open(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
  auto* cursor = new (std::nothrow) Cursor();
  if (cursor == nullptr) return SQLITE_NOMEM;
  *out = cursor;
  return SQLITE_OK;
}

int close(sqlite3_vtab_cursor* base) {
  auto* cursor = static_cast<Cursor*>(base);
  sqlite3_finalize(cursor->statement);
  delete cursor;
  return SQLITE_OK;
}

int next(sqlite3_vtab_cursor* base) {
  auto& cursor = *static_cast<Cursor*>(base);
  const int code = sqlite3_step(cursor.statement);
  cursor.ended = code != SQLITE_ROW;
  ++cursor.row;
  return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : fail(cursor, code);
}

int filter(sqlite3_vtab_cursor* base, int, const char*, int count, sqlite3_value** values) {
  auto& cursor = *static_cast<Cursor*>(base);
  const std::string sql(reinterpret_cast<const char*>(sqlite3_value_text(values[0])),
                        static_cast<std::size_t>(sqlite3_value_bytes(values[0])));
  if (cursor.statement == nullptr || cursor.sql != sql) {
    sqlite3_finalize(cursor.statement);
    cursor.statement = nullptr;
    cursor.sql = sql;
    const int code =
        sqlite3_prepare_v2(static_cast<Table*>(cursor.pVtab)->connection, sql.c_str(),
                           static_cast<int>(sql.size()) + 1, &cursor.statement, nullptr);
    if (code != SQLITE_OK) return fail(cursor, code);
  }
  sqlite3_reset(cursor.statement);
  for (int i = 1; i < count; ++i) sqlite3_bind_value(cursor.statement, i, values[i]);
  cursor.row = 0;
  return next(base);
}

int eof(sqlite3_vtab_cursor* cursor) {
  return static_cast<Cursor*>(cursor)->ended ? 1 : 0;
}

int column(sqlite3_vtab_cursor* base, sqlite3_context* context, int index) {
  auto& cursor = *static_cast<Cursor*>(base);
  if (index < sqlite3_column_count(cursor.statement))
    sqlite3_result_value(context, sqlite3_column_value(cursor.statement, index));
  return SQLITE_OK;
}

int rowid(sqlite3_vtab_cursor* cursor, sqlite3_int64* out) {
  *out = static_cast<Cursor*>(cursor)->row;
  return SQLITE_OK;
}

const sqlite3_module& methods() {
  static const sqlite3_module made = [] {
    sqlite3_module m{};
    m.xConnect = connect;
    m.xBestIndex = best_index;
    m.xDisconnect = disconnect;
    m.xOpen = open;
    m.xClose = close;
    m.xFilter = filter;
    m.xNext = next;
    m.xEof = eof;
    m.xColumn = column;
    m.xRowid = rowid;
    return m;
  }();
  return made;
}

}  // namespace

void install_lateral_table(sqlite3* connection) {
  const int made =
      sqlite3_create_module_v2(connection, "calf_lateral", &methods(), nullptr, nullptr);
  ASSERT(made == SQLITE_OK);
}

}  // namespace calf::sqlite
