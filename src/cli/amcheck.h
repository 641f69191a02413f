// Looks into the tables and indexes of one database with PostgreSQL's amcheck.
#pragma once

#include <functional>

#include "cli/check_report.h"
#include "client/session.h"

namespace calf::cli {

// Checks every table (with TOAST), sequence, B-tree and GIN index of the session's database, the
// catalogs included, and adds what is wrong to `report`. Where amcheck is not installed it is, in a
// transaction that is rolled back. `progress(relation)` is called before each and stops the check
// by returning false. An Error: the session broke. Blocks.
Result<void> run_amcheck(client::Session& session, const std::string& database,
                         const std::function<bool(const std::string& relation)>& progress,
                         CheckReport& report);

// Rows of a query as text; NULL is empty. Fails with PostgreSQL's message.
Result<std::vector<std::vector<std::string>>> query_rows(client::Session& session,
                                                         std::string_view sql);

}  // namespace calf::cli
