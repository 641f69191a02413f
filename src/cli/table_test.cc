#include "cli/table.h"

#include <gtest/gtest.h>

namespace calf::cli {
namespace {

constexpr std::uint32_t kInt4 = 23;
constexpr std::uint32_t kText = 25;

struct Column {
  const char* name;
  std::uint32_t type;
};

std::string print(TableOptions options, std::vector<Column> columns,
                  std::vector<std::vector<std::optional<std::string_view>>> rows) {
  std::vector<pgwire::ColumnDescription> descriptions;
  for (const Column& column : columns) {
    descriptions.push_back({.name = column.name, .type_oid = column.type});
  }
  std::string out;
  TablePrinter printer(options, descriptions, [&](std::string_view text) { out += text; });
  for (const auto& row : rows) printer.row(row);
  printer.finish();
  return out;
}

// The expected texts are psql 15's own output.
TEST(TablePrinter, aligns_as_psql_does) {
  EXPECT_EQ(print({}, {{"?column?", kInt4}}, {{"1"}}),
            " ?column? \n----------\n        1\n(1 row)\n\n");
  EXPECT_EQ(print({}, {{"a", kInt4}, {"name", kText}}, {{"1", "x"}, {"20", std::nullopt}}),
            " a  | name \n----+------\n  1 | x\n 20 | \n(2 rows)\n\n");
  EXPECT_EQ(print({}, {{"a", kText}}, {}), " a \n---\n(0 rows)\n\n");
}

TEST(TablePrinter, continues_values_of_several_lines) {
  EXPECT_EQ(print({}, {{"a", kText}, {"b", kText}}, {{"x\nyy", "z"}, {"q", "1\n2"}}),
            " a  | b \n----+---\n x +| z\n yy | \n q  | 1+\n    | 2\n(2 rows)\n\n");
}

TEST(TablePrinter, counts_columns_of_the_terminal_not_bytes) {
  EXPECT_EQ(display_width("äöü"), 3u);
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("\xff"), 1u);
  EXPECT_EQ(print({}, {{"a", kText}, {"b", kText}}, {{"ä", "1"}, {"日本", "2"}}),
            "  a   | b \n------+---\n ä    | 1\n 日本 | 2\n(2 rows)\n\n");
}

TEST(TablePrinter, other_formats_as_psql_prints_them) {
  EXPECT_EQ(print({.format = TableFormat::kUnaligned}, {{"a", kInt4}, {"b", kText}}, {{"1", "x"}}),
            "a|b\n1|x\n(1 row)\n");
  EXPECT_EQ(print({.format = TableFormat::kUnaligned, .tuples_only = true, .field_separator = ";"},
                  {{"a", kInt4}, {"b", kText}}, {{"1", std::nullopt}}),
            "1;\n");
  EXPECT_EQ(print({.format = TableFormat::kCsv}, {{"a", kInt4}, {"b", kText}},
                  {{"1", "x,\"y\""}, {std::nullopt, "\n"}}),
            "a,b\n1,\"x,\"\"y\"\"\"\n,\"\n\"\n");
  EXPECT_EQ(print({.tuples_only = true}, {{"a", kInt4}}, {{"1"}}), " 1\n\n");
}

}  // namespace
}  // namespace calf::cli
