// `calf ready`: is there a server that accepts clients?
#pragma once

#include "cli/options.h"

namespace calf::cli {

// The exit code, pg_isready's: 0 accepting, 1 rejecting, 2 no response.
int run_probe(const ProbeOptions& options);

}  // namespace calf::cli
