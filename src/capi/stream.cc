// calf_stream: a portal whose rows are fetched as they are wanted.
#include "capi/query.h"

struct calf_stream {
  std::shared_ptr<calf::capi::SessionState> state;
  uint32_t batch_rows = 0;
  std::shared_ptr<const calf::capi::Columns> columns{};
  bool ended = false;  // ReadyForQuery has come
  std::string command_tag{};
  calf::capi::Arena arena{};
  std::vector<calf_value> row{};

  [[nodiscard]] size_t column_count() const { return columns == nullptr ? 0 : columns->size(); }
};

namespace calf::capi {
namespace {

// Rows in batches: the unnamed portal must outlive each of them, so Sync waits for the end. All at
// once: the bounded pipe is what stops PostgreSQL.
void ask_for_rows(pgwire::FrontendEncoder encoder, uint32_t batch_rows) {
  encoder.execute("", batch_rows);
  if (batch_rows == 0) {
    encoder.sync();
  } else {
    encoder.flush();
  }
}

// Ends the statement after an error or its last row, and frees the session.
Answer<void> finish(Call& call, calf_stream& stream) {
  if (stream.batch_rows != 0) {
    call.encoder().sync();
    CAPI_CHECK_OK(call.send());
  }
  auto ended = read_to_end(call, {});
  call.leave_to(nullptr);
  stream.ended = true;
  return ended;
}

tl::unexpected<Failure> finish_failed(Call& call, calf_stream& stream, Failure why) {
  auto ended = finish(call, stream);
  return tl::unexpected(std::move(why));
}

// Up to the description of the columns: what is wrong with the statement shows until then.
Answer<void> describe(Call& call, calf_stream& stream, const Query& query) {
  if (query.statement != nullptr) {
    stream.columns = query.statement->columns[query.result_format];
    return {};
  }
  while (true) {
    CAPI_TRY(const pgwire::Message message, call.receive());
    if (message.type == 'E') return finish_failed(call, stream, call.failure(message.body));
    if (message.type == 'n') return {};
    if (message.type != 'T') continue;
    CAPI_TRY(stream.columns, read_columns(message));
    return {};
  }
}

Answer<std::unique_ptr<calf_stream>> open(const std::shared_ptr<SessionState>& state,
                                          const Query& query, uint32_t batch_rows) {
  CAPI_TRY(const auto values, read(query));
  if (batch_rows > INT32_MAX) return fail(CALF_ERROR_INVALID, "batch_rows is above 2147483647");
  CAPI_TRY(Call call, Call::begin(state));
  auto stream =
      std::make_unique<calf_stream>(calf_stream{.state = state, .batch_rows = batch_rows});
  encode_start(call.encoder(), query, values);
  ask_for_rows(call.encoder(), batch_rows);
  CAPI_CHECK_OK(call.send());
  CAPI_CHECK_OK(describe(call, *stream, query));
  call.leave_to(stream.get());
  return stream;
}

Answer<calf_status> next(Call& call, calf_stream& stream, const calf_value** row) {
  static constexpr calf_value kNoColumns = {};
  while (true) {
    CAPI_TRY(const pgwire::Message message, call.receive());
    switch (message.type) {
      case 'D':
        stream.arena.reuse();
        stream.row.clear();
        CAPI_CHECK_OK(read_row(message.body, stream.column_count(), stream.arena, stream.row));
        *row = stream.row.empty() ? &kNoColumns : stream.row.data();
        return CALF_OK;
      case 's':
        ask_for_rows(call.encoder(), stream.batch_rows);
        CAPI_CHECK_OK(call.send());
        break;
      case 'C': {
        const auto tag = pgwire::parse_command_complete(message.body);
        if (tag) stream.command_tag = *tag;
        CAPI_CHECK_OK(finish(call, stream));
        return CALF_DONE;
      }
      case 'I':
        CAPI_CHECK_OK(finish(call, stream));
        return CALF_DONE;
      case 'E':
        return finish_failed(call, stream, call.failure(message.body));
      case 'G':
      case 'H':
        call.session().close();  // the statement is not what this call is for; nothing else ends it
        return fail(CALF_ERROR_CLOSED, "COPY FROM STDIN and TO STDOUT are not for streams",
                    "use calf_copy_begin");
      default:
        break;
    }
  }
}

Answer<calf_status> close(std::unique_ptr<calf_stream> stream) {
  if (stream->ended) return CALF_OK;
  CAPI_TRY(Call call, Call::begin(stream->state, stream.get()));
  auto encoder = call.encoder();
  if (stream->batch_rows == 0) {
    call.session().cancel();
  } else {
    encoder.close('P', "");
  }
  auto ended = finish(call, *stream);
  return CALF_OK;
}

Answer<calf_status> open_into(const std::shared_ptr<SessionState>& state, const Query& query,
                              uint32_t batch_rows, calf_stream** stream) {
  if (stream == nullptr) return fail(CALF_ERROR_INVALID, "there is no place for the stream");
  CAPI_TRY(auto opened, open(state, query, batch_rows));
  *stream = opened.release();
  return CALF_OK;
}

}  // namespace
}  // namespace calf::capi

using namespace calf::capi;

extern "C" {

calf_status calf_stream_query(calf_session* session, const char* sql,
                              const calf_parameter* parameters, size_t parameter_count,
                              int result_format, uint32_t batch_rows, calf_stream** stream,
                              calf_error** error) {
  if (stream != nullptr) *stream = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto state, check(session));
    return open_into(state,
                     {.sql = sql,
                      .parameters = parameters,
                      .parameter_count = parameter_count,
                      .result_format = result_format},
                     batch_rows, stream);
  });
}

calf_status calf_stream_statement(calf_statement* statement, const calf_parameter* parameters,
                                  size_t parameter_count, int result_format, uint32_t batch_rows,
                                  calf_stream** stream, calf_error** error) {
  if (stream != nullptr) *stream = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    if (statement == nullptr) return fail(CALF_ERROR_INVALID, "the statement is NULL");
    return open_into(statement->state,
                     {.statement = statement,
                      .parameters = parameters,
                      .parameter_count = parameter_count,
                      .result_format = result_format},
                     batch_rows, stream);
  });
}

calf_status calf_stream_next(calf_stream* stream, const calf_value** row, calf_error** error) {
  if (row != nullptr) *row = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    if (stream == nullptr) return fail(CALF_ERROR_INVALID, "the stream is NULL");
    if (row == nullptr) return fail(CALF_ERROR_INVALID, "there is no place for the row");
    if (stream->ended) return CALF_DONE;
    CAPI_TRY(Call call, Call::begin(stream->state, stream));
    call.resume();
    CAPI_TRY(const calf_status status, next(call, *stream, row));
    if (!stream->ended) call.leave_to(stream);
    return status;
  });
}

size_t calf_stream_column_count(const calf_stream* stream) {
  return stream == nullptr ? 0 : stream->column_count();
}

const calf_column* calf_stream_columns(const calf_stream* stream) {
  return stream == nullptr || stream->columns == nullptr ? nullptr : stream->columns->data();
}

const char* calf_stream_command_tag(const calf_stream* stream) {
  return stream == nullptr ? "" : stream->command_tag.c_str();
}

void calf_stream_close(calf_stream* stream) {
  if (stream == nullptr || stream->state->generation != process_generation()) return;
  guarded(nullptr,
          [&]() -> Answer<calf_status> { return close(std::unique_ptr<calf_stream>(stream)); });
}

}  // extern "C"
