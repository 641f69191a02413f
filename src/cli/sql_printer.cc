#include "cli/sql_printer.h"

#include <utility>

#include "cli/report_text.h"

namespace calf::cli {

void SqlPrinter::begin(std::string_view sql, std::string prefix, CopySource copy_source) {
  sql_ = sql;
  prefix_ = std::move(prefix);
  copy_source_ = std::move(copy_source);
  table_.reset();
  copied_out_ = false;
}

void SqlPrinter::write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), streams_.out);
}

void SqlPrinter::columns(std::vector<pgwire::ColumnDescription> columns) {
  table_ = std::make_unique<TablePrinter>(options_.table, std::move(columns),
                                          [this](std::string_view text) { write(text); });
}

void SqlPrinter::row(std::span<const std::optional<std::string_view>> values) {
  if (table_) table_->row(values);
}

// Like psql: a table says enough, except for statements that change rows; a tag behind COPY's
// output would corrupt it.
static bool shows_tag_below_table(std::string_view tag) {
  return tag.starts_with("INSERT") || tag.starts_with("UPDATE") || tag.starts_with("DELETE") ||
         tag.starts_with("MERGE");
}

void SqlPrinter::complete(std::string_view command_tag) {
  const bool had_table = table_ != nullptr;
  if (had_table) table_->finish();
  table_.reset();
  const bool copied_out = std::exchange(copied_out_, false);
  if (copied_out || options_.quiet || (had_table && !shows_tag_below_table(command_tag))) return;
  write(std::string(command_tag) + "\n");
}

void SqlPrinter::message(std::string_view text) {
  std::fflush(streams_.out);
  const std::string line = prefix_ + std::string(text);
  std::fwrite(line.data(), 1, line.size(), streams_.err);
}

void SqlPrinter::write_report(const pgwire::Report& report) {
  message(report_text(report, sql_));
}

void SqlPrinter::error(const pgwire::Report& report) {
  table_.reset();  // rows that came before the error are not a result
  write_report(report);
}

void SqlPrinter::notice(const pgwire::Report& report) {
  write_report(report);
}

void SqlPrinter::notification(const pgwire::Notification& notification) {
  const auto& [pid, channel, payload] = notification;
  std::string text = "Asynchronous notification \"" + channel + "\" ";
  if (!payload.empty()) text += "with payload \"" + payload + "\" ";
  write(text + "received from server process with PID " + std::to_string(pid) + ".\n");
}

void SqlPrinter::copy_out(std::string_view data) {
  copied_out_ = true;
  write(data);
}

std::optional<std::string> SqlPrinter::copy_in() {
  return copy_source_ ? copy_source_() : std::nullopt;
}

}  // namespace calf::cli
