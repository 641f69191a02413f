// SQLite virtual tables of this engine: calf_rows, which calls a function that returns rows, and
// one for each relation of pg_catalog.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "sqlite/functions.h"

struct sqlite3;

namespace calf::sqlite {

struct Relation;

// The rows of a system relation as they are now.
using SystemRows = std::function<std::unique_ptr<RowSource>(const Relation&)>;

// `host` and `pending` as for install_functions; both live as long as the connection.
void install_virtual_tables(sqlite3* connection, FunctionHost& host, std::exception_ptr& pending,
                            SystemRows system_rows);

// Rows that are all there.
std::unique_ptr<RowSource> make_rows(std::vector<std::vector<Datum>> rows);

}  // namespace calf::sqlite
