#include "cli/restore_command_line.h"

#include "config/config.h"
#include "config/storage.h"

namespace calf::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  calf restore s3://bucket/shop shop.db\n"
    "  calf restore azure://account/container/shop shop.db --at 2026-03-01T12:00:00Z\n"
    "  calf restore ./backups/shop shop.db\n"
    "  calf restore --config config.yaml shop.db\n\n"
    "Credentials come from the environment, as for AWS's and Azure's own tools.\n"
    "Exit code: 0, or 1 when nothing was restored.";

}  // namespace

RestoreCommandLine::RestoreCommandLine(CLI::App& app)
    : app_(app.add_subcommand("restore",
                              "Make a SQLite database of its archive in object storage")) {
  app_->set_help_flag("--help", "Show this text");
  app_->footer(kExamples);
  app_->add_option("STORE FILE", places_,
                   "s3://BUCKET/PREFIX, azure://ACCOUNT/CONTAINER/PREFIX or a folder (the "
                   "configuration's storage), and the database to make, which must not exist")
      ->required()
      ->expected(1, 2);
  add_config(*app_, config_);
  app_->add_option("--at", at_, "The state at this time; UTC unless it has an offset (the newest)");
  app_->add_flag("-q,--quiet", quiet_, "Nothing for people but errors");
}

Result<RestoreCommand> RestoreCommandLine::finish() const {
  CALF_TRY(const config::Config config, load_config(config_));
  RestoreCommand command{.file = places_.back(), .quiet = quiet_};
  if (places_.size() == 2) {
    CALF_TRY(command.store, config::store_options_at(places_.front(), config));
  } else {
    CALF_TRY(auto store, config::store_options(config, config.text("database.name")));
    if (!store) {
      return fail(ErrorCode::kInvalidArgument, "there is no storage in the configuration",
                  "give the store before the file: calf restore STORE FILE");
    }
    command.store = std::move(*store);
  }
  if (!at_.empty()) {
    CALF_TRY(command.at_ms, parse_time_ms(at_));
  }
  return command;
}

}  // namespace calf::cli
