#include "sqlite/analyzer.h"

#include <gtest/gtest.h>

#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

// A table of one session's catalog, and statements over it.
class AnalyzerTest : public testing::Test {
 protected:
  AnalyzerTest() {
    Relation table{.oid = 20000, .name = "t", .sqlite_name = "t"};
    table.columns = {{.name = "id", .type = {oid::kInt4}, .not_null = true},
                     {.name = "name", .type = {oid::kText}},
                     {.name = "price", .type = {oid::kNumeric}}};
    table.constraints = {{.name = "t_pkey", .kind = 'p', .columns = {"id"}}};
    table.rowid_key = true;
    catalog_.relations.emplace("t", std::move(table));
    conversion_.clock.zone = Zone::find("UTC");
  }

  Statement analyze(const std::string& sql, std::vector<Oid>* types = nullptr) {
    const auto script = Script::parse(sql);
    Analyzer analyzer({.catalog = &catalog_, .conversion = &conversion_});
    Statement statement = analyzer.analyze(script->statement(0));
    if (types != nullptr) *types = analyzer.parameter_types();
    return statement;
  }
  std::string state_of(const std::string& sql) {
    try {
      analyze(sql);
      return "";
    } catch (const SqlError& error) {
      return error.report.sqlstate;
    }
  }

  Catalog catalog_;
  ConversionContext conversion_;
};

TEST_F(AnalyzerTest, ALookupByKeyStaysOneThatSqliteCanIndex) {
  EXPECT_EQ(analyze("select name from t where id = $1").sql,
            R"(SELECT t1."name" AS c1 FROM "t" AS t1 WHERE (t1."id" = ?1))");
}

TEST_F(AnalyzerTest, ParametersTakeTheTypeOfTheirPlace) {
  std::vector<Oid> types;
  analyze("select * from t where id = $1 and price > $2 and name like $3 limit $4", &types);
  EXPECT_EQ(types, (std::vector<Oid>{oid::kInt4, oid::kNumeric, oid::kText, oid::kInt8}));
}

TEST_F(AnalyzerTest, IntegersAreAddedWithACheck) {
  EXPECT_NE(analyze("select id + 1 from t").sql.find("\"+(int4,int4)\""), std::string::npos);
}

TEST_F(AnalyzerTest, NumericsCompareByTheirCollation) {
  EXPECT_NE(analyze("select 1 from t where price = 1.0").sql.find("COLLATE pg_numeric"),
            std::string::npos);
}

TEST_F(AnalyzerTest, RefusesWhatPostgresRefuses) {
  EXPECT_EQ(state_of("select nosuch from t"), "42703");
  EXPECT_EQ(state_of("select * from nosuch"), "42P01");
  EXPECT_EQ(state_of("select name = 1 from t"), "42883");
  EXPECT_EQ(state_of("select name, count(*) from t"), "42803");
  EXPECT_EQ(state_of("select 1 from t a, t b where id = 1"), "42702");
  EXPECT_EQ(state_of("insert into t (id) values ('x')"), "22P02");
}

TEST_F(AnalyzerTest, NamesWhatItCannotTranslate) {
  EXPECT_EQ(state_of("select * from t tablesample system (1)"), "0A000");
  EXPECT_EQ(state_of("select row_number() over () from t group by rollup (name)"), "0A000");
}

TEST_F(AnalyzerTest, RefusesSeveralStepsWhereOnlyOneCanBeRun) {
  EXPECT_EQ(state_of("with gone as (delete from t returning name) select name from gone"), "0A000");
  EXPECT_EQ(state_of("merge into t using (select 1) s on true when matched then delete"), "0A000");
}

}  // namespace
}  // namespace calf::sqlite
