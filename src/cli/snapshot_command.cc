#include "cli/snapshot_command.h"

#include <cstdio>

#include "cli/progress.h"
#include "cli/signals.h"

namespace calf::cli {

int run_snapshot_save(const SnapshotSaveOptions& options) {
  Signals signals;
  Progress progress("saving the snapshot", &signals, options.quiet);
  const auto saved = save_snapshot(
      {.directory = options.directory, .file = options.file, .observer = progress.observer()});
  progress.clear();
  if (!saved) {
    const Error& error = saved.error();
    std::fprintf(stderr, "calf: %s\n", error.message.c_str());
    if (!error.hint.empty()) std::fprintf(stderr, "HINT:  %s\n", error.hint.c_str());
    return 1;
  }
  if (!options.quiet) {
    std::fprintf(stderr, "calf: saved %s into %s (%s)\n", bytes_text(saved->data_bytes).c_str(),
                 options.file.c_str(), bytes_text(saved->file_bytes).c_str());
  }
  return 0;
}

}  // namespace calf::cli
