#include "cli/amcheck.h"

#include <spdlog/fmt/fmt.h>

#include <cstdlib>

namespace calf::cli {
namespace {

using Row = std::vector<std::string>;

class RowCollector final : public client::QueryEvents {
 public:
  void row(std::span<const std::optional<std::string_view>> values) override {
    Row row;
    for (const auto& value : values) row.emplace_back(value.value_or(""));
    rows.push_back(std::move(row));
  }
  void error(const pgwire::Report& report) override {
    if (failure.empty()) failure = report.message;
    if (detail.empty()) detail = report.detail;
  }
  std::vector<Row> rows;
  std::string failure, detail;
};

// What amcheck can look at. Temporary tables are nobody's now; invalid indexes are not used.
constexpr const char* kTargets =
    "select c.oid, c.relkind = 'i', coalesce(a.amname, ''), format('%I.%I', n.nspname, c.relname), "
    "coalesce(pg_relation_filepath(c.oid), '') "
    "from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    "left join pg_am a on a.oid = c.relam left join pg_index i on i.indexrelid = c.oid "
    "where c.relpersistence <> 't' and (c.relkind in ('r', 't', 'm') and a.amname = 'heap' or "
    "c.relkind = 'S' or "
    "c.relkind = 'i' and a.amname in ('btree', 'gin') and i.indisvalid and i.indisready) "
    "order by c.relkind = 'i', c.oid";

struct Target {
  std::string oid, method, name, file;
  bool is_index = false;
};

std::string check_of(const Target& target, const std::string& schema) {
  if (!target.is_index)
    return fmt::format("select blkno, offnum, msg from {}.verify_heapam({}, check_toast := true)",
                       schema, target.oid);
  if (target.method == "gin")
    return fmt::format("select from {}.gin_index_check({})", schema, target.oid);
  return fmt::format("select from {}.bt_index_parent_check({}, true, true, true)", schema,
                     target.oid);
}

class Amcheck {
 public:
  Amcheck(client::Session& session, const std::string& database, CheckReport& report)
      : session_(session), database_(database), report_(report) {}

  // The schema that has amcheck's functions from now to the end of the transaction.
  Result<std::string> install() {
    CALF_CHECK_OK(execute(session_, "set client_min_messages = error; begin"));
    CALF_TRY(const auto schema, query_value(session_,
                                            "select extnamespace::regnamespace from pg_extension "
                                            "where extname = 'amcheck'"));
    if (schema) {
      CALF_CHECK_OK(execute(session_, "alter extension amcheck update"));
      return *schema;
    }
    CALF_CHECK_OK(
        execute(session_, "create schema calf_check; create extension amcheck schema calf_check"));
    return "calf_check";
  }

  Result<void> check(const Target& target, const std::string& schema) {
    RowCollector found;
    CALF_CHECK_OK(execute(session_, "savepoint one"));
    CALF_CHECK_OK(session_.query(check_of(target, schema), found));
    CALF_CHECK_OK(execute(session_, "rollback to one; release one"));
    ++(target.is_index ? report_.indexes : report_.tables);
    size_t listed = 0;
    for (const Row& row : found.rows) {
      if (row.empty()) continue;  // an index check answers an empty row
      constexpr size_t kListedPerTable = 20;
      if (++listed > kListedPerTable) {
        ++report_.problems_not_listed;
        continue;
      }
      CheckProblem problem = problem_in(target, row[2]);
      if (!row[0].empty()) problem.block = std::strtoull(row[0].c_str(), nullptr, 10);
      if (!row[1].empty()) problem.message += " (item " + row[1] + ")";
      report_.problems.push_back(std::move(problem));
    }
    if (!found.failure.empty())
      report_.problems.push_back(
          problem_in(target, found.failure + (found.detail.empty() ? "" : ": " + found.detail)));
    return {};
  }

 private:
  [[nodiscard]] CheckProblem problem_in(const Target& target, std::string message) const {
    return {.where = target.is_index ? "index" : "table",
            .database = database_,
            .relation = target.name,
            .file = target.file,
            .block = std::nullopt,
            .message = std::move(message)};
  }

  client::Session& session_;
  const std::string& database_;
  CheckReport& report_;
};

}  // namespace

Result<std::vector<Row>> query_rows(client::Session& session, std::string_view sql) {
  RowCollector found;
  CALF_CHECK_OK(session.query(sql, found));
  if (!found.failure.empty()) return fail(ErrorCode::kDataCorrupted, found.failure);
  return std::move(found.rows);
}

Result<void> run_amcheck(client::Session& session, const std::string& database,
                         const std::function<bool(const std::string& relation)>& progress,
                         CheckReport& report) {
  Amcheck amcheck(session, database, report);
  CALF_TRY(const auto rows, query_rows(session, kTargets));
  CALF_TRY(const std::string schema, amcheck.install());
  for (const Row& row : rows) {
    const Target target{
        .oid = row[0], .method = row[2], .name = row[3], .file = row[4], .is_index = row[1] == "t"};
    if (!progress(target.name)) return fail(ErrorCode::kCancelled, "interrupted");
    CALF_CHECK_OK(amcheck.check(target, schema));
  }
  ++report.databases;
  return execute(session, "rollback");
}

}  // namespace calf::cli
