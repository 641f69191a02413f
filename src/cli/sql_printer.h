// A query's events as psql's output: tables, command tags, notices and errors.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cli/sql_command.h"
#include "cli/table.h"

namespace calf::cli {

// For one query at a time: say begin() before each.
class SqlPrinter final : public client::QueryEvents {
 public:
  SqlPrinter(const SqlOptions& options, SqlStreams streams)
      : options_(options), streams_(streams) {}

  using CopySource = std::function<std::optional<std::string>()>;

  // `sql` is shown under errors; `prefix` stands before messages; `copy_source` gives COPY FROM
  // STDIN's data.
  void begin(std::string_view sql, std::string prefix, CopySource copy_source);

  void columns(std::vector<pgwire::ColumnDescription> columns) override;
  void row(std::span<const std::optional<std::string_view>> values) override;
  void complete(std::string_view command_tag) override;
  void error(const pgwire::Report& report) override;
  void notice(const pgwire::Report& report) override;
  void notification(const pgwire::Notification& notification) override;
  void copy_out(std::string_view data) override;
  std::optional<std::string> copy_in() override;

  // For messages that are not PostgreSQL's.
  void message(std::string_view text);

 private:
  void write(std::string_view text);
  void write_report(const pgwire::Report& report);

  const SqlOptions& options_;
  const SqlStreams streams_;
  std::string sql_;
  std::string prefix_;
  CopySource copy_source_;
  std::unique_ptr<TablePrinter> table_;
  bool copied_out_ = false;
};

}  // namespace calf::cli
