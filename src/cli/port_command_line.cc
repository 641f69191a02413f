#include "cli/port_command_line.h"

#include "cli/option_values.h"

namespace calf::cli {
namespace {

constexpr const char* kExamples =
    "The peer speaks PostgreSQL's protocol over standard input and output, in packets of a length "
    "(4 bytes,\n"
    "big-endian) and that many bytes, as Erlang's {:packet, 4}. A packet may hold a part of a "
    "message, or several.\n"
    "It begins with a startup packet, or with messages: then the session is logged in already.\n"
    "What fails outside of the protocol is a packet \"ERROR: …\". The log goes to standard "
    "error.\n\n"
    "Exit code: 0 after standard input or the session has ended, 1 after an ERROR.\n"
    "Environment: PGLITE_DATA_DIR PGLITE_USERNAME PGLITE_DATABASE PGLITE_DEBUG (0-5) "
    "PGLITE_WASM_PATH (not used).";

}  // namespace

PortCommandLine::PortCommandLine(CLI::App& app)
    : app_(app.add_subcommand("port", "One session over standard input and output")) {
  options_.user = environment({"PGLITE_USERNAME"}, "postgres");
  options_.database = environment({"PGLITE_DATABASE"}, "postgres");
  options_.wasm_path = environment({"PGLITE_WASM_PATH"});
  app_->set_help_flag("--help", "Show this text");
  app_->footer(kExamples);
  app_->add_option(
      "LOCATION", location_,
      "A directory, file://PATH or memory:// (default: PGLITE_DATA_DIR, else memory://)");
  app_->add_option("-D,--data-dir", data_directory_, "The same as a directory for LOCATION");
  app_->add_option("-U,--user", options_.user, "Superuser to create when it is missing (postgres)");
  app_->add_option("-d,--db", options_.database,
                   "Database to create when it is missing (postgres)");
  app_->add_option("-c", settings_, "A PostgreSQL setting, name=value; repeat it")
      ->allow_extra_args(false);
  app_->add_option("--extensions", extensions_,
                   "Comma-separated; created in the database at start");
  app_->add_option("--debug", debug_level_, "0: no log; 1 to 5: PostgreSQL's, ever more (0)")
      ->check(CLI::Range(0, 5));
  app_->add_flag("--raw", options_.raw, "The bare protocol, no packets");
}

Result<PortOptions> PortCommandLine::finish() const {
  PortOptions options = options_;
  options.location = choose_location(location_, data_directory_, "PGLITE_DATA_DIR");
  const std::string level = environment({"PGLITE_DEBUG"}, "0");
  if (level.size() != 1 || level[0] < '0' || level[0] > '5') {
    return fail(ErrorCode::kInvalidArgument, "PGLITE_DEBUG=" + level + " is not 0 to 5");
  }
  options.debug_level = debug_level_ >= 0 ? debug_level_ : level[0] - '0';
  if (options.debug_level > 1) {
    options.settings.emplace_back("log_min_messages",
                                  "debug" + std::to_string(options.debug_level));
  }
  CALF_CHECK_OK(add_settings(settings_, options.settings));
  options.extensions = split_list(extensions_);
  return options;
}

}  // namespace calf::cli
