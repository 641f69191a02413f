#include "cli/restore_command.h"

#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "archive/restore.h"
#include "blob/store_url.h"

namespace calf::cli {
namespace {

constexpr std::int64_t kTimeoutMs = std::int64_t{24} * 3600 * 1000;
constexpr std::uint64_t kProgressBytes = 4u << 20;

constexpr const char* kExamples =
    "Examples:\n"
    "  calf restore s3://bucket/shop shop.db\n"
    "  calf restore azure://account/container/shop shop.db --at 2026-03-01T12:00:00Z\n"
    "  calf restore ./backups/shop shop.db\n\n"
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

// One line that grows, on a terminal only.
class ProgressLine {
 public:
  void show(const archive::RestoreProgress& progress) {
    if (::isatty(STDERR_FILENO) == 0 || progress.bytes < next_) return;
    next_ = progress.bytes + kProgressBytes;
    std::fprintf(stderr, "\r%.1f MB, %llu segments", static_cast<double>(progress.bytes) / 1e6,
                 static_cast<unsigned long long>(progress.segments));
    shown_ = true;
  }
  ~ProgressLine() {
    if (shown_) std::fputc('\n', stderr);
  }

 private:
  std::uint64_t next_ = 0;
  bool shown_ = false;
};

Result<archive::PageSetHeader> restore_from(const RestoreCommand& command) {
  CALF_TRY(const auto options, blob::parse_store_url(command.store_url));
  CALF_TRY(const auto store, blob::open_store(options));
  ProgressLine line;
  archive::RestoreOptions how{.at_ms = command.at_ms};
  if (!command.quiet) {
    how.progress = [&](const archive::RestoreProgress& progress) { line.show(progress); };
  }
  return archive::restore(*store, command.file, how, blob::Limits::within(kTimeoutMs));
}

}  // namespace

void add_restore(CLI::App& app, RawRestore& raw) {
  app.footer(kExamples);
  app.add_option("STORE", raw.store_url,
                 "s3://BUCKET/PREFIX, azure://ACCOUNT/CONTAINER/PREFIX or a folder")
      ->required();
  app.add_option("FILE", raw.file, "The database to make; it must not exist")->required();
  app.add_option("--at", raw.at,
                 "The state at this time; UTC unless it has an offset (the newest)");
  app.add_flag("-q,--quiet", raw.quiet, "Nothing for people but errors");
}

Result<RestoreCommand> finish_restore(const RawRestore& raw) {
  RestoreCommand command{.store_url = raw.store_url, .file = raw.file, .quiet = raw.quiet};
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
