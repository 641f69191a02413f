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

static Bytes encode_report(char type, const ErrorMessage& report) {
  Bytes out;
  {
    MessageBuilder message(out, type);
    put_field(out, 'S', report.severity);
    put_field(out, 'V', report.severity);
    put_field(out, 'C', report.sqlstate);
    put_field(out, 'M', report.message);
    put_field(out, 'D', report.detail);
    put_field(out, 'H', report.hint);
    if (report.position != 0) put_field(out, 'P', std::to_string(report.position));
    put_field(out, 's', report.schema);
    put_field(out, 't', report.table);
    put_field(out, 'c', report.column);
    put_field(out, 'n', report.constraint);
    put_u8(out, 0);
  }
  return out;
}

Bytes encode_error_response(const ErrorMessage& error) {
  return encode_report('E', error);
}

Bytes encode_notice_response(const ErrorMessage& notice) {
  return encode_report('N', notice);
}

}  // namespace calf::pgwire
