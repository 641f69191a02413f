#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>

namespace calf::log {
namespace {

struct Log {
  std::shared_ptr<spdlog::logger> logger;  // shared_ptr: spdlog's own way of holding sinks
  Format format = Format::kText;
};

std::shared_ptr<spdlog::logger> make_logger(const Options& options) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("calf", sink);
  constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info,
                                                  spdlog::level::warn, spdlog::level::err,
                                                  spdlog::level::off};
  logger->set_level(levels[static_cast<int>(options.level)]);
  logger->set_pattern(options.format == Format::kJson ? "%v" : "%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  logger->flush_on(spdlog::level::debug);
  return logger;
}

Log& instance() {
  static Log log{make_logger({.level = Level::kWarn})};
  return log;
}

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kOff:
      break;
  }
  return spdlog::level::off;
}

std::string as_json(Level level, std::string_view message) {
  constexpr const char* names[] = {"debug", "info", "warn", "error", "off"};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  nlohmann::json line = {
      {"time_ms", std::chrono::duration_cast<std::chrono::milliseconds>(now).count()},
      {"level", names[static_cast<int>(level)]},
      {"message", message}};
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

void configure(const Options& options) {
  instance() = Log{make_logger(options), options.format};
}

bool enabled(Level level) {
  return instance().logger->should_log(spdlog_level(level));
}

void write(Level level, std::string_view message) {
  Log& log = instance();
  if (log.format == Format::kJson) {
    log.logger->log(spdlog_level(level), as_json(level, message));
  } else {
    log.logger->log(spdlog_level(level), message);
  }
}

}  // namespace calf::log
