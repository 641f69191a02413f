#include "base/assert.h"
#include "pgwire/frontend.h"
#include "pgwire/wire.h"

namespace calf::pgwire {

void FrontendEncoder::startup(const Parameters& parameters, std::uint32_t version) {
  MessageBuilder message(out_, 0);
  put_u32(out_, version);
  for (const auto& [name, value] : parameters) {
    put_cstring(out_, name);
    put_cstring(out_, value);
  }
  put_u8(out_, 0);
}

void FrontendEncoder::ssl_request() {
  MessageBuilder message(out_, 0);
  put_u32(out_, 1234u << 16 | 5679);
}

void FrontendEncoder::cancel_request(std::uint32_t pid, std::span<const std::byte> key) {
  MessageBuilder message(out_, 0);
  put_u32(out_, 1234u << 16 | 5678);
  put_u32(out_, pid);
  put_bytes(out_, key);
}

void FrontendEncoder::password(std::string_view password) {
  MessageBuilder message(out_, 'p');
  put_cstring(out_, password);
}

void FrontendEncoder::sasl_initial(std::string_view mechanism, std::string_view response) {
  MessageBuilder message(out_, 'p');
  put_cstring(out_, mechanism);
  put_u32(out_, static_cast<std::uint32_t>(response.size()));
  put_text(out_, response);
}

void FrontendEncoder::sasl_response(std::string_view response) {
  MessageBuilder message(out_, 'p');
  put_text(out_, response);
}

void FrontendEncoder::query(std::string_view sql) {
  MessageBuilder message(out_, 'Q');
  put_cstring(out_, sql);
}

void FrontendEncoder::parse(std::string_view statement, std::string_view sql,
                            std::span<const std::uint32_t> parameter_types) {
  ASSERT(parameter_types.size() <= UINT16_MAX);
  MessageBuilder message(out_, 'P');
  put_cstring(out_, statement);
  put_cstring(out_, sql);
  put_u16(out_, static_cast<std::uint16_t>(parameter_types.size()));
  for (std::uint32_t oid : parameter_types) put_u32(out_, oid);
}

void FrontendEncoder::bind(std::string_view portal, std::string_view statement,
                           std::span<const BoundValue> values, std::int16_t result_format) {
  ASSERT(values.size() <= UINT16_MAX);
  const auto count = static_cast<std::uint16_t>(values.size());
  MessageBuilder message(out_, 'B');
  put_cstring(out_, portal);
  put_cstring(out_, statement);
  put_u16(out_, count);
  for (const BoundValue& value : values) put_u16(out_, static_cast<std::uint16_t>(value.format));
  put_u16(out_, count);
  for (const BoundValue& value : values) {
    put_u32(out_, value.bytes ? static_cast<std::uint32_t>(value.bytes->size()) : UINT32_MAX);
    if (value.bytes) put_text(out_, *value.bytes);
  }
  put_u16(out_, 1);
  put_u16(out_, static_cast<std::uint16_t>(result_format));
}

void FrontendEncoder::describe(char kind, std::string_view name) {
  MessageBuilder message(out_, 'D');
  put_u8(out_, static_cast<std::uint8_t>(kind));
  put_cstring(out_, name);
}

void FrontendEncoder::execute(std::string_view portal, std::uint32_t max_rows) {
  MessageBuilder message(out_, 'E');
  put_cstring(out_, portal);
  put_u32(out_, max_rows);
}

void FrontendEncoder::close(char kind, std::string_view name) {
  MessageBuilder message(out_, 'C');
  put_u8(out_, static_cast<std::uint8_t>(kind));
  put_cstring(out_, name);
}

void FrontendEncoder::sync() {
  MessageBuilder message(out_, 'S');
}
void FrontendEncoder::flush() {
  MessageBuilder message(out_, 'H');
}
void FrontendEncoder::terminate() {
  MessageBuilder message(out_, 'X');
}
void FrontendEncoder::copy_done() {
  MessageBuilder message(out_, 'c');
}

void FrontendEncoder::copy_data(std::span<const std::byte> data) {
  MessageBuilder message(out_, 'd');
  put_bytes(out_, data);
}

void FrontendEncoder::copy_fail(std::string_view reason) {
  MessageBuilder message(out_, 'f');
  put_cstring(out_, reason);
}

}  // namespace calf::pgwire
