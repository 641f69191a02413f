#include "cli/restore_command.h"

#include <cstdio>
#include <ctime>

#include "archive/restore.h"
#include "cli/progress.h"
#include "config/storage.h"

namespace calf::cli {
namespace {

constexpr std::int64_t kTimeoutMs = std::int64_t{24} * 3600 * 1000;

constexpr const char* kExamples =
    "Examples:\n"
    "  calf restore s3://bucket/shop shop.db\n"
    "  calf restore azure://account/container/shop shop.db --at 2026-03-01T12:00:00Z\n"
    "  calf restore ./backups/shop shop.db\n"
    "  calf restore --config config.yaml shop.db\n\n"
    "Credentials come from the environment, as for AWS's and Azure's own tools.\n"
    "Exit code: 0, or 1 when nothing was restored.";

std::string time_text(std::int64_t time_ms) {
  const auto seconds = static_cast<std::time_t>(time_ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

Result<archive::PageSetHeader> restore_from(const RestoreCommand& command) {
  CALF_TRY(const auto store, blob::open_store(command.store));
  Signals signals;
  Progress progress("restoring", &signals, command.quiet);
  std::stop_source stop;
  const archive::RestoreOptions how{.at_ms = command.at_ms,
                                    .progress = [&](const archive::RestoreProgress& so_far) {
                                      if (!progress.observer()(so_far.bytes, so_far.total_bytes))
                                        stop.request_stop();
                                    }};
  return archive::restore(*store, command.file, how,
                          blob::Limits::within(kTimeoutMs, stop.get_token()));
}

}  // namespace

void add_restore(CLI::App& app, RawRestore& raw) {
  app.footer(kExamples);
  app.add_option("STORE FILE", raw.places,
                 "s3://BUCKET/PREFIX, azure://ACCOUNT/CONTAINER/PREFIX or a folder (the "
                 "configuration's storage), and the database to make, which must not exist")
      ->required()
      ->expected(1, 2);
  add_config(app, raw.config);
  app.add_option("--at", raw.at,
                 "The state at this time; UTC unless it has an offset (the newest)");
  app.add_flag("-q,--quiet", raw.quiet, "Nothing for people but errors");
}

Result<RestoreCommand> finish_restore(const RawRestore& raw) {
  CALF_TRY(const config::Config config, load_config(raw.config));
  RestoreCommand command{.file = raw.places.back(), .quiet = raw.quiet};
  if (raw.places.size() == 2) {
    CALF_TRY(command.store, config::store_options_at(raw.places.front(), config));
  } else {
    CALF_TRY(auto store, config::store_options(config, config.text("database.name")));
    if (!store) {
      return fail(ErrorCode::kInvalidArgument, "there is no storage in the configuration",
                  "give the store before the file: calf restore STORE FILE");
    }
    command.store = std::move(*store);
  }
  if (!raw.at.empty()) {
    CALF_TRY(command.at_ms, parse_time_ms(raw.at));
  }
  return command;
}

int run_restore(const RestoreCommand& command) {
  const auto restored = restore_from(command);
  if (!restored) {
    const Error& error = restored.error();
    std::fprintf(stderr, "calf: %s\n%s", error.message.c_str(),
                 error.hint.empty() ? "" : ("HINT:  " + error.hint + "\n").c_str());
    return 1;
  }
  if (!command.quiet) {
    std::fprintf(stderr, "%s: %.1f MB, as of %s\n", command.file.c_str(),
                 static_cast<double>(restored->database_bytes()) / 1e6,
                 time_text(restored->time_ms).c_str());
  }
  return 0;
}

}  // namespace calf::cli
