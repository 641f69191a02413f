#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "cli/branch_command_line.h"
#include "cli/check_command_line.h"
#include "cli/config_command_line.h"
#include "cli/options.h"
#include "cli/port_command_line.h"
#include "cli/probe_command_line.h"
#include "cli/restore_command_line.h"
#include "cli/serve_command_line.h"
#include "cli/snapshot_command_line.h"
#include "cli/sql_command_line.h"
#include "cli/version.h"

namespace calf::cli {
namespace {

constexpr const char* kAbout =
    "Calf: a whole PostgreSQL 18 in one binary. No server to install, ready in milliseconds.\n\n"
    "  calf serve                         a fresh database in memory at "
    "postgresql://postgres@127.0.0.1:5432/postgres\n"
    "  calf serve ./data                  the same, kept in ./data (made when it is not there)\n"
    "  calf sql -c 'select version()'     one statement, no server\n"
    "  calf snapshot save FILE ./data     all of it in one file, for calf serve --from FILE\n"
    "  calf check ./data                  is everything in it sound?\n\n"
    "Then, from as many terminals as you like: psql -h 127.0.0.1 -U postgres";

constexpr int kNotAsked = 3;  // of calf ready, for what is wrong with its flags

PrintAndExit usage_error(const Error& error) {
  return {.text = "calf: " + error.message + (error.hint.empty() ? "" : " (" + error.hint + ")") +
                  "\nTry calf --help\n",
          .exit_code = 1};
}

template <typename Options>
Command to_command(Result<Options> options) {
  if (!options) return usage_error(options.error());
  return std::move(*options);
}

PrintAndExit print_of(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = app.exit(error, out, err);
  if (code == 0) return {.text = out.str(), .exit_code = 0};
  return usage_error({.message = error.what()});
}

}  // namespace

Command parse_command_line(std::vector<std::string> arguments) {
  CLI::App app(kAbout, "calf");
  app.set_help_flag("--help", "Show this text");
  app.set_version_flag("--version,-V", std::string(kVersionText));
  app.require_subcommand(1);
  ServeCommandLine serve(app);
  SqlCommandLine sql(app);
  PortCommandLine port(app);
  BranchCommandLine branch(app);
  SnapshotCommandLine snapshot(app);
  CheckCommandLine check(app);
  ConfigCommandLine config(app);
  RestoreCommandLine restore(app);
  ProbeCommandLine probe(app);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 wants them so
  try {
    app.parse(arguments);
    if (serve.parsed()) return to_command(serve.finish());
    if (sql.parsed()) return to_command(sql.finish());
    if (port.parsed()) return to_command(port.finish());
    if (branch.parsed()) return to_command(branch.finish());
    if (snapshot.parsed()) return to_command(snapshot.finish());
    if (config.parsed()) return to_command(config.finish());
    if (restore.parsed()) return to_command(restore.finish());
    if (probe.parsed()) {
      auto command = to_command(probe.finish());
      if (auto* wrong = std::get_if<PrintAndExit>(&command)) wrong->exit_code = kNotAsked;
      return command;
    }
    return to_command(check.finish());
  } catch (const CLI::ParseError& error) {
    return print_of(app, error);
  }
}

}  // namespace calf::cli
