#include <algorithm>
#include <charconv>
#include <cstring>

#include "pgwire/frontend.h"
#include "pgwire/wire.h"

namespace calf::pgwire {
namespace {

constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kFirstBytes = 8 * 1024;
constexpr std::size_t kLeastRoomBytes = 4 * 1024;
constexpr std::size_t kKeptBytes = 1024 * 1024;  // of a buffer that a long message has made large

tl::unexpected<Error> malformed(std::string_view message_name) {
  return fail(ErrorCode::kDataCorrupted,
              "malformed " + std::string(message_name) + " message from the server");
}

std::optional<std::uint32_t> to_number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::span<std::byte> MessageDecoder::room() {
  if (read_ == end_) {
    read_ = end_ = 0;
    if (buffer_.size() > kKeptBytes) buffer_ = {};
  }
  if (buffer_.size() - end_ < kLeastRoomBytes) {
    // What was consumed makes room first; then the buffer grows by half of what has really come.
    if (end_ > read_) std::memmove(buffer_.data(), buffer_.data() + read_, end_ - read_);
    end_ -= read_;
    read_ = 0;
    if (buffer_.size() - end_ < kLeastRoomBytes) {
      buffer_.resize(std::max(buffer_.size() + buffer_.size() / 2, end_ + kFirstBytes));
    }
  }
  return std::span(buffer_).subspan(end_);
}

void MessageDecoder::feed(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto to = room();
    const std::size_t n = std::min(to.size(), bytes.size());
    std::memcpy(to.data(), bytes.data(), n);
    filled(n);
    bytes = bytes.subspan(n);
  }
}

Result<std::optional<Message>> MessageDecoder::next() {
  const auto come = rest();
  if (come.size() < kHeaderBytes) return std::nullopt;
  const std::size_t length = load_u32(come.subspan(1));
  if (length < 4 || length > options_.max_message_bytes) {
    return fail(ErrorCode::kDataCorrupted,
                "a message of the server claims " + std::to_string(length) + " bytes");
  }
  if (come.size() < 1 + length) return std::nullopt;
  read_ += 1 + length;
  return Message{.type = static_cast<char>(come[0]), .body = come.subspan(5, length - 4)};
}

Result<std::vector<ColumnDescription>> parse_row_description(std::span<const std::byte> body) {
  Reader reader(body);
  const std::uint16_t count = reader.u16();
  constexpr std::size_t kLeastBytes = 19;  // an empty name and the six numbers
  if (!reader.ok() || reader.left() < count * kLeastBytes) return malformed("RowDescription");
  std::vector<ColumnDescription> columns(count);
  for (ColumnDescription& column : columns) {
    column.name = reader.cstring();
    column.table_oid = reader.u32();
    column.column_number = reader.i16();
    column.type_oid = reader.u32();
    column.type_size = reader.i16();
    column.type_modifier = reader.i32();
    column.format = reader.i16();
  }
  if (!reader.finished()) return malformed("RowDescription");
  return columns;
}

Result<std::vector<std::optional<std::string_view>>> parse_data_row(
    std::span<const std::byte> body) {
  Reader reader(body);
  const std::uint16_t count = reader.u16();
  if (!reader.ok() || reader.left() < count * std::size_t{4}) return malformed("DataRow");
  std::vector<std::optional<std::string_view>> values(count);
  for (auto& value : values) {
    const std::int32_t size = reader.i32();
    if (size < -1) return malformed("DataRow");
    if (size >= 0) value = reader.text(static_cast<std::size_t>(size));
  }
  if (!reader.finished()) return malformed("DataRow");
  return values;
}

static void set_field(Report& report, char letter, std::string_view value) {
  switch (letter) {
    case 'S':
      report.severity = value;
      break;
    case 'C':
      report.sqlstate = value;
      break;
    case 'M':
      report.message = value;
      break;
    case 'D':
      report.detail = value;
      break;
    case 'H':
      report.hint = value;
      break;
    case 'W':
      report.context = value;
      break;
    case 'q':
      report.internal_query = value;
      break;
    case 'P':
      report.position = to_number(value);
      break;
    case 'p':
      report.internal_position = to_number(value);
      break;
    default:
      break;
  }
}

Result<std::vector<ReportField>> parse_report_fields(std::span<const std::byte> body) {
  Reader reader(body);
  std::vector<ReportField> found;
  while (const char letter = static_cast<char>(reader.u8())) {
    found.emplace_back(letter, reader.cstring());
  }
  if (!reader.finished()) return malformed("ErrorResponse");
  return found;
}

Result<Report> parse_report(std::span<const std::byte> body) {
  CALF_TRY(const auto found, parse_report_fields(body));
  Report report;
  for (const auto& [letter, text] : found) set_field(report, letter, text);
  return report;
}

Result<std::string> parse_command_complete(std::span<const std::byte> body) {
  Reader reader(body);
  std::string tag(reader.cstring());
  if (!reader.finished()) return malformed("CommandComplete");
  return tag;
}

Result<char> parse_ready_for_query(std::span<const std::byte> body) {
  Reader reader(body);
  const char status = static_cast<char>(reader.u8());
  if (!reader.finished() || (status != 'I' && status != 'T' && status != 'E')) {
    return malformed("ReadyForQuery");
  }
  return status;
}

Result<BackendKey> parse_backend_key(std::span<const std::byte> body) {
  Reader reader(body);
  BackendKey key{.pid = reader.u32()};
  if (!reader.ok() || reader.left() < 4 || reader.left() > 256) return malformed("BackendKeyData");
  key.key.assign(body.begin() + 4, body.end());
  return key;
}

Result<AuthenticationRequest> parse_authentication(std::span<const std::byte> body) {
  Reader reader(body);
  AuthenticationRequest request{.code = reader.u32()};
  if (!reader.ok()) return malformed("Authentication");
  if (request.code != 10) {
    request.data = reader.text(reader.left());
    return request;
  }
  while (reader.left() > 1) request.mechanisms.emplace_back(reader.cstring());
  if (reader.u8() != 0 || !reader.finished()) return malformed("AuthenticationSASL");
  return request;
}

Result<std::pair<std::string, std::string>> parse_parameter_status(
    std::span<const std::byte> body) {
  Reader reader(body);
  std::string name(reader.cstring());
  std::string value(reader.cstring());
  if (!reader.finished()) return malformed("ParameterStatus");
  return std::pair{std::move(name), std::move(value)};
}

Result<std::vector<std::uint32_t>> parse_parameter_description(std::span<const std::byte> body) {
  Reader reader(body);
  const std::uint16_t count = reader.u16();
  if (!reader.ok() || reader.left() != count * std::size_t{4}) {
    return malformed("ParameterDescription");
  }
  std::vector<std::uint32_t> types(count);
  for (std::uint32_t& type : types) type = reader.u32();
  return types;
}

Result<Notification> parse_notification(std::span<const std::byte> body) {
  Reader reader(body);
  Notification notification{.pid = reader.u32()};
  notification.channel = reader.cstring();
  notification.payload = reader.cstring();
  if (!reader.finished()) return malformed("NotificationResponse");
  return notification;
}

Result<CopyDescription> parse_copy_response(std::span<const std::byte> body) {
  Reader reader(body);
  CopyDescription description{.overall_format = static_cast<std::int8_t>(reader.u8())};
  const std::uint16_t count = reader.u16();
  if (!reader.ok() || reader.left() != count * std::size_t{2}) return malformed("CopyResponse");
  for (int i = 0; i < count; ++i) description.column_formats.push_back(reader.i16());
  return description;
}

}  // namespace calf::pgwire
