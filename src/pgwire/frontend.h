// The client's half of protocol 3: what to send, and what comes back, as bytes. For `client` and
// tests. No input or output. PostgreSQL documentation, "Frontend/Backend Protocol",
// "Message Formats".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "pgwire/error_response.h"

namespace calf::pgwire {

constexpr std::uint32_t kProtocol30 = 0x00030000;
constexpr std::uint32_t kProtocol32 = 0x00030002;
constexpr std::size_t kMaxMessageBytes = 0x3fffffff;  // PQ_LARGE_MESSAGE_LIMIT: just under 1 GB

using Parameters = std::vector<std::pair<std::string, std::string>>;

// A parameter of Bind; formats are 0 (text) or 1 (binary).
struct BoundValue {
  std::optional<std::string_view> bytes{};  // nothing is SQL NULL
  std::int16_t format = 0;
};

// Appends messages to a buffer. Texts that end at a NUL on the wire are cut at their first NUL.
class FrontendEncoder {
 public:
  explicit FrontendEncoder(Bytes& out) : out_(out) {}

  void startup(const Parameters& parameters, std::uint32_t version = kProtocol30);
  void ssl_request();
  void cancel_request(std::uint32_t pid, std::span<const std::byte> key);
  void password(std::string_view password);  // PasswordMessage
  void sasl_initial(std::string_view mechanism, std::string_view response);
  void sasl_response(std::string_view response);
  void query(std::string_view sql);
  void parse(std::string_view statement, std::string_view sql,
             std::span<const std::uint32_t> parameter_types = {});
  // All results in `result_format`.
  void bind(std::string_view portal, std::string_view statement, std::span<const BoundValue> values,
            std::int16_t result_format = 0);
  void describe(char kind, std::string_view name);  // 'S' statement, 'P' portal
  void execute(std::string_view portal, std::uint32_t max_rows = 0);
  void close(char kind, std::string_view name);
  void sync();
  void flush();
  void terminate();
  void copy_data(std::span<const std::byte> data);
  void copy_done();
  void copy_fail(std::string_view reason);

 private:
  Bytes& out_;
};

// One message of the backend: its type byte and its body (without the length word).
struct Message {
  char type = 0;
  std::span<const std::byte> body;  // valid until the next call of the decoder that gave it
};

struct DecoderOptions {
  std::size_t max_message_bytes = kMaxMessageBytes;
};

// Cuts a stream of bytes into messages. Memory: at most one message (grown as its bytes arrive,
// never by what its length claims) plus what was fed. One thread at a time.
class MessageDecoder {
 public:
  explicit MessageDecoder(DecoderOptions options = {}) : options_(options) {}

  void feed(std::span<const std::byte> bytes);
  // The same without a copy: room to read into, at least a few KB, and how many bytes were read.
  // Both end the life of the message that next() gave.
  std::span<std::byte> room();
  void filled(std::size_t size) { end_ += size; }

  // The next whole message, or nothing when more bytes are needed. kDataCorrupted: a length below 4
  // or above the limit; the stream cannot go on.
  Result<std::optional<Message>> next();

  // What has come behind the last message, for who goes on without messages.
  [[nodiscard]] std::span<const std::byte> rest() const {
    return std::span(buffer_).subspan(read_, end_ - read_);
  }

  // Whether a message has begun and is not whole: end of stream is then a broken one.
  [[nodiscard]] bool in_message() const { return read_ < end_; }

 private:
  DecoderOptions options_;
  Bytes buffer_;  // [read_, end_) is what has come and was not taken
  std::size_t read_ = 0;
  std::size_t end_ = 0;
};

struct ColumnDescription {
  std::string name;
  std::uint32_t table_oid = 0;
  std::int16_t column_number = 0;
  std::uint32_t type_oid = 0;
  std::int16_t type_size = 0;
  std::int32_t type_modifier = 0;
  std::int16_t format = 0;
};

// A field of ErrorResponse or NoticeResponse: its letter and its text.
using ReportField = std::pair<char, std::string_view>;

// Those of them that people read first. Others are skipped.
struct Report {
  std::string severity;                            // S, as the server says it (may be translated)
  std::string sqlstate;                            // C
  std::string message;                             // M
  std::string detail;                              // D
  std::string hint;                                // H
  std::string context;                             // W
  std::string internal_query;                      // q
  std::optional<std::uint32_t> position;           // P, in characters from 1
  std::optional<std::uint32_t> internal_position;  // p
};

struct BackendKey {
  std::uint32_t pid = 0;
  Bytes key{};
};

struct Notification {
  std::uint32_t pid = 0;
  std::string channel{};
  std::string payload{};
};

struct AuthenticationRequest {
  std::uint32_t code = 0;  // 0 ok, 3 cleartext, 5 MD5, 10 SASL, 11 SASL continue, 12 SASL final
  std::vector<std::string> mechanisms{};  // of 10
  std::string data{};                     // salt of 5; SASL data of 11 and 12
};

struct CopyDescription {
  std::int8_t overall_format = 0;
  std::vector<std::int16_t> column_formats{};
};

// Bodies of messages. Each one checks every length against the body and that nothing is left over;
// kDataCorrupted otherwise.
Result<std::vector<ColumnDescription>> parse_row_description(std::span<const std::byte> body);  // T
// Values point into `body`; nothing is NULL.                                                      D
Result<std::vector<std::optional<std::string_view>>> parse_data_row(
    std::span<const std::byte> body);
Result<Report> parse_report(std::span<const std::byte> body);  // E, N
// All fields in their order; texts point into `body`, each followed by its NUL. E, N
Result<std::vector<ReportField>> parse_report_fields(std::span<const std::byte> body);
Result<std::string> parse_command_complete(std::span<const std::byte> body);  // C
Result<char> parse_ready_for_query(std::span<const std::byte> body);          // Z: I, T or E
Result<BackendKey> parse_backend_key(std::span<const std::byte> body);        // K
Result<AuthenticationRequest> parse_authentication(std::span<const std::byte> body);  // R
Result<std::pair<std::string, std::string>> parse_parameter_status(
    std::span<const std::byte> body);                                          // S
Result<CopyDescription> parse_copy_response(std::span<const std::byte> body);  // G, H, W
Result<std::vector<std::uint32_t>> parse_parameter_description(
    std::span<const std::byte> body);                                      // t
Result<Notification> parse_notification(std::span<const std::byte> body);  // A

}  // namespace calf::pgwire
