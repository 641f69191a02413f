#include "cli/sql_splitter.h"

#include <gtest/gtest.h>

#include <sstream>
#include <vector>

namespace calf::cli {
namespace {

std::vector<std::string> split(const std::string& script) {
  SqlSplitter splitter;
  std::vector<std::string> pieces;
  std::istringstream lines(script);
  for (std::string line; std::getline(lines, line);) {
    splitter.feed_line(line);
    while (auto piece = splitter.next()) {
      pieces.push_back((piece->kind == SqlSplitter::Piece::Kind::kMeta ? "meta:" : "") +
                       piece->text);
    }
  }
  if (std::string rest = splitter.take_rest(); !rest.empty()) pieces.push_back("rest:" + rest);
  return pieces;
}

using Pieces = std::vector<std::string>;

TEST(SqlSplitter, splits_at_semicolons) {
  EXPECT_EQ(split("select 1; select 2;\nselect\n 3;"),
            (Pieces{"select 1;", "select 2;", "select\n 3;"}));
}

TEST(SqlSplitter, keeps_a_last_statement_without_semicolon) {
  EXPECT_EQ(split("select 1;\nselect 2\n\n"), (Pieces{"select 1;", "rest:select 2"}));
  EXPECT_EQ(split("\n -- nothing\n"), Pieces{});
}

TEST(SqlSplitter, semicolons_in_quotes_do_not_count) {
  EXPECT_EQ(split("select 'a;''b;' , \"c;\"\"d\";"), (Pieces{"select 'a;''b;' , \"c;\"\"d\";"}));
  EXPECT_EQ(split("select 'a\n;b';"), (Pieces{"select 'a\n;b';"}));
  EXPECT_EQ(split("select E'a\\';b';"), (Pieces{"select E'a\\';b';"}));
  EXPECT_EQ(split("select e'\\\\'; select 2;"), (Pieces{"select e'\\\\';", "select 2;"}));
  EXPECT_EQ(split("select 'a\\'; select 2;"), (Pieces{"select 'a\\';", "select 2;"}));
  EXPECT_EQ(split("select date'2020;';"), (Pieces{"select date'2020;';"}));
}

TEST(SqlSplitter, semicolons_in_dollar_quotes_do_not_count) {
  EXPECT_EQ(split("do $$ begin; end $$; select 1;"), (Pieces{"do $$ begin; end $$;", "select 1;"}));
  EXPECT_EQ(split("do $a$ ; $$ ; $b$ ;\n $a$; select $1;"),
            (Pieces{"do $a$ ; $$ ; $b$ ;\n $a$;", "select $1;"}));
  EXPECT_EQ(split("select a$b$; select c$b$;"), (Pieces{"select a$b$;", "select c$b$;"}));
}

TEST(SqlSplitter, semicolons_in_comments_do_not_count) {
  EXPECT_EQ(split("select 1 -- a;\n, 2;"), (Pieces{"select 1 -- a;\n, 2;"}));
  EXPECT_EQ(split("/* a; /* b; */ c; */ select 1;"), (Pieces{"/* a; /* b; */ c; */ select 1;"}));
  EXPECT_EQ(split("select '/*'; select '*/';"), (Pieces{"select '/*';", "select '*/';"}));
  EXPECT_EQ(split("-- it's; \nselect 1;"), (Pieces{"select 1;"}));
}

TEST(SqlSplitter, semicolons_in_parentheses_do_not_count) {
  const std::string rule = "create rule r as on insert to t do (select 1; select 2);";
  EXPECT_EQ(split(rule), Pieces{rule});
}

TEST(SqlSplitter, keeps_sql_bodies_together) {
  const std::string function =
      "create or replace function f() returns int begin atomic\n select case when true then 1 end; "
      "select 2; end;";
  EXPECT_EQ(split(function + " select 1;"), (Pieces{function, "select 1;"}));
  const std::string procedure = "create procedure p() begin atomic; end;";
  EXPECT_EQ(split(procedure), Pieces{procedure});
  EXPECT_EQ(split("begin; select 1; end;"), (Pieces{"begin;", "select 1;", "end;"}));
}

TEST(SqlSplitter, gives_meta_commands_up_to_the_end_of_their_line) {
  EXPECT_EQ(split("\\echo a; b\nselect 1;"), (Pieces{"meta:\\echo a; b", "select 1;"}));
  EXPECT_EQ(split("select '\\d';"), (Pieces{"select '\\d';"}));
}

TEST(SqlSplitter, survives_anything_unclosed) {
  for (const char* script : {"'", "\"", "$a$", "/*", "(", "E'\\", "$", "create function f begin"}) {
    EXPECT_EQ(split(script).size(), 1u) << script;
  }
}

}  // namespace
}  // namespace calf::cli
