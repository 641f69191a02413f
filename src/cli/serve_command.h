// `calf serve`: opens the cluster, prepares it, listens, says so, and waits for the end.
#pragma once

#include "cli/options.h"

namespace calf::cli {

// Runs until SIGINT, SIGTERM, the end of --run's command, of standard input (--exit-with-stdin), or
// of the engine. The process's exit code: 0, 1 when it could not start or the engine broke, the
// command's own. Never throws.
int run_serve(const ServeOptions& options);

}  // namespace calf::cli
