// calf_copy: COPY FROM STDIN and COPY TO STDOUT as streams of bytes.
#include "capi/query.h"

struct calf_copy {
  std::shared_ptr<calf::capi::SessionState> state;
  bool is_in = false;
  int format = CALF_TEXT;
  size_t column_count = 0;
  bool ended = false;                        // ReadyForQuery has come
  std::optional<calf::capi::Failure> why{};  // it was refused
  std::string command_tag{};
};

namespace calf::capi {
namespace {

// Data go out in messages of at most this size, so that the backend begins with them soon.
constexpr size_t kPieceBytes = 64 * 1024;

// Reads the rest. The first error is what the copy comes to.
Answer<void> finish(Call& call, calf_copy& copy) {
  auto ended = read_to_end(call, [&](const pgwire::Message& message) -> Answer<void> {
    if (message.type != 'C') return {};
    const auto tag = pgwire::parse_command_complete(message.body);
    if (tag) copy.command_tag = *tag;
    return {};
  });
  call.leave_to(nullptr);
  copy.ended = true;
  return ended;
}

Answer<void> fail_copy(Call& call, calf_copy& copy, std::span<const std::byte> report) {
  Failure why = call.failure(report);
  auto ended = finish(call, copy);
  copy.why = why;
  return tl::unexpected(std::move(why));
}

Answer<void> read_description(calf_copy& copy, const pgwire::Message& message) {
  const auto description = pgwire::parse_copy_response(message.body);
  if (!description) return fail_with(description.error());
  copy.is_in = message.type == 'G';
  copy.format = description->overall_format;
  copy.column_count = description->column_formats.size();
  return {};
}

Answer<std::unique_ptr<calf_copy>> begin(const std::shared_ptr<SessionState>& state,
                                         const char* sql) {
  CAPI_CHECK_OK(check_sql(sql));
  CAPI_TRY(Call call, Call::begin(state));
  call.encoder().query(sql);
  CAPI_CHECK_OK(call.send());
  auto copy = std::make_unique<calf_copy>(calf_copy{.state = state});
  while (true) {
    CAPI_TRY(const pgwire::Message message, call.receive());
    if (message.type == 'G' || message.type == 'H') {
      CAPI_CHECK_OK(read_description(*copy, message));
      call.leave_to(copy.get());
      return copy;
    }
    if (message.type == 'E') {
      auto failed = fail_copy(call, *copy, message.body);
      return tl::unexpected(std::move(failed).error());
    }
    if (message.type != 'Z') continue;
    call.finish();
    return fail(CALF_ERROR_INVALID,
                "the statement has run, but it was no COPY FROM STDIN or TO STDOUT",
                "use calf_execute for other statements");
  }
}

// Before its end only an error can come from the backend.
Answer<void> look_for_refusal(Call& call, calf_copy& copy) {
  while (true) {
    const auto message = call.session().receive_if_there();
    if (!message) return tl::unexpected(call.failure(message.error()));
    if (!*message) return {};
    if ((*message)->type == 'E') return fail_copy(call, copy, (*message)->body);
  }
}

Answer<calf_status> write(Call& call, calf_copy& copy, std::span<const std::byte> data) {
  while (!data.empty()) {
    const size_t size = std::min(data.size(), kPieceBytes);
    call.session().encoder().copy_data(data.first(size));
    CAPI_CHECK_OK(call.send());
    CAPI_CHECK_OK(look_for_refusal(call, copy));
    data = data.subspan(size);
  }
  if (call.session().timed_out()) {
    // What waits for more data does not see that it was cancelled.
    call.session().encoder().copy_fail("canceling statement due to user request");
    CAPI_CHECK_OK(call.send());
    Failure why = fail(CALF_ERROR_TIMEOUT, "PostgreSQL did not take the data in time").value();
    auto ended = finish(call, copy);
    copy.why = why;
    return tl::unexpected(std::move(why));
  }
  call.leave_to(&copy);
  return CALF_OK;
}

Answer<calf_status> read(Call& call, calf_copy& copy, const void** data, size_t* size) {
  while (true) {
    CAPI_TRY(const pgwire::Message message, call.receive());
    if (message.type == 'd') {
      *data = message.body.data();
      *size = message.body.size();
      call.leave_to(&copy);
      return CALF_OK;
    }
    if (message.type == 'E') {
      auto failed = fail_copy(call, copy, message.body);
      return tl::unexpected(std::move(failed).error());
    }
    if (message.type != 'c') continue;
    CAPI_CHECK_OK(finish(call, copy));
    return CALF_DONE;
  }
}

// What has not come to its end yet does so now; a cancelled COPY TO is no failure of this call.
Answer<void> end(Call& call, calf_copy& copy, const char* failure) {
  if (!copy.is_in) {
    call.session().cancel();
    auto ended = finish(call, copy);
    if (!ended && ended.error().status == CALF_ERROR_CLOSED) return ended;
    return {};
  }
  auto encoder = call.session().encoder();
  if (failure == nullptr) {
    encoder.copy_done();
  } else {
    encoder.copy_fail(failure);
  }
  CAPI_CHECK_OK(call.send());
  return finish(call, copy);
}

Answer<void> end_if_open(calf_copy& copy, const char* failure) {
  if (copy.why) return tl::unexpected(*copy.why);
  if (copy.ended) return {};
  CAPI_TRY(Call call, Call::begin(copy.state, &copy));
  call.resume();
  return end(call, copy, failure);
}

}  // namespace
}  // namespace calf::capi

using namespace calf::capi;

extern "C" {

calf_status calf_copy_begin(calf_session* session, const char* sql, calf_copy** copy,
                            calf_error** error) {
  if (copy != nullptr) *copy = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto state, check(session));
    if (copy == nullptr) return fail(CALF_ERROR_INVALID, "there is no place for the copy");
    CAPI_TRY(auto begun, begin(state, sql));
    *copy = begun.release();
    return CALF_OK;
  });
}

int calf_copy_is_in(const calf_copy* copy) {
  return copy != nullptr && copy->is_in ? 1 : 0;
}

size_t calf_copy_column_count(const calf_copy* copy) {
  return copy == nullptr ? 0 : copy->column_count;
}

int calf_copy_format(const calf_copy* copy) {
  return copy == nullptr ? 0 : copy->format;
}

calf_status calf_copy_write(calf_copy* copy, const void* data, size_t size, calf_error** error) {
  return guarded(error, [&]() -> Answer<calf_status> {
    if (copy == nullptr || (data == nullptr && size != 0)) {
      return fail(CALF_ERROR_INVALID, "the copy or its data are NULL");
    }
    if (copy->ended && copy->why) return tl::unexpected(*copy->why);
    if (copy->ended || !copy->is_in) {
      return fail(CALF_ERROR_INVALID, "the copy does not take data");
    }
    CAPI_TRY(Call call, Call::begin(copy->state, copy));
    call.resume();
    return write(call, *copy, std::span(static_cast<const std::byte*>(data), size));
  });
}

calf_status calf_copy_read(calf_copy* copy, const void** data, size_t* size, calf_error** error) {
  if (data != nullptr) *data = nullptr;
  if (size != nullptr) *size = 0;
  return guarded(error, [&]() -> Answer<calf_status> {
    if (copy == nullptr || data == nullptr || size == nullptr) {
      return fail(CALF_ERROR_INVALID, "the copy is NULL, or there is no place for its data");
    }
    if (copy->is_in) return fail(CALF_ERROR_INVALID, "the copy gives no data: it takes them");
    if (copy->ended) return CALF_DONE;
    CAPI_TRY(Call call, Call::begin(copy->state, copy));
    call.resume();
    return read(call, *copy, data, size);
  });
}

calf_status calf_copy_end(calf_copy* copy, const char* failure, calf_result** result,
                          calf_error** error) {
  if (result != nullptr) *result = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    if (copy == nullptr || copy->state->generation != process_generation()) return CALF_OK;
    auto ended = end_if_open(*copy, failure);
    if (!ended && ended.error().status == CALF_ERROR_BUSY) return tl::unexpected(ended.error());
    const std::unique_ptr<calf_copy> owned(copy);
    if (!ended) return tl::unexpected(std::move(ended).error());
    if (result != nullptr) *result = new calf_result{.command_tag = copy->command_tag};
    return CALF_OK;
  });
}

}  // extern "C"
