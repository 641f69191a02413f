#include "cli/bootstrap.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/log.h"
#include "cli/sql_command.h"
#include "client/session.h"
#include "pgwire/scram.h"

namespace calf::cli {
namespace {

constexpr const char* kSuperuser = "postgres";
constexpr auto kTimeout = std::chrono::seconds(60);

Result<std::unique_ptr<client::Session>> log_in(server::Engine& engine, const std::string& database,
                                                const std::string& password = {}) {
  return client::Session::connect(engine, {.user = kSuperuser,
                                           .database = database,
                                           .password = password,
                                           .application_name = "calf serve",
                                           .timeout = kTimeout});
}

bool has_work(const ServeOptions& options, bool created) {
  return created || options.user != kSuperuser || !options.password.empty() ||
         options.database != "postgres" || !options.extensions.empty();
}

Result<bool> exists(client::Session& session, const std::string& query) {
  CALF_TRY(const auto value, query_value(session, "select exists(" + query + ")"));
  return value == "t";
}

// PostgreSQL gets the verifier, not the password: statements may be logged.
Result<void> set_password(client::Session& session, const ServeOptions& options) {
  if (options.password.empty()) return {};
  return execute(session, "alter role " + client::quote_identifier(options.user) + " password " +
                              client::quote_literal(pgwire::scram_verifier(options.password)));
}

Result<void> make_user(client::Session& session, const ServeOptions& options) {
  const std::string who =
      "select from pg_roles where rolname = " + client::quote_literal(options.user);
  CALF_TRY(const bool is_there, exists(session, who));
  if (!is_there) {
    CALF_CHECK_OK(
        execute(session, "create role " + client::quote_identifier(options.user) +
                             " superuser createdb createrole replication bypassrls login"));
  }
  return set_password(session, options);
}

Result<void> make_database(client::Session& session, const ServeOptions& options) {
  const std::string which =
      "select from pg_database where datname = " + client::quote_literal(options.database);
  CALF_TRY(const bool is_there, exists(session, which));
  if (is_there) return {};
  return execute(session, "create database " + client::quote_identifier(options.database) +
                              " owner " + client::quote_identifier(options.user));
}

Result<void> make_extensions(client::Session& session, const ServeOptions& options) {
  for (const std::string& name : options.extensions) {
    auto made = execute(
        session, "create extension if not exists " + client::quote_identifier(name) + " cascade");
    if (!made) return fail(std::move(made).error().with_context("extension " + name));
  }
  return {};
}

// The scripts in the order of their names; .sql only, the others are named in a warning.
Result<std::vector<std::filesystem::path>> list_scripts(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> scripts;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".sql") {
      scripts.push_back(entry.path());
    } else {
      log::warn("ignoring {}: only .sql files are run", entry.path().string());
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail(Error::from_errno("reading " + directory.string(), error.value()));
  }
  std::sort(scripts.begin(), scripts.end());
  return scripts;
}

// Output goes to stderr: stdout is for the ready line.
Result<void> run_scripts(server::Engine& engine, const ServeOptions& options) {
  CALF_TRY(const auto scripts, list_scripts(*options.init_scripts));
  if (scripts.empty()) return {};
  CALF_TRY(const auto session, client::Session::connect(engine, {.user = options.user,
                                                                 .database = options.database,
                                                                 .password = options.password}));
  for (const auto& script : scripts) {
    if (!options.quiet && !options.json_only) std::fprintf(stderr, "running %s\n", script.c_str());
    const SqlOptions run{.inputs = {{SqlInput::Kind::kFile, script.string()}},
                         .stop_on_error = true};
    if (run_inputs(*session, run, {.out = stderr}) != kExitOk) {
      return fail(ErrorCode::kInvalidArgument, script.string() + " failed");
    }
  }
  return {};
}

// The sqlite engine has the user and the database that it was started with, and no others.
Result<void> prepare(client::Session& session, const ServeOptions& options) {
  if (options.engine == EngineKind::kSqlite) return {};
  CALF_CHECK_OK(make_user(session, options));
  return make_database(session, options);
}

tl::unexpected<Error> refuse_exposure(std::string why) {
  return fail(ErrorCode::kPermissionDenied,
              "refusing to listen on an address that other machines can reach: " + std::move(why),
              "give a password (--password, or POSTGRES_PASSWORD), or listen on 127.0.0.1 only");
}

}  // namespace

std::string method_name(AuthMethod method) {
  switch (method) {
    case AuthMethod::kTrust:
      return "trust";
    case AuthMethod::kPassword:
      return "password";
    case AuthMethod::kScram:
      break;
  }
  return "scram-sha-256";
}

std::string hba_text(AuthMethod method) {
  std::string text = "# Written by calf serve --auth. TYPE DATABASE USER ADDRESS METHOD\n";
  for (const char* database : {"all", "replication"}) {
    text += std::string("local ") + database + " all " + method_name(method) + "\n";
    text += std::string("host ") + database + " all all " + method_name(method) + "\n";
  }
  return text;
}

Result<void> check_exposure(const ServeOptions& options, bool loopback_only) {
  const bool in_memory = std::holds_alternative<MemoryLocation>(options.location);
  const bool asks_for_password = options.auth && *options.auth != AuthMethod::kTrust;
  if (asks_for_password && options.password.empty() && in_memory) {
    return fail(
        ErrorCode::kInvalidArgument,
        "--auth " + method_name(*options.auth) + " needs a password for user " + options.user,
        "give it with POSTGRES_PASSWORD or --password");
  }
  if (asks_for_password && options.password.empty() && options.engine == EngineKind::kSqlite) {
    return fail(
        ErrorCode::kInvalidArgument,
        "--auth " + method_name(*options.auth) + " needs a password for user " + options.user,
        "give it with POSTGRES_PASSWORD or --password");
  }
  if (loopback_only || asks_for_password) return {};
  if (options.auth) return refuse_exposure("--auth trust would let anybody in");
  if (in_memory || options.engine == EngineKind::kSqlite)
    return refuse_exposure("there is no password");
  return {};
}

Result<void> bootstrap(server::Engine& engine, const ServeOptions& options, bool created) {
  const bool asks_for_password = options.auth && *options.auth != AuthMethod::kTrust;
  if (created && asks_for_password && options.password.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "a new database with --auth needs a password for user " + options.user,
                "give it with POSTGRES_PASSWORD or --password");
  }
  auto session = log_in(engine, "postgres", options.password);
  if (!session) {
    // Any answer of PostgreSQL's own shows that it serves.
    const ErrorCode code = session.error().code;
    const bool refused = code == ErrorCode::kPermissionDenied || code == ErrorCode::kNotFound;
    if (refused && !has_work(options, created)) return {};
    return fail(std::move(session).error().with_context("preparing the database"));
  }
  CALF_CHECK_OK(prepare(**session, options));
  if (!options.extensions.empty()) {
    CALF_TRY(const auto database, log_in(engine, options.database, options.password));
    CALF_CHECK_OK(make_extensions(*database, options));
  }
  if (created && options.init_scripts) CALF_CHECK_OK(run_scripts(engine, options));
  return execute(**session, "select 1");
}

Result<void> check_hba(server::Engine& engine) {
  CALF_TRY(const auto session, log_in(engine, "postgres"));
  constexpr std::string_view kRemote =
      "from pg_hba_file_rules where type like 'host%' and error is null and "
      "coalesce(address, '') not in ('127.0.0.1', '::1', 'localhost')";
  CALF_TRY(const bool trusts,
           exists(*session, "select " + std::string(kRemote) + " and auth_method = 'trust'"));
  if (trusts) return refuse_exposure("its pg_hba.conf trusts other machines");
  CALF_TRY(const bool asks,
           exists(*session, "select " + std::string(kRemote) + " and auth_method <> 'reject'"));
  if (!asks) return refuse_exposure("its pg_hba.conf has no rule for other machines");
  return {};
}

}  // namespace calf::cli
