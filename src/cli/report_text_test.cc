#include "cli/report_text.h"

#include <gtest/gtest.h>

namespace calf::cli {
namespace {

TEST(ReportText, points_at_the_position) {
  EXPECT_EQ(report_text({.severity = "ERROR",
                         .message = "relation \"t\" does not exist",
                         .hint = "make it",
                         .position = 16},
                        "select 1\n, 2 from t;"),
            "ERROR:  relation \"t\" does not exist\nLINE 2: , 2 from t;\n              ^\n"
            "HINT:  make it\n");
}

TEST(ReportText, counts_characters_not_bytes) {
  EXPECT_EQ(report_text({.severity = "ERROR", .message = "m", .position = 12}, "select 'ä' x y"),
            "ERROR:  m\nLINE 1: select 'ä' x y\n                   ^\n");
}

TEST(ReportText, cuts_long_lines_around_the_position) {
  const std::string sql = "select " + std::string(100, 'a') + " oops " + std::string(100, 'b');
  const std::string text = report_text({.severity = "ERROR", .message = "m", .position = 109}, sql);
  const std::size_t caret = text.rfind('^');
  const std::size_t caret_line = text.rfind('\n', caret) + 1;
  const std::size_t line = text.find("LINE 1: ...");
  ASSERT_NE(line, std::string::npos);
  EXPECT_EQ(text[line + (caret - caret_line)], 'o');
  EXPECT_NE(text.find("...\n"), std::string::npos);
}

TEST(ReportText, survives_positions_outside_of_the_text) {
  EXPECT_EQ(report_text({.severity = "ERROR", .message = "m", .position = 99}, "ab"),
            "ERROR:  m\nLINE 1: ab\n          ^\n");
  EXPECT_EQ(report_text({.severity = "ERROR", .message = "m", .position = 0}, "ab"), "ERROR:  m\n");
}

TEST(ReportText, shows_context_of_errors_but_not_of_notices) {
  EXPECT_EQ(report_text({.severity = "NOTICE", .message = "m", .context = "c"}, ""),
            "NOTICE:  m\n");
  EXPECT_EQ(report_text({.severity = "ERROR", .message = "m", .detail = "d", .context = "c"}, ""),
            "ERROR:  m\nDETAIL:  d\nCONTEXT:  c\n");
}

}  // namespace
}  // namespace calf::cli
