#include "cli/sql_command_line.h"

#include <algorithm>
#include <cctype>

#include "cli/option_values.h"

namespace calf::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  calf sql -c 'select 1'                      in memory\n"
    "  calf sql ./data -f schema.sql -v ON_ERROR_STOP=1\n"
    "  calf sql ./data --csv -c 'table users' > users.csv\n"
    "  echo 'select now()' | calf sql ./data -At\n\n"
    "Exit code: 0; 1 for a failed -c; 2 when the session broke; 3 for a failed script with "
    "ON_ERROR_STOP.";

// ON_ERROR_STOP is the one variable of psql's that means something here.
Result<void> set_variable(const std::string& text, SqlOptions& options) {
  const std::string name = text.substr(0, text.find('='));
  std::string value = name.size() < text.size() ? text.substr(name.size() + 1) : "on";
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name != "ON_ERROR_STOP") {
    return fail(ErrorCode::kUnsupported, "variable " + name + " is not supported",
                "only ON_ERROR_STOP is; scripts with variables need psql");
  }
  options.stop_on_error = value == "1" || value == "on" || value == "true" || value == "yes";
  return {};
}

}  // namespace

SqlCommandLine::SqlCommandLine(CLI::App& app)
    : app_(app.add_subcommand("sql", "Run SQL without a server")) {
  options_.user = environment({"PGUSER"}, "postgres");
  options_.password = environment({"PGPASSWORD"});
  options_.database = environment({"PGDATABASE"}, "postgres");
  app_->set_help_flag("--help", "Show this text");
  app_->footer(kExamples);
  app_->add_option("LOCATION", location_,
                   "A directory, file://PATH or memory:// (default: PGDATA, else memory://)");
  app_->add_option("-D,--data-dir", data_directory_, "The same as a directory for LOCATION");
  app_->add_option("--from", from_, "Start with this file of calf snapshot save");
  app_->add_option("--engine", engine_, "postgres, or sqlite: LOCATION is then a SQLite file")
      ->check(CLI::IsMember({"postgres", "sqlite"}));
  app_->add_option("-c,--command", commands_, "SQL to run; repeat it")->allow_extra_args(false);
  app_->add_option("-f,--file", files_, "A script to run, - for standard input; repeat it")
      ->allow_extra_args(false);
  app_->add_option("-U,--user,--username", options_.user, "Role to log in as (postgres)");
  app_->add_option("-d,--db,--dbname", options_.database, "Database (postgres)");
  app_->add_option("-v,--set,--variable", variables_,
                   "ON_ERROR_STOP=1 ends a script at its first error")
      ->allow_extra_args(false);
  app_->add_option("--setting", settings_, "A PostgreSQL setting, name=value; repeat it")
      ->allow_extra_args(false);
  app_->add_flag("-A,--no-align", unaligned_, "Unaligned output");
  app_->add_flag("-t,--tuples-only", options_.table.tuples_only, "Rows only");
  app_->add_option("-F,--field-separator", options_.table.field_separator,
                   "Between unaligned fields (|)");
  app_->add_flag("--csv", csv_, "CSV output");
  app_->add_flag("-q,--quiet", options_.quiet, "No command tags");
  app_->add_flag("-1,--single-transaction", options_.single_transaction, "All in one transaction");
  app_->add_flag("-X,--no-psqlrc", [](std::int64_t) {}, "Accepted; there is no startup file");
}

Result<SqlOptions> SqlCommandLine::finish() const {
  SqlOptions options = options_;
  CALF_TRY(options.location, choose_location(location_, data_directory_));
  options.from = path_of(from_);
  options.engine = engine_named(engine_);
  CALF_CHECK_OK(add_settings(settings_, options.settings));
  for (const std::string& text : variables_) CALF_CHECK_OK(set_variable(text, options));
  if (unaligned_) options.table.format = TableFormat::kUnaligned;
  if (csv_) options.table.format = TableFormat::kCsv;
  std::size_t command = 0;
  std::size_t file = 0;
  for (const CLI::Option* option : app_->parse_order()) {
    if (option->check_lname("command")) {
      options.inputs.push_back({SqlInput::Kind::kCommand, commands_.at(command++)});
    } else if (option->check_lname("file")) {
      options.inputs.push_back({SqlInput::Kind::kFile, files_.at(file++)});
    }
  }
  return options;
}

}  // namespace calf::cli
