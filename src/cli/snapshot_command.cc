#include "cli/snapshot_command.h"

#include <cstdio>
#include <cstdlib>

#include "cli/progress.h"
#include "cli/signals.h"

namespace calf::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  calf snapshot save golden.calf ./data       the stopped cluster in ./data, in one file\n"
    "  calf serve --from golden.calf               a copy of it in memory\n"
    "  calf serve ./copy --from golden.calf        a copy of it in a new directory\n\n"
    "The file is compressed and checksummed, and has all of the cluster: databases, roles and\n"
    "configuration. Keep it as you would keep the data directory.\n\n"
    "Exit code: 0, or 1 when nothing was saved; then a file that was there is as it was.\n"
    "Environment: PGDATA.";

}  // namespace

SnapshotCommandLine::SnapshotCommandLine(CLI::App& app) {
  CLI::App* snapshot = app.add_subcommand("snapshot", "A whole cluster in one portable file");
  snapshot->set_help_flag("--help", "Show this text");
  snapshot->require_subcommand(1);
  CLI::App* save = snapshot->add_subcommand("save", "Save a stopped cluster into a file");
  save->set_help_flag("--help", "Show this text");
  save->footer(kExamples);
  save->add_option("FILE", file_, "The file; replaced in one step when it is there")->required();
  save->add_option("DIR", location_, "The data directory (default: PGDATA)");
  save->add_option("-D,--data-dir", data_directory_, "The same as DIR");
  save->add_flag("-q,--quiet", quiet_, "Nothing but errors");
}

Result<SnapshotSaveOptions> SnapshotCommandLine::finish() const {
  if (!location_.empty() && !data_directory_.empty()) {
    return fail(ErrorCode::kInvalidArgument, "both DIR and -D are given", "give one of them");
  }
  std::string text = location_.empty() ? data_directory_ : location_;
  if (const char* value = std::getenv("PGDATA"); text.empty() && value != nullptr) text = value;
  if (text.empty()) {
    return fail(ErrorCode::kInvalidArgument, "no data directory is given",
                "calf snapshot save FILE DIR");
  }
  CALF_TRY(const ClusterLocation location, parse_location(text));
  const auto* directory = std::get_if<DirectoryLocation>(&location);
  if (directory == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "a cluster in memory lives in its own program only",
                "give a data directory");
  }
  return SnapshotSaveOptions{.file = file_, .directory = directory->path, .quiet = quiet_};
}

int run_snapshot_save(const SnapshotSaveOptions& options) {
  Signals signals;
  Progress progress("saving the snapshot", &signals, options.quiet);
  const auto saved = save_snapshot(
      {.directory = options.directory, .file = options.file, .observer = progress.observer()});
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
