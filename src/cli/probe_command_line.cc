#include "cli/probe_command_line.h"

#include "config/config.h"

namespace calf::cli {
namespace {

constexpr const char* kExamples =
    "Asks as pg_isready does, for health checks: without flags, for the server that the same "
    "configuration\nand variables give to calf serve.\n\n"
    "Examples:\n"
    "  calf ready\n"
    "  calf ready --config /etc/calf/config.yaml\n"
    "  calf ready -h /tmp -p 5433\n\n"
    "Exit code: 0 when clients are accepted, 1 while the server starts or restores its database, "
    "2 when\nnobody answers, 3 when nobody was asked.";

// One that a server listens on as a client here reaches it.
std::string reachable(const std::string& hosts) {
  const std::string first = hosts.substr(0, hosts.find(','));
  const bool everywhere = first.empty() || first == "*" || first == "0.0.0.0" || first == "::";
  return everywhere ? "127.0.0.1" : first;
}

}  // namespace

ProbeCommandLine::ProbeCommandLine(CLI::App& app)
    : app_(app.add_subcommand("ready", "Say whether a server accepts clients")) {
  app_->set_help_flag("--help", "Show this text");
  app_->footer(kExamples);
  app_->add_option("-h,--host", host_, "The server, or its socket's directory (server.host)");
  app_->add_option("-p,--port", port_, "Its port (server.port)");
  app_->add_option("-t,--timeout", timeout_, "Seconds to wait for an answer (3)");
  app_->add_flag("-q,--quiet", quiet_, "The exit code only");
  add_config(*app_, config_);
}

Result<ProbeOptions> ProbeCommandLine::finish() const {
  RawConfig raw = config_;
  if (!port_.empty()) raw.settings.push_back("server.port=" + port_);
  CALF_TRY(const config::Config config, load_config(raw));
  ProbeOptions options{.host = host_.empty() ? reachable(config.text("server.host")) : host_,
                       .port = static_cast<std::uint16_t>(config.number("server.port")),
                       .user = config.text("server.authentication.user"),
                       .database = config.text("database.name"),
                       .quiet = quiet_};
  CALF_TRY(options.timeout, parse_seconds(timeout_));
  return options;
}

}  // namespace calf::cli
