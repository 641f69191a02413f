// Rows that one statement of PostgreSQL keeps from one step to the next where SQLite needs several
// statements: what a part of WITH returned, a table as it was. SQLite reads them as
// calf_kept(number), whose columns are c1, c2, ….
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "sqlite/datum.h"

struct sqlite3;

namespace calf::sqlite {

constexpr int kMaxKeptColumns = 200;

// One thread: the session's.
class KeptRows {
 public:
  using Rows = std::vector<std::vector<Datum>>;

  void add(int number, std::vector<Datum> row);  // raises 53200 when there is no room for it
  // nullptr: none of this number.
  [[nodiscard]] const Rows* find(int number) const;
  void clear();

 private:
  std::map<int, Rows> rows_;
  std::size_t bytes_ = 0;
};

// `kept` lives as long as the connection.
void install_kept_rows(sqlite3* connection, const KeptRows& kept);

}  // namespace calf::sqlite
