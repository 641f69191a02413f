#include "capi/failure.h"

#include <algorithm>
#include <cstdlib>

namespace calf::capi {
namespace {

std::string_view sqlstate_of(calf_status status) {
  switch (status) {
    case CALF_ERROR_CLOSED:
      return "08006";
    case CALF_ERROR_TIMEOUT:
      return "57014";
    case CALF_ERROR_INVALID:
      return "22023";
    case CALF_ERROR_BUSY:
    case CALF_ERROR_IN_USE:
      return "55006";
    case CALF_ERROR_NOT_FOUND:
      return "42704";
    case CALF_ERROR_PERMISSION:
      return "42501";
    case CALF_ERROR_UNAVAILABLE:
      return "57P03";
    case CALF_ERROR_RESOURCES:
      return "53200";
    case CALF_ERROR_IO:
      return "58030";
    case CALF_ERROR_CORRUPT:
      return "XX001";
    case CALF_ERROR_UNSUPPORTED:
      return "0A000";
    default:
      return "XX000";
  }
}

calf_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return CALF_ERROR_INVALID;
    case ErrorCode::kNotFound:
      return CALF_ERROR_NOT_FOUND;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kPreconditionFailed:
      return CALF_ERROR_IN_USE;
    case ErrorCode::kPermissionDenied:
      return CALF_ERROR_PERMISSION;
    case ErrorCode::kResourceExhausted:
      return CALF_ERROR_RESOURCES;
    case ErrorCode::kUnavailable:
    case ErrorCode::kCancelled:
      return CALF_ERROR_UNAVAILABLE;
    case ErrorCode::kDeadlineExceeded:
      return CALF_ERROR_TIMEOUT;
    case ErrorCode::kDataCorrupted:
      return CALF_ERROR_CORRUPT;
    case ErrorCode::kIo:
      return CALF_ERROR_IO;
    case ErrorCode::kUnsupported:
      return CALF_ERROR_UNSUPPORTED;
    case ErrorCode::kInternal:
      break;
  }
  return CALF_ERROR_INTERNAL;
}

calf_status status_of_refusal(std::string_view sqlstate) {
  if (sqlstate.starts_with("28") || sqlstate == "42501") return CALF_ERROR_PERMISSION;
  if (sqlstate == "3D000") return CALF_ERROR_NOT_FOUND;
  if (sqlstate.starts_with("53")) return CALF_ERROR_RESOURCES;
  if (sqlstate.starts_with("57")) return CALF_ERROR_UNAVAILABLE;
  return CALF_ERROR_SQL;
}

const std::string* find(const calf_error* error, char letter) {
  if (error == nullptr) return nullptr;
  const auto found = std::find_if(error->fields.begin(), error->fields.end(),
                                  [&](const auto& field) { return field.first == letter; });
  return found == error->fields.end() ? nullptr : &found->second;
}

}  // namespace

tl::unexpected<Failure> fail(calf_status status, std::string message, std::string hint,
                             std::string_view sqlstate) {
  const std::string_view code = sqlstate.empty() ? sqlstate_of(status) : sqlstate;
  Failure failure{.status = status,
                  .fields = {{CALF_FIELD_SEVERITY, "ERROR"},
                             {CALF_FIELD_SEVERITY_ENGLISH, "ERROR"},
                             {CALF_FIELD_SQLSTATE, std::string(code)},
                             {CALF_FIELD_MESSAGE, std::move(message)}}};
  if (!hint.empty()) failure.fields.emplace_back(CALF_FIELD_HINT, std::move(hint));
  return tl::unexpected(std::move(failure));
}

tl::unexpected<Failure> fail_with(const Error& error) {
  return fail(status_of(error.code), error.message, error.hint);
}

Failure from_report(std::span<const std::byte> body, calf_status status) {
  const auto fields = pgwire::parse_report_fields(body);
  if (!fields) return fail_with(fields.error()).value();
  Failure failure{.status = status};
  for (const auto& [letter, text] : *fields) failure.fields.emplace_back(letter, text);
  const std::string* severity = find(&failure, CALF_FIELD_SEVERITY_ENGLISH);
  if (severity != nullptr && (*severity == "FATAL" || *severity == "PANIC")) {
    failure.status = CALF_ERROR_CLOSED;
  }
  return failure;
}

Failure from_refusal(std::span<const std::byte> body) {
  Failure failure = from_report(body, CALF_ERROR_SQL);
  if (const std::string* sqlstate = find(&failure, CALF_FIELD_SQLSTATE)) {
    failure.status = status_of_refusal(*sqlstate);
  }
  return failure;
}

calf_status report(calf_error** error, Failure failure) noexcept {
  const calf_status status = failure.status;
  if (error != nullptr) *error = new (std::nothrow) calf_error(std::move(failure));
  return status;
}

}  // namespace calf::capi

extern "C" {

calf_status calf_error_status(const calf_error* error) {
  return error == nullptr ? CALF_OK : error->status;
}

const char* calf_error_message(const calf_error* error) {
  if (const std::string* message = calf::capi::find(error, CALF_FIELD_MESSAGE)) {
    return message->c_str();
  }
  return error == nullptr ? "" : "out of memory";
}

const char* calf_error_sqlstate(const calf_error* error) {
  if (const std::string* sqlstate = calf::capi::find(error, CALF_FIELD_SQLSTATE)) {
    return sqlstate->c_str();
  }
  return error == nullptr ? "" : calf::capi::sqlstate_of(error->status).data();
}

const char* calf_error_field(const calf_error* error, calf_field field) {
  const std::string* text = calf::capi::find(error, static_cast<char>(field));
  return text == nullptr ? nullptr : text->c_str();
}

void calf_error_free(calf_error* error) {
  delete error;
}

}  // extern "C"
