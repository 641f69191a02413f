#include "cli/restore_command.h"

#include <cstdio>
#include <ctime>

#include "archive/restore.h"
#include "cli/progress.h"

namespace calf::cli {
namespace {

constexpr std::int64_t kTimeoutMs = std::int64_t{24} * 3600 * 1000;

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
