// The startup machine: whatever the pieces, the same bytes give the same end; nothing is kept
// beyond its limit.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "pgwire/frontend.h"
#include "pgwire/startup.h"

using namespace calf::pgwire;

static void require(bool condition) {
  if (!condition) std::abort();
}

static bool is_end(const StartupAction& action) {
  return std::holds_alternative<action::Start>(action) ||
         std::holds_alternative<action::Cancel>(action) ||
         std::holds_alternative<action::Reject>(action);
}

static void check_end(const StartupAction& action) {
  if (const auto* start = std::get_if<action::Start>(&action)) {
    require(start->packet.raw.size() >= 4 && start->packet.raw.size() <= kMaxStartupPacketBytes);
    require(!start->packet.parameters.at("user").empty());
  } else if (const auto* cancel = std::get_if<action::Cancel>(&action)) {
    require(!cancel->key.empty() && cancel->key.size() <= kMaxCancelKeyBytes);
  } else if (const auto& reject = std::get<action::Reject>(action); !reject.response.empty()) {
    MessageDecoder decoder;
    decoder.feed(reject.response);
    const auto message = decoder.next();
    require(message && *message && (*message)->type == 'E' && !decoder.in_message());
    require(parse_report((*message)->body).has_value());
  }
}

// Feeds at most `piece` bytes at a time and never more than wanted, as the server does; the index
// of the last action.
static std::size_t run(std::span<const std::byte> bytes, std::size_t piece, bool tls) {
  StartupMachine machine({.tls_available = tls});
  std::size_t fed = 0;
  while (fed < bytes.size()) {
    const std::size_t wanted = machine.wanted();
    require(wanted > 0 && wanted <= 4 + kMaxStartupPacketBytes);
    const auto next = bytes.subspan(fed, std::min({piece, wanted, bytes.size() - fed}));
    fed += next.size();
    StartupAction action = machine.feed(next);
    if (std::holds_alternative<action::StartTls>(action)) action = machine.tls_started(true);
    if (!is_end(action)) continue;
    check_end(action);
    return action.index() * 100000 + fed;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  for (const bool tls : {false, true}) require(run(bytes, 1, tls) == run(bytes, SIZE_MAX, tls));
  StartupMachine greedy({});
  const StartupAction action = greedy.feed(bytes);
  if (is_end(action)) check_end(action);
  return 0;
}
