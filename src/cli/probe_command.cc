#include "cli/probe_command.h"

#include <array>
#include <cstdio>

#include "client/socket_client.h"
#include "pgwire/frontend.h"

namespace calf::cli {
namespace {

enum class Answer { kAccepting = 0, kRejecting = 1, kNone = 2 };

// As libpq sees it: who is refused for a reason of his own has met a server that works.
Answer meaning_of(const pgwire::Message& message) {
  if (message.type != 'E') return Answer::kAccepting;
  const auto report = pgwire::parse_report(message.body);
  return report && report->sqlstate == "57P03" ? Answer::kRejecting : Answer::kAccepting;
}

Answer ask(const ProbeOptions& options) {
  const auto deadline = net::PipeClient::Clock::now() + options.timeout;
  auto pipe = client::connect_socket(options.host, options.port, deadline);
  if (!pipe) return Answer::kNone;
  pgwire::Bytes startup;
  pgwire::FrontendEncoder(startup).startup(
      {{"user", options.user}, {"database", options.database}});
  if (!(*pipe)->write(startup, deadline).done()) return Answer::kNone;
  pgwire::MessageDecoder decoder;
  std::array<std::byte, 1024> buffer;
  while (true) {
    const auto message = decoder.next();
    if (!message) return Answer::kNone;  // that is not PostgreSQL's protocol
    if (*message) return meaning_of(**message);
    const net::IoResult got = (*pipe)->read(buffer, deadline);
    if (!got.done()) return Answer::kNone;
    decoder.feed(std::span(buffer).first(got.bytes));
  }
}

}  // namespace

int run_probe(const ProbeOptions& options) {
  constexpr std::array kWords{"accepting connections", "rejecting connections", "no response"};
  const Answer answer = ask(options);
  if (!options.quiet) {
    std::printf("%s:%d - %s\n", options.host.c_str(), options.port,
                kWords[static_cast<std::size_t>(answer)]);
  }
  return static_cast<int>(answer);
}

}  // namespace calf::cli
