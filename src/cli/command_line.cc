#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "cli/options.h"
#include "cli/place.h"
#include "cli/raw_config.h"
#include "cli/restore_command.h"
#include "cli/snapshot_command.h"
#include "cli/version.h"
#include "config/config.h"

namespace calf::cli {
namespace {

constexpr const char* kAbout =
    "Calf: a whole PostgreSQL 18 in one binary. No server to install, ready in milliseconds.\n\n"
    "  calf serve                         a fresh database in memory at "
    "postgresql://postgres@127.0.0.1:5432/postgres\n"
    "  calf serve ./data                  the same, kept in ./data (made when it is not there)\n"
    "  calf sql -c 'select version()'     one statement, no server\n"
    "  calf snapshot save FILE ./data     all of it in one file, for calf serve --from FILE\n"
    "  calf check ./data                  is everything in it sound?\n\n"
    "Then, from as many terminals as you like: psql -h 127.0.0.1 -U postgres";

constexpr const char* kServeExamples =
    "Examples:\n"
    "  calf serve                                  in memory, 127.0.0.1:5432, no password "
    "(loopback only)\n"
    "  calf serve ./data -p 5433                   in a directory, another port\n"
    "  calf serve ./data -h '' -k /tmp             a Unix socket only:  psql -h /tmp -U postgres\n"
    "  calf serve -p 0 --run 'npm test'            a free port; DATABASE_URL tells the command; "
    "ends with it\n"
    "  calf serve ./data -h '*' --password s3cret --tls    for other machines, too\n"
    "  calf serve ./data -c work_mem=64MB -c fsync=on      PostgreSQL's settings\n"
    "  calf serve --extensions vector,pg_trgm      extensions, created in the database\n"
    "  calf serve --from golden.calf               a copy of what was saved, in memory\n"
    "  calf serve --engine sqlite app.db           a SQLite file, for PostgreSQL's clients\n"
    "  calf serve --storage s3://bucket/app        the same, kept in S3, Azure Blob or a folder\n"
    "  calf serve --pool 5000                      a database per test for IntegreSQL's clients\n\n"
    "Exit code: 0 after SIGINT or SIGTERM, 1 when it could not start, the command's own with "
    "--run.\n"
    "Environment: CONFIG_PATH and the variables of the configuration (`calf config`), PGDATA "
    "PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE, and POSTGRES_USER "
    "POSTGRES_PASSWORD POSTGRES_DB as "
    "in the postgres image.";

constexpr const char* kSqlExamples =
    "Examples:\n"
    "  calf sql -c 'select 1'                      in memory\n"
    "  calf sql ./data -f schema.sql -v ON_ERROR_STOP=1\n"
    "  calf sql ./data --csv -c 'table users' > users.csv\n"
    "  echo 'select now()' | calf sql ./data -At\n\n"
    "Exit code: 0; 1 for a failed -c; 2 when the session broke; 3 for a failed script with "
    "ON_ERROR_STOP.";

constexpr const char* kBranchExamples =
    "A branch is a copy-on-write copy of the whole cluster, at once and whatever its size; its "
    "databases are\n"
    "DATABASE@BRANCH, with the same host, port and users.\n\n"
    "Examples:\n"
    "  calf branch create b1                       then: psql -h 127.0.0.1 -U postgres "
    "'postgres@b1'\n"
    "  calf branch reset b1                        as the server's own databases are now\n"
    "  calf branch list --json\n"
    "  calf branch create b2 --url postgresql://postgres@127.0.0.1:5433/postgres@b1    of b1\n\n"
    "Exit code: 0, 1 when the server refuses, 2 when there is none.\n"
    "Environment: PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE.";

constexpr const char* kPortExamples =
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

constexpr const char* kCheckExamples =
    "Reads every page and compares its checksum, then looks into every table, B-tree and GIN index "
    "of every database\nwith amcheck. A cluster that was not shut down is recovered first, as by "
    "its "
    "next start: until then pages may be\nhalf written. Nothing else of its contents is changed. "
    "Nobody may have the directory open.\n\n"
    "Examples:\n"
    "  calf check ./data\n"
    "  calf check ./data --json | jq '.problems[]'\n\n"
    "Exit code: 0 when everything is sound; 1 when something is not, or could not be checked.\n"
    "What to do then: stop using the directory, copy it as it is, restore a backup. An index alone "
    "can be made anew: REINDEX.";

std::string environment(std::initializer_list<const char*> names, std::string otherwise = {}) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return otherwise;
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) {
    const std::size_t first = item.find_first_not_of(' ');
    if (first == std::string::npos) continue;
    items.push_back(item.substr(first, item.find_last_not_of(' ') - first + 1));
  }
  return items;
}

// Every value as the user typed it; checked and turned into options afterwards.
struct RawServe {
  RawConfig config;
  RawPlace place;
  std::string from, auth, extensions, tls_certificate, tls_key, pool;
  std::vector<std::string> hosts, socket_directories, socket_paths, settings;
  int port = -1;
  int max_connections = 0;
  int handshake_timeout_s = 0;  // 0: not given
};

struct RawSql {
  std::string location, data_directory, engine = "postgres", from;
  std::vector<std::string> commands, files, settings, variables;
  bool unaligned = false;
  bool csv = false;
};

// A separate first letter for hosts: -h is the host as in postgres, so help is --help only.
void add_serve(CLI::App& app, RawServe& raw, ServeOptions& options) {
  app.set_help_flag("--help", "Show this text");
  app.footer(kServeExamples);
  add_place(app, raw.place);
  add_config(app, raw.config);
  app.add_option("--from", raw.from, "Start with this file of calf snapshot save");
  app.add_option("-p,--port", raw.port,
                 "TCP port, and the sockets' number; 0 takes a free one (5432)");
  app.add_option("-h,--host", raw.hosts,
                 "Address to listen on; repeat it, '*' for all, '' for none (127.0.0.1)")
      ->allow_extra_args(false);
  app.add_option("-k,--socket-dir", raw.socket_directories,
                 "Directory for a Unix socket; repeat it")
      ->allow_extra_args(false);
  app.add_option("--path", raw.socket_paths, "A Unix socket at exactly this path")
      ->allow_extra_args(false);
  app.add_option("-c", raw.settings, "A PostgreSQL setting, name=value; repeat it")
      ->allow_extra_args(false);
  app.add_option("-d,--db", options.database, "Database to create when it is missing (postgres)");
  app.add_option("-U,--user", options.user, "Superuser to create when it is missing (postgres)");
  app.add_option("--password", options.password,
                 "That user's password; turns --auth scram-sha-256 on. Better: POSTGRES_PASSWORD");
  app.add_option("--auth", raw.auth, "trust, password or scram-sha-256: written to pg_hba.conf");
  app.add_option("--extensions", raw.extensions,
                 "Comma-separated; created in the database at start");
  app.add_option("--max-connections", raw.max_connections, "PostgreSQL's max_connections");
  app.add_flag("--tls", options.self_signed_tls, "Offer TLS, with a certificate made at start");
  app.add_option("--tls-cert", raw.tls_certificate, "PEM file of the certificate and its chain");
  app.add_option("--tls-key", raw.tls_key, "PEM file of its key (mode 600)");
  app.add_option("--handshake-timeout", raw.handshake_timeout_s,
                 "Seconds for a client's startup packet (authentication_timeout)");
  app.add_option("--run", options.command,
                 "Run a shell command with DATABASE_URL set; end with its exit code");
  app.add_option("--pool", raw.pool,
                 "[HOST:]PORT for IntegreSQL's API, test databases over HTTP; 0 takes a free port "
                 "(127.0.0.1)");
  app.add_option("--pool-size", options.pool_size, "The most databases of one template (500)")
      ->check(CLI::Range(1, 100'000));
  app.add_flag("--exit-with-stdin", options.exit_with_stdin, "End when standard input closes");
  app.add_option("--debug", options.debug_level, "PostgreSQL's debug level, 0 to 5")
      ->check(CLI::Range(0, 5));
  app.add_flag("--json", options.json_only,
               "Standard output has the machine-readable ready line, standard error the log only");
  app.add_flag("--quiet,-q", options.quiet, "No log; nothing for people but errors");
}

void add_sql(CLI::App& app, RawSql& raw, SqlOptions& options) {
  app.set_help_flag("--help", "Show this text");
  app.footer(kSqlExamples);
  app.add_option("LOCATION", raw.location,
                 "A directory, file://PATH or memory:// (default: PGDATA, else memory://)");
  app.add_option("-D,--data-dir", raw.data_directory, "The same as a directory for LOCATION");
  app.add_option("--from", raw.from, "Start with this file of calf snapshot save");
  app.add_option("--engine", raw.engine, "postgres, or sqlite: LOCATION is then a SQLite file")
      ->check(CLI::IsMember({"postgres", "sqlite"}));
  app.add_option("-c,--command", raw.commands, "SQL to run; repeat it")->allow_extra_args(false);
  app.add_option("-f,--file", raw.files, "A script to run, - for standard input; repeat it")
      ->allow_extra_args(false);
  app.add_option("-U,--user,--username", options.user, "Role to log in as (postgres)");
  app.add_option("-d,--db,--dbname", options.database, "Database (postgres)");
  app.add_option("-v,--set,--variable", raw.variables,
                 "ON_ERROR_STOP=1 ends a script at its first error")
      ->allow_extra_args(false);
  app.add_option("--setting", raw.settings, "A PostgreSQL setting, name=value; repeat it")
      ->allow_extra_args(false);
  app.add_flag("-A,--no-align", raw.unaligned, "Unaligned output");
  app.add_flag("-t,--tuples-only", options.table.tuples_only, "Rows only");
  app.add_option("-F,--field-separator", options.table.field_separator,
                 "Between unaligned fields (|)");
  app.add_flag("--csv", raw.csv, "CSV output");
  app.add_flag("-q,--quiet", options.quiet, "No command tags");
  app.add_flag("-1,--single-transaction", options.single_transaction, "All in one transaction");
  app.add_flag("-X,--no-psqlrc", [](std::int64_t) {}, "Accepted; there is no startup file");
}

struct RawPort {
  std::string location, data_directory, extensions;
  std::vector<std::string> settings;
  int debug_level = -1;  // not given
};

void add_port(CLI::App& app, RawPort& raw, PortOptions& options) {
  app.set_help_flag("--help", "Show this text");
  app.footer(kPortExamples);
  app.add_option(
      "LOCATION", raw.location,
      "A directory, file://PATH or memory:// (default: PGLITE_DATA_DIR, else memory://)");
  app.add_option("-D,--data-dir", raw.data_directory, "The same as a directory for LOCATION");
  app.add_option("-U,--user", options.user, "Superuser to create when it is missing (postgres)");
  app.add_option("-d,--db", options.database, "Database to create when it is missing (postgres)");
  app.add_option("-c", raw.settings, "A PostgreSQL setting, name=value; repeat it")
      ->allow_extra_args(false);
  app.add_option("--extensions", raw.extensions,
                 "Comma-separated; created in the database at start");
  app.add_option("--debug", raw.debug_level, "0: no log; 1 to 5: PostgreSQL's, ever more (0)")
      ->check(CLI::Range(0, 5));
  app.add_flag("--raw", options.raw, "The bare protocol, no packets");
}

void add_check(CLI::App& app, std::string& location, CheckOptions& options) {
  app.set_help_flag("--help", "Show this text");
  app.footer(kCheckExamples);
  app.add_option("DIRECTORY", location, "The data directory (default: PGDATA)");
  app.add_option("-U,--user,--username", options.user, "Superuser to look as (postgres)");
  app.add_flag("--json", options.json, "The result as one line of JSON on standard output");
  app.add_flag("--quiet,-q", options.quiet, "No progress on standard error");
}

struct RawBranch {
  std::string url, name;
  bool json = false;
};

void add_branch(CLI::App& app, RawBranch& raw, BranchOptions& options) {
  using Verb = BranchOptions::Verb;
  app.set_help_flag("--help", "Show this text");
  app.footer(kBranchExamples);
  app.require_subcommand(1);
  const std::initializer_list<std::tuple<const char*, Verb, const char*>> verbs = {
      {"create", Verb::kCreate, "Make a branch of the cluster that the URL's database is in"},
      {"list", Verb::kList, "All branches of the server"},
      {"drop", Verb::kDrop, "End a branch's sessions and delete it"},
      {"reset", Verb::kReset, "End a branch's sessions and make it anew from its parent"}};
  for (const auto& [name, verb, about] : verbs) {
    CLI::App* one = app.add_subcommand(name, about);
    one->set_help_flag("--help", "Show this text");
    one->footer(kBranchExamples);
    if (verb != Verb::kList) one->add_option("NAME", raw.name, "The branch")->required();
    one->add_option("--url", raw.url,
                    "The server, postgresql://user@host:port/database (PGHOST, …)");
    one->add_flag("--json", raw.json, "Machine-readable output");
    one->callback([&options, chosen = verb] { options.verb = chosen; });
  }
}

Result<ClusterLocation> choose_location(const std::string& positional, const std::string& flag,
                                        const char* variable = "PGDATA") {
  if (!positional.empty() && !flag.empty()) {
    return fail(ErrorCode::kInvalidArgument, "both LOCATION and -D are given", "give one of them");
  }
  return parse_location(!positional.empty() ? positional
                        : !flag.empty()     ? flag
                                            : environment({variable}, "memory://"));
}

std::optional<std::filesystem::path> path_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

Result<void> add_settings(const std::vector<std::string>& raw,
                          std::vector<std::pair<std::string, std::string>>& settings) {
  for (const std::string& text : raw) {
    CALF_TRY(auto setting, parse_setting(text));
    settings.push_back(std::move(setting));
  }
  return {};
}

Result<AuthMethod> parse_auth(const std::string& text) {
  if (text == "trust") return AuthMethod::kTrust;
  if (text == "password") return AuthMethod::kPassword;
  if (text == "scram-sha-256" || text == "scram") return AuthMethod::kScram;
  return fail(ErrorCode::kInvalidArgument, "unknown authentication method \"" + text + "\"",
              "trust, password or scram-sha-256");
}

Result<void> choose_port(int flag, const config::Config& config, ServeOptions& options) {
  std::string text = flag >= 0 ? std::to_string(flag) : config.text("server.port");
  char* end = nullptr;
  const long port = std::strtol(text.c_str(), &end, 10);
  if (flag < -1 || text.empty() || *end != '\0' || port < 0 || port > 65535) {
    return fail(ErrorCode::kInvalidArgument, "\"" + text + "\" is not a port");
  }
  options.port = static_cast<std::uint16_t>(port);
  return {};
}

// PGHOST that is a path names the directory of a socket, as in libpq. It counts when no flag says
// where to listen.
void choose_hosts(const RawServe& raw, const config::Config& config, ServeOptions& options) {
  for (const std::string& directory : raw.socket_directories) {
    for (const std::string& item : split_list(directory))
      options.socket_directories.emplace_back(item);
  }
  for (const std::string& path : raw.socket_paths) options.socket_paths.emplace_back(path);
  std::vector<std::string> given = raw.hosts;
  if (given.empty() && options.socket_directories.empty() && options.socket_paths.empty()) {
    given = {config.text("server.host")};
  }
  if (given.empty()) return;
  options.hosts.clear();
  for (const std::string& text : given) {
    for (const std::string& host : split_list(text)) {
      if (host.starts_with('/')) {
        options.socket_directories.emplace_back(host);
      } else {
        options.hosts.push_back(host);
      }
    }
  }
}

Result<void> choose_tls(const RawServe& raw, ServeOptions& options) {
  if (raw.tls_certificate.empty() != raw.tls_key.empty()) {
    return fail(ErrorCode::kInvalidArgument, "--tls-cert and --tls-key belong together");
  }
  if (!raw.tls_key.empty()) {
    options.tls_files = net::TlsFiles{.certificate = raw.tls_certificate, .key = raw.tls_key};
  }
  return {};
}

// PostgreSQL's own limit for the same wait, when it is set on the command line.
Result<void> choose_handshake_timeout(int flag_s, ServeOptions& options) {
  if (flag_s < 0) {
    return fail(ErrorCode::kInvalidArgument, "--handshake-timeout must be at least one second");
  }
  if (flag_s > 0) {
    options.handshake_timeout = std::chrono::seconds(flag_s);
    return {};
  }
  for (const auto& [name, value] : options.settings) {
    if (name != "authentication_timeout") continue;
    auto timeout = parse_seconds(value);
    if (!timeout) return fail(std::move(timeout).error().with_context(name));
    options.handshake_timeout = *timeout;
  }
  return {};
}

// A flag of its own counts more than what says the same elsewhere, however wrong that is.
Result<config::Config> load_config(const RawServe& raw) {
  RawConfig config = raw.config;
  constexpr int kLastPort = 65535;
  if (raw.port >= 0 && raw.port <= kLastPort) {
    config.settings.push_back("server.port=" + std::to_string(raw.port));
  }
  if (!raw.place.durability.empty()) {
    config.settings.push_back("storage.durability=" + raw.place.durability);
  }
  return load_config(config);
}

// User, password and database, where no flag has them.
void choose_identity(const CLI::App& app, const config::Config& config, ServeOptions& options) {
  if (app.count("--user") == 0) options.user = config.text("server.authentication.user");
  if (app.count("--password") == 0) {
    options.password = config.text("server.authentication.password");
  }
  if (app.count("--db") == 0) options.database = config.text("database.name");
}

EngineKind engine_named(const std::string& name) {
  return name == "sqlite" ? EngineKind::kSqlite : EngineKind::kPostgres;
}

Result<ServeOptions> finish_serve(const CLI::App& app, const RawServe& raw, ServeOptions options) {
  CALF_TRY(const config::Config config, load_config(raw));
  choose_identity(app, config, options);
  if (config.given("logging.level") || config.given("logging.format")) {
    options.log = config::log_options(config);
  }
  CALF_CHECK_OK(choose_place(raw.place, config, options));
  options.from = path_of(raw.from);
  CALF_CHECK_OK(choose_port(raw.port, config, options));
  choose_hosts(raw, config, options);
  CALF_CHECK_OK(choose_tls(raw, options));
  if (raw.max_connections != 0) {
    options.settings.emplace_back("max_connections", std::to_string(raw.max_connections));
  }
  if (options.debug_level > 0) {
    options.settings.emplace_back("log_min_messages",
                                  "debug" + std::to_string(options.debug_level));
  }
  CALF_CHECK_OK(add_settings(raw.settings, options.settings));
  options.extensions = split_list(raw.extensions);
  if (!raw.auth.empty()) {
    CALF_TRY(options.auth, parse_auth(raw.auth));
  } else if (!options.password.empty()) {
    options.auth = AuthMethod::kScram;
  }
  CALF_CHECK_OK(choose_handshake_timeout(raw.handshake_timeout_s, options));
  if (!raw.pool.empty()) {
    CALF_TRY(options.pool, parse_pool_address(raw.pool));
  }
  if (!environment({"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"}).empty()) {
    options.init_scripts = "/docker-entrypoint-initdb.d";
  }
  return options;
}

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

Result<SqlOptions> finish_sql(const CLI::App& app, const RawSql& raw, SqlOptions options) {
  CALF_TRY(options.location, choose_location(raw.location, raw.data_directory));
  options.from = path_of(raw.from);
  options.engine = engine_named(raw.engine);
  CALF_CHECK_OK(add_settings(raw.settings, options.settings));
  for (const std::string& text : raw.variables) CALF_CHECK_OK(set_variable(text, options));
  if (raw.unaligned) options.table.format = TableFormat::kUnaligned;
  if (raw.csv) options.table.format = TableFormat::kCsv;
  std::size_t command = 0;
  std::size_t file = 0;
  for (const CLI::Option* option : app.parse_order()) {
    if (option->check_lname("command")) {
      options.inputs.push_back({SqlInput::Kind::kCommand, raw.commands.at(command++)});
    } else if (option->check_lname("file")) {
      options.inputs.push_back({SqlInput::Kind::kFile, raw.files.at(file++)});
    }
  }
  return options;
}

Result<PortOptions> finish_port(const RawPort& raw, PortOptions options) {
  options.location = choose_location(raw.location, raw.data_directory, "PGLITE_DATA_DIR");
  const std::string level = environment({"PGLITE_DEBUG"}, "0");
  if (level.size() != 1 || level[0] < '0' || level[0] > '5') {
    return fail(ErrorCode::kInvalidArgument, "PGLITE_DEBUG=" + level + " is not 0 to 5");
  }
  options.debug_level = raw.debug_level >= 0 ? raw.debug_level : level[0] - '0';
  if (options.debug_level > 1) {
    options.settings.emplace_back("log_min_messages",
                                  "debug" + std::to_string(options.debug_level));
  }
  CALF_CHECK_OK(add_settings(raw.settings, options.settings));
  options.extensions = split_list(raw.extensions);
  return options;
}

Result<CheckOptions> finish_check(const std::string& raw, CheckOptions options) {
  const std::string text = !raw.empty() ? raw : environment({"PGDATA"});
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

Result<BranchOptions> finish_branch(const RawBranch& raw, BranchOptions options) {
  options.name = raw.name;
  options.json = raw.json;
  ServerUrl server{.host = environment({"PGHOST"}, "127.0.0.1"),
                   .user = environment({"PGUSER"}, "postgres"),
                   .password = environment({"PGPASSWORD"}),
                   .database = environment({"PGDATABASE"}, "postgres")};
  const std::string port = environment({"PGPORT"}, "5432");
  CALF_TRY(options.server, parse_server_url("postgresql://?port=" + port, std::move(server)));
  if (!raw.url.empty()) {
    CALF_TRY(options.server, parse_server_url(raw.url, std::move(options.server)));
  }
  return options;
}

PrintAndExit usage_error(const Error& error) {
  return {.text = "calf: " + error.message + (error.hint.empty() ? "" : " (" + error.hint + ")") +
                  "\nTry calf --help\n",
          .exit_code = 1};
}

template <typename Options>
Command to_command(Result<Options> options) {
  if (!options) return usage_error(options.error());
  return std::move(*options);
}

Result<PrintAndExit> finish_config(const RawConfig& raw) {
  CALF_TRY(const config::Config config, load_config(raw));
  return PrintAndExit{.text = config.describe(), .exit_code = 0};
}

PrintAndExit print_of(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = app.exit(error, out, err);
  if (code == 0) return {.text = out.str(), .exit_code = 0};
  return usage_error({.message = error.what()});
}

}  // namespace

Command parse_command_line(std::vector<std::string> arguments) {
  ServeOptions serve;
  SqlOptions sql{.user = environment({"PGUSER"}, "postgres"),
                 .password = environment({"PGPASSWORD"}),
                 .database = environment({"PGDATABASE"}, "postgres")};
  PortOptions port{.user = environment({"PGLITE_USERNAME"}, "postgres"),
                   .database = environment({"PGLITE_DATABASE"}, "postgres"),
                   .wasm_path = environment({"PGLITE_WASM_PATH"})};
  BranchOptions branch;
  RawBranch raw_branch;
  RawServe raw_serve;
  RawPort raw_port;
  RawSql raw_sql;
  RawConfig raw_config;
  RawRestore raw_restore;
  CLI::App app(kAbout, "calf");
  app.set_help_flag("--help", "Show this text");
  app.set_version_flag("--version,-V", std::string(kVersionText));
  app.require_subcommand(1);
  CLI::App* serve_app = app.add_subcommand("serve", "Serve a database over TCP and Unix sockets");
  CLI::App* sql_app = app.add_subcommand("sql", "Run SQL without a server");
  CLI::App* port_app = app.add_subcommand("port", "One session over standard input and output");
  CLI::App* branch_app = app.add_subcommand("branch", "Copies of a running server's databases");
  add_branch(*branch_app, raw_branch, branch);
  add_port(*port_app, raw_port, port);
  SnapshotCommandLine snapshot(app);
  CLI::App* check_app = app.add_subcommand("check", "Verify a stopped cluster in a directory");
  CheckOptions check;
  std::string check_location;
  add_serve(*serve_app, raw_serve, serve);
  add_check(*check_app, check_location, check);
  add_sql(*sql_app, raw_sql, sql);
  CLI::App* config_app =
      app.add_subcommand("config", "Print the effective configuration and where it comes from");
  add_config(*config_app, raw_config);
  CLI::App* restore_app =
      app.add_subcommand("restore", "Make a SQLite database of its archive in object storage");
  add_restore(*restore_app, raw_restore);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 wants them so
  try {
    app.parse(arguments);
    if (serve_app->parsed())
      return to_command(finish_serve(*serve_app, raw_serve, std::move(serve)));
    if (port_app->parsed()) return to_command(finish_port(raw_port, std::move(port)));
    if (branch_app->parsed()) return to_command(finish_branch(raw_branch, std::move(branch)));
    if (check_app->parsed()) return to_command(finish_check(check_location, std::move(check)));
    if (sql_app->parsed()) return to_command(finish_sql(*sql_app, raw_sql, std::move(sql)));
    if (config_app->parsed()) return to_command(finish_config(raw_config));
    if (restore_app->parsed()) return to_command(finish_restore(raw_restore));
    return to_command(snapshot.finish());
  } catch (const CLI::ParseError& error) {
    return print_of(app, error);
  }
}

}  // namespace calf::cli
