#include "pgwire/error_response.h"

#include "pgwire/wire.h"

namespace calf::pgwire {

static void put_field(Bytes& out, char letter, const std::string& value) {
  if (value.empty()) return;
  put_u8(out, static_cast<std::uint8_t>(letter));
  for (char c : value) {
    if (c != '\0') put_u8(out, static_cast<std::uint8_t>(c));
  }
  put_u8(out, 0);
}

Bytes encode_error_response(const ErrorMessage& error) {
  Bytes out;
  {
    MessageBuilder message(out, 'E');
    put_field(out, 'S', error.severity);
    put_field(out, 'V', error.severity);
    put_field(out, 'C', error.sqlstate);
    put_field(out, 'M', error.message);
    put_field(out, 'D', error.detail);
    put_field(out, 'H', error.hint);
    put_u8(out, 0);
  }
  return out;
}

}  // namespace calf::pgwire
