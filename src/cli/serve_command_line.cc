#include "cli/serve_command_line.h"

#include <cstdlib>

#include "cli/option_values.h"

namespace calf::cli {
namespace {

constexpr const char* kExamples =
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

Result<AuthMethod> parse_auth(const std::string& text) {
  if (text == "trust") return AuthMethod::kTrust;
  if (text == "password") return AuthMethod::kPassword;
  if (text == "scram-sha-256" || text == "scram") return AuthMethod::kScram;
  return fail(ErrorCode::kInvalidArgument, "unknown authentication method \"" + text + "\"",
              "trust, password or scram-sha-256");
}

Result<std::uint16_t> choose_port(int flag, const config::Config& config) {
  std::string text = flag >= 0 ? std::to_string(flag) : config.text("server.port");
  char* end = nullptr;
  const long port = std::strtol(text.c_str(), &end, 10);
  if (flag < -1 || text.empty() || *end != '\0' || port < 0 || port > 65535) {
    return fail(ErrorCode::kInvalidArgument, "\"" + text + "\" is not a port");
  }
  return static_cast<std::uint16_t>(port);
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

}  // namespace

ServeCommandLine::ServeCommandLine(CLI::App& app)
    : app_(app.add_subcommand("serve", "Serve a database over TCP and Unix sockets")) {
  app_->set_help_flag("--help", "Show this text");
  app_->footer(kExamples);
  add_place(*app_, place_);
  add_config(*app_, config_);
  app_->add_option("--from", from_, "Start with this file of calf snapshot save");
  app_->add_option("-p,--port", port_,
                   "TCP port, and the sockets' number; 0 takes a free one (5432)");
  app_->add_option("-h,--host", hosts_,
                   "Address to listen on; repeat it, '*' for all, '' for none (127.0.0.1)")
      ->allow_extra_args(false);
  app_->add_option("-k,--socket-dir", socket_directories_, "Directory for a Unix socket; repeat it")
      ->allow_extra_args(false);
  app_->add_option("--path", socket_paths_, "A Unix socket at exactly this path")
      ->allow_extra_args(false);
  app_->add_option("-c", settings_, "A PostgreSQL setting, name=value; repeat it")
      ->allow_extra_args(false);
  app_->add_option("-d,--db", options_.database,
                   "Database to create when it is missing (postgres)");
  app_->add_option("-U,--user", options_.user, "Superuser to create when it is missing (postgres)");
  app_->add_option(
      "--password", options_.password,
      "That user's password; turns --auth scram-sha-256 on. Better: POSTGRES_PASSWORD");
  app_->add_option("--auth", auth_, "trust, password or scram-sha-256: written to pg_hba.conf");
  app_->add_option("--extensions", extensions_,
                   "Comma-separated; created in the database at start");
  app_->add_option("--max-connections", max_connections_, "PostgreSQL's max_connections");
  app_->add_flag("--tls", options_.self_signed_tls, "Offer TLS, with a certificate made at start");
  app_->add_option("--tls-cert", tls_certificate_, "PEM file of the certificate and its chain");
  app_->add_option("--tls-key", tls_key_, "PEM file of its key (mode 600)");
  app_->add_option("--handshake-timeout", handshake_timeout_s_,
                   "Seconds for a client's startup packet (authentication_timeout)");
  app_->add_option("--run", options_.command,
                   "Run a shell command with DATABASE_URL set; end with its exit code");
  app_->add_option(
      "--pool", pool_,
      "[HOST:]PORT for IntegreSQL's API, test databases over HTTP; 0 takes a free port "
      "(127.0.0.1)");
  app_->add_option("--pool-size", options_.pool_size, "The most databases of one template (500)")
      ->check(CLI::Range(1, 100'000));
  app_->add_option("--pool-ahead", options_.pool_ahead,
                   "Databases of a template that are made, and awake, before somebody asks (8)")
      ->check(CLI::Range(0, 1000));
  app_->add_flag("--allow-programs", options_.allow_programs,
                 "COPY ... FROM and TO PROGRAM run programs of this machine, as this user");
  app_->add_flag("--exit-with-stdin", options_.exit_with_stdin, "End when standard input closes");
  app_->add_option("--debug", options_.debug_level, "PostgreSQL's debug level, 0 to 5")
      ->check(CLI::Range(0, 5));
  app_->add_flag(
      "--json", options_.json_only,
      "Standard output has the machine-readable ready line, standard error the log only");
  app_->add_flag("--quiet,-q", options_.quiet, "No log; nothing for people but errors");
}

// A flag of its own counts more than what says the same elsewhere, however wrong that is.
Result<config::Config> ServeCommandLine::configuration() const {
  RawConfig raw = config_;
  constexpr int kLastPort = 65535;
  if (port_ >= 0 && port_ <= kLastPort) {
    raw.settings.push_back("server.port=" + std::to_string(port_));
  }
  if (!place_.durability.empty()) {
    raw.settings.push_back("storage.durability=" + place_.durability);
  }
  return load_config(raw);
}

// User, password and database, where no flag has them.
void ServeCommandLine::choose_identity(const config::Config& config, ServeOptions& options) const {
  if (app_->count("--user") == 0) options.user = config.text("server.authentication.user");
  if (app_->count("--password") == 0) {
    options.password = config.text("server.authentication.password");
  }
  if (app_->count("--db") == 0) options.database = config.text("database.name");
}

// PGHOST that is a path names the directory of a socket, as in libpq. It counts when no flag says
// where to listen.
void ServeCommandLine::choose_hosts(const config::Config& config, ServeOptions& options) const {
  for (const std::string& directory : socket_directories_) {
    for (const std::string& item : split_list(directory))
      options.socket_directories.emplace_back(item);
  }
  for (const std::string& path : socket_paths_) options.socket_paths.emplace_back(path);
  std::vector<std::string> given = hosts_;
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

Result<void> ServeCommandLine::choose_tls(ServeOptions& options) const {
  if (tls_certificate_.empty() != tls_key_.empty()) {
    return fail(ErrorCode::kInvalidArgument, "--tls-cert and --tls-key belong together");
  }
  if (!tls_key_.empty()) {
    options.tls_files = net::TlsFiles{.certificate = tls_certificate_, .key = tls_key_};
  }
  return {};
}

Result<ServeOptions> ServeCommandLine::finish() const {
  ServeOptions options = options_;
  CALF_TRY(const config::Config config, configuration());
  choose_identity(config, options);
  if (config.given("logging.level") || config.given("logging.format")) {
    options.log = config::log_options(config);
  }
  CALF_CHECK_OK(choose_place(place_, config, options));
  options.from = path_of(from_);
  CALF_TRY(options.port, choose_port(port_, config));
  choose_hosts(config, options);
  CALF_CHECK_OK(choose_tls(options));
  if (max_connections_ != 0) {
    options.settings.emplace_back("max_connections", std::to_string(max_connections_));
  }
  if (options.debug_level > 0) {
    options.settings.emplace_back("log_min_messages",
                                  "debug" + std::to_string(options.debug_level));
  }
  CALF_CHECK_OK(add_settings(settings_, options.settings));
  options.extensions = split_list(extensions_);
  if (!auth_.empty()) {
    CALF_TRY(options.auth, parse_auth(auth_));
  } else if (!options.password.empty()) {
    options.auth = AuthMethod::kScram;
  }
  CALF_CHECK_OK(choose_handshake_timeout(handshake_timeout_s_, options));
  if (!pool_.empty()) {
    CALF_TRY(options.pool, parse_pool_address(pool_));
  }
  if (!environment({"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"}).empty()) {
    options.init_scripts = "/docker-entrypoint-initdb.d";
  }
  return options;
}

}  // namespace calf::cli
