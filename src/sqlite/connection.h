// A SQLite connection for the engine's own small statements. Does not own it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sqlite/datum.h"

struct sqlite3;
struct sqlite3_stmt;

namespace calf::sqlite {

// The current row of a statement; valid during the callback only.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  [[nodiscard]] bool null(int column) const;
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;

 private:
  sqlite3_stmt* statement_;
};

class Connection {
 public:
  explicit Connection(sqlite3* handle) : handle_(handle) {}
  // Raise what SQLite says, as SQLSTATEs (see raise_sqlite).
  void execute(const std::string& sql, const std::vector<Datum>& parameters = {});
  void query(const std::string& sql, const std::function<void(const Row&)>& each,
             const std::vector<Datum>& parameters = {});

 private:
  sqlite3* handle_;
};

// SQLite's error as PostgreSQL's: 55P03 and 40001 for busy, 53100 for a full disk, 58030, XX001, …
[[noreturn]] void raise_sqlite(sqlite3* handle, int code);

}  // namespace calf::sqlite
