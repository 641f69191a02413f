// `calf check`: is everything in this data directory sound?
#pragma once

#include "cli/options.h"

namespace calf::cli {

// Reads every page, then every table and index with amcheck; prints what is wrong and where. The
// process's exit code: 0 sound, 1 not sound or not checked. Never throws.
int run_check(const CheckOptions& options);

}  // namespace calf::cli
