#include "capi/query.h"

#include <cstring>

namespace calf::capi {
namespace {

using pgwire::Message;

tl::unexpected<Failure> copy_is_elsewhere() {
  return fail(CALF_ERROR_INVALID, "COPY FROM STDIN and TO STDOUT are not for this function",
              "use calf_copy_begin");
}

// Puts what the backend answers into results, one a statement.
class Collector {
 public:
  enum class Protocol { kSimple, kExtended };
  Collector(Call& call, Protocol protocol, std::shared_ptr<const Columns> columns = nullptr)
      : call_(call), protocol_(protocol) {
    current_->columns = std::move(columns);
  }

  Answer<void> take(const Message& message) {
    switch (message.type) {
      case 'T': {
        CAPI_TRY(current_->columns, read_columns(message));
        return {};
      }
      case 'D':
        current_->row_count += 1;
        return read_row(message.body, calf_result_column_count(current_.get()), current_->arena,
                        current_->values);
      case 'C': {
        const auto tag = pgwire::parse_command_complete(message.body);
        if (!tag) return fail_with(tag.error());
        current_->command_tag = *tag;
        finish();
        return {};
      }
      case 'I':
        finish();
        return {};
      case 'G':
      case 'H':
        return refuse_copy(message.type);
      default:
        return {};
    }
  }

  [[nodiscard]] std::unique_ptr<calf_result> results() { return std::move(first_); }
  [[nodiscard]] bool refused_copy() const { return refused_copy_; }

 private:
  void finish() {
    std::unique_ptr<calf_result>& place = last_ == nullptr ? first_ : last_->next;
    place = std::move(current_);
    last_ = place.get();
    current_ = std::make_unique<calf_result>();
  }

  // What was sent behind the statement, a Sync, has gone the way of the data that was expected.
  Answer<void> refuse_copy(char type) {
    refused_copy_ = true;
    if (type == 'H') return {};
    auto encoder = call_.session().encoder();
    encoder.copy_fail("COPY FROM STDIN is not for this function");
    if (protocol_ == Protocol::kExtended) encoder.sync();
    return call_.send();
  }

  Call& call_;
  const Protocol protocol_;
  std::unique_ptr<calf_result> current_ = std::make_unique<calf_result>();
  std::unique_ptr<calf_result> first_;
  calf_result* last_ = nullptr;
  bool refused_copy_ = false;
};

Answer<void> collect(Call& call, Collector& collector) {
  CAPI_CHECK_OK(call.send());
  auto ended = read_to_end(call, [&](const Message& message) { return collector.take(message); });
  if (collector.refused_copy()) return copy_is_elsewhere();
  return ended;
}

Answer<std::unique_ptr<calf_result>> run(const std::shared_ptr<SessionState>& state,
                                         const Query& query) {
  CAPI_TRY(const auto values, read(query));
  CAPI_TRY(Call call, Call::begin(state));
  auto encoder = call.encoder();
  encode_start(encoder, query, values);
  encoder.execute("");
  encoder.sync();
  Collector collector(
      call, Collector::Protocol::kExtended,
      query.statement == nullptr ? nullptr : query.statement->columns[query.result_format]);
  CAPI_CHECK_OK(collect(call, collector));
  auto result = collector.results();
  return result != nullptr ? std::move(result) : std::make_unique<calf_result>();
}

// Results that were complete before an error are handed out besides it.
Answer<calf_status> execute(const std::shared_ptr<SessionState>& state, const char* sql,
                            calf_result** result) {
  CAPI_CHECK_OK(check_sql(sql));
  CAPI_TRY(Call call, Call::begin(state));
  call.encoder().query(sql);
  Collector collector(call, Collector::Protocol::kSimple);
  auto done = collect(call, collector);
  if (result != nullptr) *result = collector.results().release();
  if (!done) return tl::unexpected(std::move(done).error());
  return CALF_OK;
}

Answer<std::unique_ptr<calf_statement>> prepare(const std::shared_ptr<SessionState>& state,
                                                const char* sql, std::span<const uint32_t> types) {
  CAPI_CHECK_OK(check_sql(sql));
  CAPI_TRY(Call call, Call::begin(state));
  auto statement = std::make_unique<calf_statement>(
      calf_statement{.state = state, .name = "calf_" + std::to_string(++state->statements)});
  auto encoder = call.encoder();
  encoder.parse(statement->name, sql, types);
  encoder.describe('S', statement->name);
  encoder.sync();
  CAPI_CHECK_OK(call.send());
  CAPI_CHECK_OK(read_to_end(call, [&](const Message& message) -> Answer<void> {
    if (message.type == 't') {
      auto parameters = pgwire::parse_parameter_description(message.body);
      if (!parameters) return fail_with(parameters.error());
      statement->parameter_types = std::move(*parameters);
    } else if (message.type == 'T') {
      CAPI_TRY(const auto columns, read_columns(message));
      statement->columns[CALF_TEXT] = columns;
      statement->columns[CALF_BINARY] = std::make_shared<const Columns>(*columns, CALF_BINARY);
    }
    return {};
  }));
  return statement;
}

}  // namespace

Answer<void> check_sql(const char* sql) {
  if (sql == nullptr) return fail(CALF_ERROR_INVALID, "the SQL is NULL");
  if (std::strlen(sql) > CALF_MAX_MESSAGE - 1024) {
    return fail(CALF_ERROR_INVALID, "the SQL is too long", "it may have a little less than 1 GiB",
                "54000");
  }
  return {};
}

Answer<std::vector<pgwire::BoundValue>> read(const Query& query) {
  const auto [sql, statement, parameters, count, result_format] = query;
  if (statement == nullptr) CAPI_CHECK_OK(check_sql(sql));
  if (result_format != CALF_TEXT && result_format != CALF_BINARY) {
    return fail(CALF_ERROR_INVALID, "the result format is neither CALF_TEXT nor CALF_BINARY");
  }
  if (count > UINT16_MAX) return fail(CALF_ERROR_INVALID, "more than 65535 parameters");
  if (parameters == nullptr && count != 0) {
    return fail(CALF_ERROR_INVALID, "the parameters are NULL, but their count is not 0");
  }
  std::vector<pgwire::BoundValue> values(count);
  size_t total = count * 8;
  for (size_t i = 0; i < count; ++i) {
    const calf_parameter& given = parameters[i];
    if (given.format != CALF_TEXT && given.format != CALF_BINARY) {
      return fail(CALF_ERROR_INVALID, "a parameter's format is neither CALF_TEXT nor CALF_BINARY");
    }
    values[i].format = static_cast<std::int16_t>(given.format);
    if (given.data == nullptr) continue;
    if (given.size > CALF_MAX_MESSAGE - 1024 || (total += given.size) > CALF_MAX_MESSAGE - 1024) {
      return fail(CALF_ERROR_INVALID, "the parameters are too long",
                  "together they may have a little less than 1 GiB", "54000");
    }
    values[i].bytes = std::string_view(static_cast<const char*>(given.data), given.size);
  }
  return values;
}

void encode_start(pgwire::FrontendEncoder encoder, const Query& query,
                  std::span<const pgwire::BoundValue> values) {
  const auto format = static_cast<std::int16_t>(query.result_format);
  if (query.statement != nullptr) {
    encoder.bind("", query.statement->name, values, format);
    return;
  }
  std::vector<uint32_t> types;
  for (size_t i = 0; i < query.parameter_count; ++i) types.push_back(query.parameters[i].type);
  encoder.parse("", query.sql, types);
  encoder.bind("", "", values, format);
  encoder.describe('P', "");
}

Answer<void> read_to_end(Call& call, const MessageSink& sink) {
  std::optional<Failure> failed;
  while (true) {
    CAPI_TRY(const Message message, call.receive());
    if (message.type == 'Z') break;
    if (message.type == 'E') {
      if (!failed) failed = call.failure(message.body);
    } else if (sink) {
      auto taken = sink(message);
      if (!taken && !failed) failed = std::move(taken).error();
    }
  }
  call.finish();
  if (failed) return tl::unexpected(std::move(*failed));
  return {};
}

Answer<std::shared_ptr<const Columns>> read_columns(const Message& row_description) {
  auto described = pgwire::parse_row_description(row_description.body);
  if (!described) return fail_with(described.error());
  return std::make_shared<const Columns>(std::move(*described));
}

}  // namespace calf::capi

using namespace calf::capi;

extern "C" {

calf_status calf_query(calf_session* session, const char* sql, const calf_parameter* parameters,
                       size_t parameter_count, int result_format, calf_result** result,
                       calf_error** error) {
  if (result != nullptr) *result = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto state, check(session));
    CAPI_TRY(auto done, run(state, {.sql = sql,
                                    .parameters = parameters,
                                    .parameter_count = parameter_count,
                                    .result_format = result_format}));
    if (result != nullptr) *result = done.release();
    return CALF_OK;
  });
}

calf_status calf_execute(calf_session* session, const char* sql, calf_result** result,
                         calf_error** error) {
  if (result != nullptr) *result = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto state, check(session));
    return execute(state, sql, result);
  });
}

calf_status calf_prepare(calf_session* session, const char* sql, const uint32_t* types,
                         size_t type_count, calf_statement** statement, calf_error** error) {
  if (statement != nullptr) *statement = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto state, check(session));
    if (statement == nullptr)
      return fail(CALF_ERROR_INVALID, "there is no place for the statement");
    if (type_count > UINT16_MAX) return fail(CALF_ERROR_INVALID, "more than 65535 parameters");
    if (types == nullptr && type_count != 0) {
      return fail(CALF_ERROR_INVALID, "the types are NULL, but their count is not 0");
    }
    CAPI_TRY(auto prepared, prepare(state, sql, std::span(types, type_count)));
    *statement = prepared.release();
    return CALF_OK;
  });
}

calf_status calf_statement_query(calf_statement* statement, const calf_parameter* parameters,
                                 size_t parameter_count, int result_format, calf_result** result,
                                 calf_error** error) {
  if (result != nullptr) *result = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    if (statement == nullptr) return fail(CALF_ERROR_INVALID, "the statement is NULL");
    CAPI_TRY(auto done, run(statement->state, {.statement = statement,
                                               .parameters = parameters,
                                               .parameter_count = parameter_count,
                                               .result_format = result_format}));
    if (result != nullptr) *result = done.release();
    return CALF_OK;
  });
}

// The next call on the session tells PostgreSQL.
void calf_statement_close(calf_statement* statement) {
  if (statement == nullptr || statement->state->generation != process_generation()) return;
  guarded(nullptr, [&]() -> Answer<calf_status> {
    const std::unique_ptr<calf_statement> owned(statement);
    const std::lock_guard lock(owned->state->mutex);
    if (!owned->state->closed) owned->state->to_close.push_back(std::move(owned->name));
    return CALF_OK;
  });
}

size_t calf_statement_parameter_count(const calf_statement* statement) {
  return statement == nullptr ? 0 : statement->parameter_types.size();
}

uint32_t calf_statement_parameter_type(const calf_statement* statement, size_t index) {
  return index < calf_statement_parameter_count(statement) ? statement->parameter_types[index] : 0;
}

size_t calf_statement_column_count(const calf_statement* statement) {
  const bool has_columns = statement != nullptr && statement->columns[CALF_TEXT] != nullptr;
  return has_columns ? statement->columns[CALF_TEXT]->size() : 0;
}

const calf_column* calf_statement_columns(const calf_statement* statement) {
  const bool has_columns = statement != nullptr && statement->columns[CALF_TEXT] != nullptr;
  return has_columns ? statement->columns[CALF_TEXT]->data() : nullptr;
}

}  // extern "C"
