#include "cli/check_command_line.h"

#include "cli/option_values.h"

namespace calf::cli {
namespace {

constexpr const char* kExamples =
    "Reads every page and compares its checksum, then looks into every table, B-tree and GIN index "
    "of every database\nwith amcheck. A cluster that was not shut down is recovered first, as by "
    "its "
    "next start: until then pages may be\nhalf written. Nothing else of its contents is changed. "
    "Nobody may have the directory open.\n\n"
    "Examples:\n"
    "  calf check ./data\n"
    "  calf check ./data --json | jq '.problems[]'\n"
    "  calf check ./data --branch b1               writes to a copy: the branch stays as it is\n\n"
    "Exit code: 0 when everything is sound; 1 when something is not, or could not be checked.\n"
    "What to do then: stop using the directory, copy it as it is, restore a backup. An index alone "
    "can be made anew: REINDEX.";

}  // namespace

CheckCommandLine::CheckCommandLine(CLI::App& app)
    : app_(app.add_subcommand("check", "Verify a stopped cluster in a directory")) {
  app_->set_help_flag("--help", "Show this text");
  app_->footer(kExamples);
  app_->add_option("DIRECTORY", location_, "The data directory (default: PGDATA)");
  app_->add_option("--branch", options_.branch, "Check this branch of the cluster instead");
  app_->add_option("-U,--user,--username", options_.user, "Superuser to look as (postgres)");
  app_->add_flag("--json", options_.json, "The result as one line of JSON on standard output");
  app_->add_flag("--quiet,-q", options_.quiet, "No progress on standard error");
}

Result<CheckOptions> CheckCommandLine::finish() const {
  CheckOptions options = options_;
  const std::string text = !location_.empty() ? location_ : environment({"PGDATA"});
  if (text.empty()) {
    return fail(ErrorCode::kInvalidArgument, "which data directory?", "calf check ./data");
  }
  CALF_TRY(const auto location, parse_location(text));
  const auto* directory = std::get_if<DirectoryLocation>(&location);
  if (directory == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "a cluster in memory cannot be checked from outside");
  }
  options.directory = directory->path;
  return options;
}

}  // namespace calf::cli
