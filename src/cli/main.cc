// The program: reads the command line and runs what it asks for.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/branch_command.h"
#include "cli/check_command.h"
#include "cli/options.h"
#include "cli/port_command.h"
#include "cli/probe_command.h"
#include "cli/restore_command.h"
#include "cli/serve_command.h"
#include "cli/snapshot_command.h"
#include "cli/sql_command.h"

static int run(const calf::cli::Command& command) {
  using namespace calf::cli;
  if (const auto* serve = std::get_if<ServeOptions>(&command)) return run_serve(*serve);
  if (const auto* sql = std::get_if<SqlOptions>(&command)) return run_sql(*sql);
  if (const auto* restore = std::get_if<RestoreCommand>(&command)) return run_restore(*restore);
  if (const auto* probe = std::get_if<ProbeOptions>(&command)) return run_probe(*probe);
  if (const auto* port = std::get_if<PortOptions>(&command)) return run_port(*port);
  if (const auto* save = std::get_if<SnapshotSaveOptions>(&command))
    return run_snapshot_save(*save);
  if (const auto* check = std::get_if<CheckOptions>(&command)) return run_check(*check);
  if (const auto* branch = std::get_if<BranchOptions>(&command)) return run_branch(*branch);
  const auto& print = std::get<PrintAndExit>(command);
  std::fputs(print.text.c_str(), print.exit_code == 0 ? stdout : stderr);
  return print.exit_code;
}

int main(int argc, char** argv) {
  try {
    return run(calf::cli::parse_command_line({argv + 1, argv + argc}));
  } catch (const std::exception& e) {  // out of memory, mostly
    std::fprintf(stderr, "calf: %s\n", e.what());
    return 1;
  }
}
