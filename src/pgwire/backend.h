// The server's half of protocol 3: what a client sends, parsed, and what it is answered, as bytes.
// For an engine that is not PostgreSQL itself. No input or output. PostgreSQL documentation,
// "Frontend/Backend Protocol", "Message Formats".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pgwire/frontend.h"

namespace calf::pgwire {

// Appends messages to a buffer.
class BackendEncoder {
 public:
  explicit BackendEncoder(Bytes& out) : out_(out) {}

  void authentication(std::uint32_t code,
                      std::span<const std::byte> data = {});  // see AuthenticationRequest
  void negotiate_protocol_version(std::uint32_t newest_minor,
                                  const std::vector<std::string>& unknown_options);
  void parameter_status(std::string_view name, std::string_view value);
  void backend_key(std::uint32_t pid, std::span<const std::byte> key);
  void ready_for_query(char transaction_status);
  void row_description(const std::vector<ColumnDescription>& columns);
  void parameter_description(const std::vector<std::uint32_t>& types);
  void command_complete(std::string_view tag);
  // A message without a body: '1' parse, '2' bind, '3' close complete, 'n' no data, 's' portal
  // suspended, 'I' empty query, 'c' copy done.
  void bare(char type);
  void copy_response(char direction, std::int8_t format, std::size_t columns);  // 'G' in, 'H' out
  void copy_data(std::string_view data);
  void notification(std::uint32_t pid, std::string_view channel, std::string_view payload);

 private:
  Bytes& out_;
};

struct ParseMessage {
  std::string_view statement;
  std::string_view sql;
  std::vector<std::uint32_t> parameter_types{};
};

struct BindMessage {
  std::string_view portal;
  std::string_view statement;
  std::vector<std::int16_t> parameter_formats{};
  std::vector<std::optional<std::string_view>> values{};  // nothing is NULL
  std::vector<std::int16_t> result_formats{};
};

struct ExecuteMessage {
  std::string_view portal;
  std::uint32_t max_rows = 0;  // 0: all
};

struct NamedObject {  // of Describe and Close
  char kind = 'S';    // 'S' statement, 'P' portal
  std::string_view name;
};

// Bodies of messages; texts point into `body`. Each one checks every length against the body and
// that nothing is left over; kDataCorrupted otherwise.
Result<std::string_view> parse_query(std::span<const std::byte> body);    // Q, p (password)
Result<ParseMessage> parse_parse(std::span<const std::byte> body);        // P
Result<BindMessage> parse_bind(std::span<const std::byte> body);          // B
Result<ExecuteMessage> parse_execute(std::span<const std::byte> body);    // E
Result<NamedObject> parse_named_object(std::span<const std::byte> body);  // D, C

struct SaslInitial {
  std::string_view mechanism;
  std::string_view response;
};
Result<SaslInitial> parse_sasl_initial(std::span<const std::byte> body);  // p

}  // namespace calf::pgwire
