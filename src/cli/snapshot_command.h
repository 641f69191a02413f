// `calf snapshot save FILE [DIR]`.
#pragma once

#include "cli/options.h"

namespace calf::cli {

// The process's exit code. Never throws.
int run_snapshot_save(const SnapshotSaveOptions& options);

}  // namespace calf::cli
