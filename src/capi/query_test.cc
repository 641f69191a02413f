// Queries, prepared statements, streams and results, by calf.h.
#include <chrono>
#include <thread>

#include "capi/test_support.h"

namespace calf::capi {
namespace {

class Query : public Session {
 protected:
  ResultHandle query(const char* sql, const std::vector<calf_parameter>& parameters = {},
                     int format = CALF_TEXT) {
    calf_result* result = nullptr;
    status_ = calf_query(session_.get(), sql, parameters.data(), parameters.size(), format, &result,
                         error_.out());
    return ResultHandle(result);
  }

  calf_status status_ = CALF_OK;
};

TEST_F(Query, gives_rows_columns_and_the_command_tag) {
  const auto result = query(
      "select n as number, case when n > 1 then repeat('x', n) end from generate_series(1, 3) n");
  ASSERT_EQ(status_, CALF_OK) << error_.message();
  EXPECT_EQ(calf_result_row_count(result.get()), 3u);
  ASSERT_EQ(calf_result_column_count(result.get()), 2u);
  EXPECT_STREQ(calf_result_columns(result.get())[0].name, "number");
  EXPECT_EQ(calf_result_columns(result.get())[0].type, 23u);
  EXPECT_EQ(calf_result_columns(result.get())[1].type, 25u);
  EXPECT_STREQ(calf_result_command_tag(result.get()), "SELECT 3");
  EXPECT_EQ(calf_result_affected_rows(result.get()), 3);
  EXPECT_EQ(calf_result_value(result.get(), 0, 1, nullptr), nullptr);
  size_t size = 0;
  EXPECT_STREQ(calf_result_value(result.get(), 2, 1, &size), "xxx");
  EXPECT_EQ(size, 3u);
  EXPECT_EQ(calf_result_row(result.get(), 3), nullptr);
  EXPECT_EQ(calf_result_value(result.get(), 0, 2, nullptr), nullptr);
}

TEST_F(Query, takes_text_and_binary_parameters_and_null) {
  const unsigned char forty[] = {0, 0, 0, 40};
  const auto result = query(
      "select $1::int + $2::int, $3::text is null",
      {{.data = forty, .size = 4, .type = 0, .format = CALF_BINARY}, text("2"), text(nullptr)});
  ASSERT_EQ(status_, CALF_OK) << error_.message();
  EXPECT_STREQ(calf_result_value(result.get(), 0, 0, nullptr), "42");
  EXPECT_STREQ(calf_result_value(result.get(), 0, 1, nullptr), "t");
}

TEST_F(Query, gives_binary_results_when_asked) {
  const auto result = query("select 258", {}, CALF_BINARY);
  size_t size = 0;
  const char* value = calf_result_value(result.get(), 0, 0, &size);
  ASSERT_EQ(size, 4u);
  EXPECT_EQ(std::string(value, 4), std::string("\0\0\1\2", 4));
  EXPECT_EQ(calf_result_columns(result.get())[0].format, CALF_BINARY);
}

TEST_F(Query, reports_every_field_of_an_error_and_goes_on) {
  ASSERT_EQ(ask(session_, "create temp table t (id int constraint small check (id < 10))"), "NULL");
  query("insert into t values ($1::int)", {text("11")});
  EXPECT_EQ(status_, CALF_ERROR_SQL);
  EXPECT_EQ(error_.sqlstate(), "23514");
  EXPECT_EQ(error_.field(CALF_FIELD_SEVERITY_ENGLISH), "ERROR");
  EXPECT_EQ(error_.field(CALF_FIELD_CONSTRAINT), "small");
  EXPECT_EQ(error_.field(CALF_FIELD_TABLE), "t");
  EXPECT_EQ(error_.field(CALF_FIELD_DETAIL), "Failing row contains (11).");
  EXPECT_EQ(error_.field(CALF_FIELD_POSITION), "NULL");
  query("select nothing");
  EXPECT_EQ(error_.sqlstate(), "42703");
  EXPECT_EQ(error_.field(CALF_FIELD_POSITION), "8");
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

TEST_F(Query, has_results_of_the_statements_before_a_failed_one) {
  calf_result* result = nullptr;
  EXPECT_EQ(calf_execute(session_.get(), "select 1; select 2; select 1/0; select 3", &result,
                         error_.out()),
            CALF_ERROR_SQL);
  const ResultHandle owned(result);
  EXPECT_EQ(error_.sqlstate(), "22012");
  EXPECT_STREQ(calf_result_value(result, 0, 0, nullptr), "1");
  ASSERT_NE(calf_result_next(result), nullptr);
  EXPECT_STREQ(calf_result_value(calf_result_next(result), 0, 0, nullptr), "2");
  EXPECT_EQ(calf_result_next(calf_result_next(result)), nullptr);
}

TEST_F(Query, runs_an_empty_text) {
  const auto result = query("");
  EXPECT_EQ(status_, CALF_OK);
  EXPECT_STREQ(calf_result_command_tag(result.get()), "");
  EXPECT_EQ(calf_result_affected_rows(result.get()), -1);
}

TEST_F(Query, refuses_copy_and_goes_on) {
  ask(session_, "create temp table c (n int)");
  for (const char* sql : {"copy c from stdin", "copy (select 1) to stdout"}) {
    query(sql);
    EXPECT_EQ(status_, CALF_ERROR_INVALID) << sql;
    EXPECT_EQ(ask(session_, "select 7"), "7");
    EXPECT_EQ(calf_execute(session_.get(), sql, nullptr, error_.out()), CALF_ERROR_INVALID) << sql;
    EXPECT_EQ(ask(session_, "select 8"), "8");
  }
}

TEST_F(Query, follows_the_transaction) {
  EXPECT_EQ(calf_session_transaction(session_.get()), 'I');
  ask(session_, "begin");
  EXPECT_EQ(calf_session_transaction(session_.get()), 'T');
  ask(session_, "select 1/0");
  EXPECT_EQ(calf_session_transaction(session_.get()), 'E');
  ask(session_, "rollback");
  EXPECT_EQ(calf_session_transaction(session_.get()), 'I');
}

TEST_F(Query, describes_and_runs_prepared_statements) {
  calf_statement* prepared = nullptr;
  ASSERT_EQ(calf_prepare(session_.get(), "select $1::int8 + 1 as sum, $2::text", nullptr, 0,
                         &prepared, error_.out()),
            CALF_OK);
  StatementHandle statement(prepared);
  ASSERT_EQ(calf_statement_parameter_count(prepared), 2u);
  EXPECT_EQ(calf_statement_parameter_type(prepared, 0), 20u);
  EXPECT_EQ(calf_statement_parameter_type(prepared, 1), 25u);
  EXPECT_EQ(calf_statement_parameter_type(prepared, 2), 0u);
  ASSERT_EQ(calf_statement_column_count(prepared), 2u);
  EXPECT_STREQ(calf_statement_columns(prepared)[0].name, "sum");
  for (int n = 0; n < 10; ++n) {
    const std::string number = std::to_string(n);
    const calf_parameter parameters[] = {text(number.c_str()), text("x")};
    calf_result* result = nullptr;
    ASSERT_EQ(calf_statement_query(prepared, parameters, 2, CALF_TEXT, &result, error_.out()),
              CALF_OK);
    const ResultHandle owned(result);
    EXPECT_EQ(calf_result_value(result, 0, 0, nullptr), std::to_string(n + 1));
  }
  statement.reset();
  EXPECT_EQ(ask(session_, "select count(*) from pg_prepared_statements"), "0");
}

TEST_F(Query, fails_when_a_statement_has_gone_by_sql) {
  calf_statement* prepared = nullptr;
  ASSERT_EQ(calf_prepare(session_.get(), "select 1", nullptr, 0, &prepared, nullptr), CALF_OK);
  const StatementHandle statement(prepared);
  ask(session_, "deallocate all");
  EXPECT_EQ(calf_statement_query(prepared, nullptr, 0, CALF_TEXT, nullptr, error_.out()),
            CALF_ERROR_SQL);
  EXPECT_EQ(error_.sqlstate(), "26000");
}

TEST_F(Query, hands_notices_to_the_handler) {
  std::vector<std::string> notices;
  calf_session_options options = {};
  options.struct_size = sizeof options;
  options.notice_context = &notices;
  options.notice = [](void* context, const calf_error* notice) {
    static_cast<std::vector<std::string>*>(context)->push_back(calf_error_message(notice));
  };
  const auto session = open_session(*cluster_, &options);
  ask(session, "do $$ begin raise notice 'one'; raise warning 'two'; end $$");
  EXPECT_EQ(notices, (std::vector<std::string>{"one", "two"}));
}

TEST_F(Query, carries_large_values_both_ways) {
  const std::string large(40'000'000, 'x');
  const auto result = query("select $1::text || 'y'", {text(large.c_str())});
  ASSERT_EQ(status_, CALF_OK) << error_.message();
  size_t size = 0;
  ASSERT_NE(calf_result_value(result.get(), 0, 0, &size), nullptr);
  EXPECT_EQ(size, large.size() + 1);
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

TEST_F(Query, refuses_what_no_message_can_hold) {
  const calf_parameter huge = {.data = "", .size = CALF_MAX_MESSAGE, .type = 0, .format = 0};
  query("select $1::text", {huge});
  EXPECT_EQ(status_, CALF_ERROR_INVALID);
  const calf_parameter absurd = {.data = "", .size = SIZE_MAX, .type = 0, .format = 0};
  query("select $1::text", {absurd, absurd});
  EXPECT_EQ(status_, CALF_ERROR_INVALID);
  std::vector<calf_parameter> many(65536, text("1"));
  query("select 1", many);
  EXPECT_EQ(status_, CALF_ERROR_INVALID);
  query("select 1", {{.data = "", .size = 0, .type = 0, .format = 2}});
  EXPECT_EQ(status_, CALF_ERROR_INVALID);
  query("select 1", {}, 7);
  EXPECT_EQ(status_, CALF_ERROR_INVALID);
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

class Stream : public Query, public ::testing::WithParamInterface<uint32_t> {
 protected:
  StreamHandle open(const char* sql) {
    calf_stream* stream = nullptr;
    status_ = calf_stream_query(session_.get(), sql, nullptr, 0, CALF_TEXT, GetParam(), &stream,
                                error_.out());
    return StreamHandle(stream);
  }
};
INSTANTIATE_TEST_SUITE_P(BatchRows, Stream, ::testing::Values(0, 1, 1000));

TEST_P(Stream, gives_every_row_and_then_the_tag) {
  const auto stream = open("select n, null from generate_series(1, 5000) n");
  ASSERT_EQ(status_, CALF_OK) << error_.message();
  EXPECT_EQ(calf_stream_column_count(stream.get()), 2u);
  EXPECT_STREQ(calf_stream_columns(stream.get())[0].name, "n");
  EXPECT_EQ(ask(session_, "select 1"), "55006");
  const calf_value* row = nullptr;
  int64_t sum = 0;
  calf_status status = CALF_OK;
  while ((status = calf_stream_next(stream.get(), &row, error_.out())) == CALF_OK) {
    sum += std::stoll(row[0].data);
    EXPECT_EQ(row[1].data, nullptr);
  }
  EXPECT_EQ(status, CALF_DONE) << error_.message();
  EXPECT_EQ(sum, 5000 * 5001 / 2);
  EXPECT_EQ(std::string(calf_stream_command_tag(stream.get())).substr(0, 6), "SELECT");
  EXPECT_EQ(calf_stream_next(stream.get(), &row, nullptr), CALF_DONE);
  EXPECT_EQ(ask(session_, "select 1"), "1");
}

TEST_P(Stream, can_be_left_in_the_middle) {
  {
    const auto stream = open("select generate_series(1, 1000000000), repeat('x', 1000)");
    const calf_value* row = nullptr;
    for (int i = 0; i < 10; ++i) {
      ASSERT_EQ(calf_stream_next(stream.get(), &row, error_.out()), CALF_OK) << error_.message();
    }
  }
  EXPECT_EQ(ask(session_, "select 2"), "2");
}

TEST_P(Stream, tells_errors_at_the_beginning_and_in_the_middle) {
  EXPECT_EQ(open("select nothing"), nullptr);
  EXPECT_EQ(error_.sqlstate(), "42703");
  const auto stream = open("select 1 / (3 - n) from generate_series(1, 5) n");
  ASSERT_EQ(status_, CALF_OK) << error_.message();
  const calf_value* row = nullptr;
  EXPECT_EQ(calf_stream_next(stream.get(), &row, nullptr), CALF_OK);
  EXPECT_EQ(calf_stream_next(stream.get(), &row, nullptr), CALF_OK);
  EXPECT_EQ(calf_stream_next(stream.get(), &row, error_.out()), CALF_ERROR_SQL);
  EXPECT_EQ(error_.sqlstate(), "22012");
  EXPECT_EQ(calf_stream_next(stream.get(), &row, nullptr), CALF_DONE);
  EXPECT_EQ(ask(session_, "select 3"), "3");
}

TEST_P(Stream, stays_useless_when_its_session_has_gone) {
  const auto stream = open("select n from generate_series(1, 100000) n");
  session_.reset();
  const calf_value* row = nullptr;
  EXPECT_EQ(calf_stream_next(stream.get(), &row, error_.out()), CALF_ERROR_CLOSED);
}

}  // namespace
}  // namespace calf::capi
