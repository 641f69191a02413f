// A server's messages: cutting them and reading their bodies. The first byte chooses the size of
// the pieces.
#include <algorithm>
#include <cstdint>

#include "pgwire/frontend.h"

using namespace calf::pgwire;

static void parse_all(std::span<const std::byte> body) {
  (void)parse_row_description(body);
  (void)parse_data_row(body);
  (void)parse_report(body);
  (void)parse_command_complete(body);
  (void)parse_ready_for_query(body);
  (void)parse_backend_key(body);
  (void)parse_authentication(body);
  (void)parse_parameter_status(body);
  (void)parse_copy_response(body);
  (void)parse_parameter_description(body);
  (void)parse_notification(body);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  parse_all(bytes);
  MessageDecoder decoder({.max_message_bytes = 1 << 20});
  const std::size_t piece = data[0] + std::size_t{1};
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    decoder.feed(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    while (true) {
      const auto message = decoder.next();
      if (!message) return 0;
      if (!*message) break;
      parse_all((*message)->body);
    }
  }
  return 0;
}
