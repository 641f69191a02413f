#include "pgwire/backend.h"

#include "pgwire/wire.h"

namespace calf::pgwire {
namespace {

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::kDataCorrupted, "invalid " + std::string(what) + " message");
}

}  // namespace

void BackendEncoder::authentication(std::uint32_t code, std::span<const std::byte> data) {
  const MessageBuilder message(out_, 'R');
  put_u32(out_, code);
  put_bytes(out_, data);
}

void BackendEncoder::negotiate_protocol_version(std::uint32_t newest_minor,
                                                const std::vector<std::string>& unknown_options) {
  const MessageBuilder message(out_, 'v');
  put_u32(out_, newest_minor);
  put_u32(out_, static_cast<std::uint32_t>(unknown_options.size()));
  for (const std::string& option : unknown_options) put_cstring(out_, option);
}

void BackendEncoder::parameter_status(std::string_view name, std::string_view value) {
  const MessageBuilder message(out_, 'S');
  put_cstring(out_, name);
  put_cstring(out_, value);
}

void BackendEncoder::backend_key(std::uint32_t pid, std::span<const std::byte> key) {
  const MessageBuilder message(out_, 'K');
  put_u32(out_, pid);
  put_bytes(out_, key);
}

void BackendEncoder::ready_for_query(char transaction_status) {
  const MessageBuilder message(out_, 'Z');
  put_u8(out_, static_cast<std::uint8_t>(transaction_status));
}

void BackendEncoder::row_description(const std::vector<ColumnDescription>& columns) {
  const MessageBuilder message(out_, 'T');
  put_u16(out_, static_cast<std::uint16_t>(columns.size()));
  for (const ColumnDescription& column : columns) {
    put_cstring(out_, column.name);
    put_u32(out_, column.table_oid);
    put_u16(out_, static_cast<std::uint16_t>(column.column_number));
    put_u32(out_, column.type_oid);
    put_u16(out_, static_cast<std::uint16_t>(column.type_size));
    put_u32(out_, static_cast<std::uint32_t>(column.type_modifier));
    put_u16(out_, static_cast<std::uint16_t>(column.format));
  }
}

void BackendEncoder::parameter_description(const std::vector<std::uint32_t>& types) {
  const MessageBuilder message(out_, 't');
  put_u16(out_, static_cast<std::uint16_t>(types.size()));
  for (const std::uint32_t type : types) put_u32(out_, type);
}

void BackendEncoder::command_complete(std::string_view tag) {
  const MessageBuilder message(out_, 'C');
  put_cstring(out_, tag);
}

void BackendEncoder::bare(char type) {
  const MessageBuilder message(out_, type);
}

void BackendEncoder::copy_response(char direction, std::int8_t format, std::size_t columns) {
  const MessageBuilder message(out_, direction);
  put_u8(out_, static_cast<std::uint8_t>(format));
  put_u16(out_, static_cast<std::uint16_t>(columns));
  for (std::size_t i = 0; i < columns; ++i) put_u16(out_, static_cast<std::uint16_t>(format));
}

void BackendEncoder::copy_data(std::string_view data) {
  const MessageBuilder message(out_, 'd');
  put_text(out_, data);
}

void BackendEncoder::notification(std::uint32_t pid, std::string_view channel,
                                  std::string_view payload) {
  const MessageBuilder message(out_, 'A');
  put_u32(out_, pid);
  put_cstring(out_, channel);
  put_cstring(out_, payload);
}

Result<std::string_view> parse_query(std::span<const std::byte> body) {
  Reader reader(body);
  const std::string_view text = reader.cstring();
  if (!reader.finished()) return malformed("Query");
  return text;
}

Result<ParseMessage> parse_parse(std::span<const std::byte> body) {
  Reader reader(body);
  ParseMessage parsed{.statement = reader.cstring(), .sql = reader.cstring()};
  const std::size_t count = reader.u16();
  if (reader.left() != count * 4) return malformed("Parse");
  for (std::size_t i = 0; i < count; ++i) parsed.parameter_types.push_back(reader.u32());
  if (!reader.finished()) return malformed("Parse");
  return parsed;
}

Result<BindMessage> parse_bind(std::span<const std::byte> body) {
  Reader reader(body);
  BindMessage bind{.portal = reader.cstring(), .statement = reader.cstring()};
  const std::size_t formats = reader.u16();
  for (std::size_t i = 0; i < formats && reader.ok(); ++i) {
    bind.parameter_formats.push_back(reader.i16());
  }
  const std::size_t values = reader.u16();
  for (std::size_t i = 0; i < values && reader.ok(); ++i) {
    const std::int32_t size = reader.i32();
    if (size == -1) {
      bind.values.emplace_back(std::nullopt);
    } else if (size < 0) {
      return malformed("Bind");
    } else {
      bind.values.emplace_back(reader.text(static_cast<std::size_t>(size)));
    }
  }
  const std::size_t results = reader.u16();
  for (std::size_t i = 0; i < results && reader.ok(); ++i) {
    bind.result_formats.push_back(reader.i16());
  }
  if (!reader.finished()) return malformed("Bind");
  return bind;
}

Result<ExecuteMessage> parse_execute(std::span<const std::byte> body) {
  Reader reader(body);
  ExecuteMessage execute{.portal = reader.cstring()};
  // PostgreSQL takes zero and less as "all".
  const std::int32_t rows = reader.i32();
  execute.max_rows = rows > 0 ? static_cast<std::uint32_t>(rows) : 0;
  if (!reader.finished()) return malformed("Execute");
  return execute;
}

Result<NamedObject> parse_named_object(std::span<const std::byte> body) {
  Reader reader(body);
  NamedObject object{.kind = static_cast<char>(reader.u8()), .name = reader.cstring()};
  if (!reader.finished() || (object.kind != 'S' && object.kind != 'P')) {
    return malformed("Describe or Close");
  }
  return object;
}

Result<SaslInitial> parse_sasl_initial(std::span<const std::byte> body) {
  Reader reader(body);
  SaslInitial initial{.mechanism = reader.cstring()};
  const std::int32_t size = reader.i32();
  if (size >= 0) initial.response = reader.text(static_cast<std::size_t>(size));
  if (!reader.finished()) return malformed("SASLInitialResponse");
  return initial;
}

}  // namespace calf::pgwire
