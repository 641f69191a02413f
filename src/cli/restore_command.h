// `calf restore`: a SQLite database from its archive in object storage.
#pragma once

#include "cli/options.h"

namespace calf::cli {

// Restores, with progress on standard error. The process's exit code. Never throws.
int run_restore(const RestoreCommand& command);

}  // namespace calf::cli
