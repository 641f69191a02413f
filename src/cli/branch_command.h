// `calf branch`: branches of a running server.
#pragma once

#include "cli/options.h"

namespace calf::cli {

// The exit code: 0, 1 when the server refuses, 2 when there is none.
int run_branch(const BranchOptions& options);

}  // namespace calf::cli
