// LATERAL: SQLite has no subqueries in FROM that see what stands before them, but it calls
// table-valued functions so. calf_lateral('SELECT …', ?1, ?2, …) runs a query for each row of what
// stands before it; its columns are c1, c2, ….
#pragma once

struct sqlite3;

namespace calf::sqlite {

// What the query may take from outside, and how many columns it may have.
constexpr int kMaxLateralArguments = 32;
constexpr int kMaxLateralColumns = 100;

void install_lateral_table(sqlite3* connection);

}  // namespace calf::sqlite
