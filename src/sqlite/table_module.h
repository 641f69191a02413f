// What SQLite's virtual tables of this engine have in common. A Table derives from sqlite3_vtab; a
// Cursor from sqlite3_vtab_cursor, and has `number` (of the row) and `ended`.
#pragma once

#include <sqlite3.h>

#include <new>

namespace calf::sqlite {

template <typename Table, typename Cursor>
class TableModule {
 public:
  using Connect = decltype(sqlite3_module::xConnect);
  using BestIndex = decltype(sqlite3_module::xBestIndex);
  using Filter = decltype(sqlite3_module::xFilter);
  using Next = decltype(sqlite3_module::xNext);
  using Column = decltype(sqlite3_module::xColumn);

  static sqlite3_module with(Connect connect, BestIndex best_index, Filter filter, Next next,
                             Column column) {
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
  }

  // Declares the table's columns and makes it; nullptr: `code` says why not.
  static Table* declare(sqlite3* connection, const char* declaration, sqlite3_vtab** out,
                        int& code) {
    code = sqlite3_declare_vtab(connection, declaration);
    if (code != SQLITE_OK) return nullptr;
    auto* table = new (std::nothrow) Table();
    if (table == nullptr) code = SQLITE_NOMEM;
    *out = table;
    return table;
  }

 private:
  static int disconnect(sqlite3_vtab* table) {
    delete static_cast<Table*>(table);
    return SQLITE_OK;
  }
  static int open(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
    auto* cursor = new (std::nothrow) Cursor();
    if (cursor == nullptr) return SQLITE_NOMEM;
    *out = cursor;
    return SQLITE_OK;
  }
  static int close(sqlite3_vtab_cursor* cursor) {
    delete static_cast<Cursor*>(cursor);
    return SQLITE_OK;
  }
  static int eof(sqlite3_vtab_cursor* cursor) {
    return static_cast<Cursor*>(cursor)->ended ? 1 : 0;
  }
  static int rowid(sqlite3_vtab_cursor* cursor, sqlite3_int64* out) {
    *out = static_cast<Cursor*>(cursor)->number;
    return SQLITE_OK;
  }
};

}  // namespace calf::sqlite
