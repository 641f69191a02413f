#include "sqlite/lateral_table.h"

#include <sqlite3.h>

#include <string>

#include "base/assert.h"
#include "sqlite/table_module.h"

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
  std::int64_t number = 0;
  bool ended = true;
  ~Cursor() { sqlite3_finalize(statement); }
};

using Module = TableModule<Table, Cursor>;

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
  int code = SQLITE_OK;
  auto* table = Module::declare(db, ("CREATE TABLE x(" + columns + ")").c_str(), out, code);
  if (table != nullptr) table->connection = db;
  return code;
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

int next(sqlite3_vtab_cursor* base) {
  auto& cursor = *static_cast<Cursor*>(base);
  const int code = sqlite3_step(cursor.statement);
  cursor.ended = code != SQLITE_ROW;
  ++cursor.number;
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
  cursor.number = 0;
  return next(base);
}

int column(sqlite3_vtab_cursor* base, sqlite3_context* context, int index) {
  auto& cursor = *static_cast<Cursor*>(base);
  if (index < sqlite3_column_count(cursor.statement))
    sqlite3_result_value(context, sqlite3_column_value(cursor.statement, index));
  return SQLITE_OK;
}

}  // namespace

void install_lateral_table(sqlite3* connection) {
  static const sqlite3_module kMethods = Module::with(connect, best_index, filter, next, column);
  const int made =
      sqlite3_create_module_v2(connection, "calf_lateral", &kMethods, nullptr, nullptr);
  ASSERT(made == SQLITE_OK);
}

}  // namespace calf::sqlite
