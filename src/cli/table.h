// Query results as text: psql's aligned and unaligned formats, and CSV.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgwire/frontend.h"

namespace calf::cli {

enum class TableFormat { kAligned, kUnaligned, kCsv };

struct TableOptions {
  TableFormat format = TableFormat::kAligned;
  bool tuples_only = false;           // no header, no "(n rows)"
  std::string field_separator = "|";  // of the unaligned format
};

// Columns a text takes on a terminal; texts that are not valid UTF-8 count one for each bad byte.
std::size_t display_width(std::string_view text);

// Prints one result set. Aligned tables are kept until finish(), the other formats are written row
// by row. One thread.
class TablePrinter {
 public:
  using Write = std::function<void(std::string_view)>;

  TablePrinter(TableOptions options, std::vector<pgwire::ColumnDescription> columns, Write write);

  void row(std::span<const std::optional<std::string_view>> values);
  void finish();

 private:
  using Row = std::vector<std::string>;

  void write_delimited(std::span<const std::optional<std::string_view>> values);
  void write_aligned() const;
  void write_header(const std::vector<std::size_t>& widths, std::string& out) const;
  void write_row(const Row& row, const std::vector<std::size_t>& widths, std::string& out) const;
  [[nodiscard]] std::vector<std::size_t> column_widths() const;
  void write_row_count() const;

  const TableOptions options_;
  const std::vector<pgwire::ColumnDescription> columns_;
  const Write write_;
  std::vector<Row> rows_;
  std::size_t row_count_ = 0;
};

}  // namespace calf::cli
