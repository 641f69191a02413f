// A server's SCRAM messages.
#include <cstdint>
#include <string_view>

#include "pgwire/scram.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // Many iterations are allowed, and slow: not what is looked for here.
  if (const auto at = text.find("i="); at != text.npos && text.size() - at > 5) return 0;
  calf::pgwire::ScramClient client("password", "abc");
  (void)client.final(text);
  (void)client.verify(text);
  return 0;
}
