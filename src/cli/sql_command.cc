#include "cli/sql_command.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <variant>

#include "cli/engine_factory.h"
#include "cli/interrupter.h"
#include "cli/progress.h"
#include "cli/script_input.h"
#include "cli/signals.h"
#include "cli/sql_printer.h"
#include "cli/sql_splitter.h"

namespace calf::cli {
namespace {

constexpr std::size_t kCopyChunkBytes = 64 * 1024;

// What one statement leaves behind for the loop.
enum class Next { kGoOn, kFailed, kQuit, kBroken };

// Runs the inputs of one `calf sql` one after the other.
class SqlRunner {
 public:
  SqlRunner(client::Session& session, const SqlOptions& options, SqlStreams streams)
      : session_(session), options_(options), streams_(streams), printer_(options, streams) {}

  int run() {
    int code = options_.single_transaction ? run_silently("BEGIN") : kExitOk;
    if (code == kExitOk) code = run_all();
    if (options_.single_transaction && code != kExitBadConnection) {
      const int end = run_silently(code == kExitOk ? "COMMIT" : "ROLLBACK");
      if (code == kExitOk) code = end;
    }
    std::fflush(streams_.out);
    return code == kExitOk && std::ferror(streams_.out) != 0 ? kExitFailure : code;
  }

 private:
  // As psql: an error ends the inputs with ON_ERROR_STOP only, and the last input's code is the
  // whole one.
  int run_all() {
    if (options_.inputs.empty()) return run_script(streams_.in, "");
    int code = kExitOk;
    for (const SqlInput& input : options_.inputs) {
      code =
          input.kind == SqlInput::Kind::kCommand ? run_command(input.text) : run_file(input.text);
      if (code == kExitBadConnection || (code != kExitOk && options_.stop_on_error)) break;
    }
    return code;
  }

  // For the statements around --single-transaction: only what goes wrong is shown.
  int run_silently(const char* sql) {
    const auto done = execute(session_, sql);
    if (done) return kExitOk;
    printer_.begin("", "", {});
    return broken(done.error());
  }

  // A whole -c is one simple query, so its statements are one transaction. COPY's data come from
  // standard input.
  int run_command(const std::string& sql) {
    if (sql.starts_with('\\')) {
      const bool failed = run_meta(sql, "") == Next::kFailed;
      return failed ? kExitFailure : kExitOk;
    }
    printer_.begin(sql, "", [this] { return read_chunk(); });
    const auto outcome = session_.query(sql, printer_);
    if (!outcome) return broken(outcome.error());
    return outcome->failed ? kExitFailure : kExitOk;
  }

  int run_file(const std::string& name) {
    if (name == "-") return run_script(streams_.in, "<stdin>");
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(name.c_str(), "re"),
                                                               std::fclose);
    if (!file) {
      printer_.begin("", "", {});
      printer_.message("calf: error: " + name + ": " + std::strerror(errno) + "\n");
      return kExitFailure;
    }
    return run_script(file.get(), name);
  }

  int run_script(std::FILE* file, const std::string& name) {
    ScriptInput input(file, name);
    SqlSplitter splitter;
    while (const auto line = input.next_line()) {
      splitter.feed_line(*line);
      while (auto piece = splitter.next()) {
        const Next next = piece->kind == SqlSplitter::Piece::Kind::kMeta
                              ? run_meta_in(*piece, splitter, input)
                              : run_statement(piece->text, input);
        if (ends_script(next)) return exit_code(next);
      }
    }
    const std::string rest = splitter.take_rest();
    return rest.empty() ? kExitOk : exit_code(run_statement(rest, input));
  }

  bool ends_script(Next next) const {
    return next == Next::kQuit || next == Next::kBroken ||
           (next == Next::kFailed && options_.stop_on_error);
  }

  int exit_code(Next next) const {
    if (next == Next::kBroken) return kExitBadConnection;
    return next == Next::kFailed && options_.stop_on_error ? kExitUser : kExitOk;
  }

  Next run_statement(const std::string& sql, ScriptInput& input) {
    if (sql == ";") return Next::kGoOn;
    printer_.begin(sql, input.prefix(), inline_data(input));
    const auto outcome = session_.query(sql, printer_);
    if (!outcome) {
      broken(outcome.error());
      return Next::kBroken;
    }
    return outcome->failed ? Next::kFailed : Next::kGoOn;
  }

  // \g is another semicolon; the rest does not depend on the statement under way.
  Next run_meta_in(const SqlSplitter::Piece& piece, SqlSplitter& splitter, ScriptInput& input) {
    if (piece.text == "\\g" && splitter.in_statement()) {
      return run_statement(splitter.take_rest(), input);
    }
    return run_meta(piece.text, input.prefix());
  }

  Next run_meta(const std::string& text, const std::string& prefix) {
    const std::size_t space = text.find_first_of(" \t");
    const std::string name = text.substr(0, space);
    if (name == "\\q") return Next::kQuit;
    if (name == "\\echo") {
      const std::size_t argument = text.find_first_not_of(" \t", name.size());
      const std::string shown = argument == std::string::npos ? "" : text.substr(argument);
      std::fprintf(streams_.out, "%s\n", shown.c_str());
      return Next::kGoOn;
    }
    printer_.begin("", prefix, {});
    printer_.message("ERROR:  backslash command " + name +
                     " is not supported by calf sql (use psql for it)\n");
    return Next::kFailed;
  }

  int broken(const Error& error) {
    printer_.message("calf: " + error.to_string() + "\n");
    return kExitBadConnection;
  }

  // The lines up to "\." belong to COPY.
  static SqlPrinter::CopySource inline_data(ScriptInput& input) {
    return [&input, ended = false]() mutable -> std::optional<std::string> {
      std::string chunk;
      while (!ended && chunk.size() < kCopyChunkBytes) {
        const auto line = input.next_line();
        ended = !line || *line == "\\.";
        if (!ended) chunk += *line + "\n";
      }
      if (chunk.empty()) return std::nullopt;
      return chunk;
    };
  }

  std::optional<std::string> read_chunk() {
    std::string chunk(kCopyChunkBytes, '\0');
    chunk.resize(std::fread(chunk.data(), 1, chunk.size(), streams_.in));
    return chunk.empty() ? std::nullopt : std::optional(std::move(chunk));
  }

  client::Session& session_;
  const SqlOptions& options_;
  const SqlStreams streams_;
  SqlPrinter printer_;
};

}  // namespace

namespace {

void print_error(const Error& error) {
  std::fprintf(stderr, "calf: %s\n", error.message.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "HINT:  %s\n", error.hint.c_str());
}

int run_in(server::Engine& engine, Signals& signals, const SqlOptions& options) {
  auto session = client::Session::connect(engine, {.user = options.user,
                                                   .database = options.database,
                                                   .password = options.password,
                                                   .application_name = "calf sql"});
  if (!session) {
    print_error(session.error());
    return kExitBadConnection;
  }
  const Interrupter interrupter(signals, engine, **session);
  const int code = run_inputs(**session, options, {});
  return interrupter.signal() != 0 ? 128 + interrupter.signal() : code;
}

}  // namespace

int run_sql(const SqlOptions& options) {
  Signals signals;
  Progress progress("reading the snapshot", &signals, options.quiet);
  auto cluster = open_cluster({.location = options.location,
                               .engine = options.engine,
                               .login = {.user = options.user, .database = options.database},
                               .from = options.from,
                               .observer = progress.observer(),
                               .settings = options.settings,
                               .archive_programs = true});
  progress.clear();
  if (!cluster) {
    print_error(cluster.error());
    return kExitBadConnection;
  }
  const int code = run_in(*cluster->engine, signals, options);
  if (std::holds_alternative<MemoryLocation>(options.location)) {
    // Nothing of it survives: no checkpoint, no farewell. The system takes all its memory back at
    // once, faster than it is given back piece by piece.
    std::fflush(nullptr);
    std::_Exit(code);
  }
  if (const auto stopped = cluster->engine->shutdown(server::ShutdownMode::kFast); !stopped) {
    print_error(stopped.error());
    return code == kExitOk ? kExitFailure : code;
  }
  return code;
}

int run_inputs(client::Session& session, const SqlOptions& options, SqlStreams streams) {
  return SqlRunner(session, options, streams).run();
}

}  // namespace calf::cli
