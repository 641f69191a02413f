#include "initdb/initdb.h"

#include <algorithm>

#include "initdb/encoding.h"
#include "initdb/scripts.h"
#include "initdb/text.h"
#include "initdb/tree.h"
#include "os/clock.h"
#include "postgres/guest_tree.h"
#include "postgres/standalone.h"

namespace calf::initdb {
namespace {

constexpr std::string_view kShareDirectory = "/pglite/share/postgresql/";
constexpr std::string_view kProgram = "/pglite/bin/postgres";
constexpr std::string_view kWalSegmentBytes = "16777216";
constexpr size_t kMaxName = 63;              // NAMEDATALEN - 1
constexpr size_t kMaxReportedErrors = 4096;  // bytes of the guest's words in an Error

// Parents before what is in them.
constexpr std::string_view kDirectories[] = {
    "pg_wal",
    "global",
    "pg_wal/archive_status",
    "pg_wal/summaries",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_subtrans",
    "pg_twophase",
    "pg_multixact",
    "pg_multixact/members",
    "pg_multixact/offsets",
    "base",
    "base/1",
    "pg_replslot",
    "pg_tblspc",
    "pg_stat",
    "pg_stat_tmp",
    "pg_xact",
    "pg_logical",
    "pg_logical/snapshots",
    "pg_logical/mappings",
};

tl::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

std::string data_path(std::string_view name) {
  return std::string(postgres::kGuestDataDirectory) + "/" + std::string(name);
}
std::string share_path(std::string_view name) {
  return std::string(kShareDirectory) + std::string(name);
}

// --- Options

// Line ends could end a statement of the script.
bool is_one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return c == '\n' || c == '\r' || c == '\0'; });
}

Result<void> check_superuser(const Options& options) {
  const std::string& name = options.superuser;
  if (name.empty() || name.size() > kMaxName || !is_one_line(name)) {
    return refuse("a superuser's name has 1 to 63 bytes on one line");
  }
  // CREATE EXTENSION, which loads plpgsql, takes no owner with one of these.
  if (name.find_first_of("\"$'\\") != std::string::npos) {
    return refuse("a superuser's name has none of the characters \"$'\\");
  }
  if (name.starts_with("pg_")) {
    return refuse("superuser name \"" + name +
                  "\" is disallowed: role names cannot begin with \"pg_\"");
  }
  if (options.password && (options.password->empty() || !is_one_line(*options.password))) {
    return refuse("the superuser's password must be one line and not empty");
  }
  return {};
}

bool is_password_method(std::string_view method) {
  return method == "scram-sha-256" || method == "md5" || method == "password";
}

Result<void> check_authentication(const Options& options) {
  for (const std::string& method : {options.local_authentication, options.host_authentication}) {
    if (method != "trust" && method != "reject" && !is_password_method(method)) {
      return refuse("\"" + method + "\" is no authentication method for a new cluster");
    }
  }
  if (is_password_method(options.local_authentication) &&
      is_password_method(options.host_authentication) && !options.password) {
    return refuse("password authentication needs a password for the superuser");
  }
  return {};
}

// The canonical name of a locale of the builtin provider.
Result<std::string> canonical_locale(const std::string& name, int encoding) {
  if (name == "C") return name;
  const bool c_utf8 = name == "C.UTF-8" || name == "C.UTF8";
  if (!c_utf8 && name != "PG_UNICODE_FAST") {
    return fail(ErrorCode::kInvalidArgument,
                "invalid locale name \"" + name + "\" for the builtin provider",
                "choose C, C.UTF-8 or PG_UNICODE_FAST; ICU collations can be used in each column");
  }
  if (encoding != kUtf8) return refuse("locale " + name + " requires encoding UTF8");
  return std::string(c_utf8 ? "C.UTF-8" : "PG_UNICODE_FAST");
}

// The C library's locales are spelled as its setlocale() answers them: it has C.UTF-8 for LC_CTYPE
// only, and CREATE DATABASE compares the canonical names.
Result<ClusterFacts> check_options(const Options& options) {
  CALF_CHECK_OK(check_superuser(options));
  CALF_CHECK_OK(check_authentication(options));
  const auto encoding = server_encoding(options.encoding);
  if (!encoding) return refuse("\"" + options.encoding + "\" is not a valid server encoding name");
  CALF_TRY(std::string locale, canonical_locale(options.locale, *encoding));
  const bool plain_c = locale == "C";
  return ClusterFacts{.superuser = options.superuser,
                      .encoding = *encoding,
                      .collate = "C",
                      .character_type = plain_c ? "C" : "C.UTF-8",
                      .locale = std::move(locale)};
}

// --- Files

Result<void> make_directories(vfs::Namespace& tree) {
  constexpr uint32_t kOwnerOnly = 0700;
  const std::string root = postgres::kGuestDataDirectory;
  if (auto changed = tree.chmod("/", root, kOwnerOnly, vfs::Follow::kYes); !changed) {
    return fail(os::to_error("changing the permissions of " + root, changed.error()));
  }
  for (const std::string_view name : kDirectories)
    CALF_CHECK_OK(make_directory(tree, data_path(name)));
  return {};
}

Result<void> write_version(vfs::Namespace& tree, std::string_view path) {
  return write_file(tree, data_path(path), std::string(kMajorVersion) + "\n");
}

std::vector<Setting> settings_of(const Options& options) {
  std::vector<Setting> settings = {
      {"max_connections", "100"},
      {"autovacuum_worker_slots", "16"},
      {"shared_buffers", "128MB"},
      {"lc_messages", "C"},
      {"lc_monetary", "C"},
      {"lc_numeric", "C"},
      {"lc_time", "C"},
      {"datestyle", "iso, mdy"},
      {"default_text_search_config", "pg_catalog." + options.text_search_configuration},
      {"timezone", options.time_zone},
      {"log_timezone", options.time_zone},
      {"dynamic_shared_memory_type", "posix"},
      {"min_wal_size", "80MB"},
      {"max_wal_size", "1GB"},
  };
  const bool has_md5 =
      options.local_authentication == "md5" || options.host_authentication == "md5";
  const bool has_scram = options.local_authentication == "scram-sha-256" ||
                         options.host_authentication == "scram-sha-256";
  if (has_md5 && !has_scram) settings.push_back({"password_encryption", "md5"});
  settings.insert(settings.end(), options.settings.begin(), options.settings.end());
  return settings;
}

Result<void> write_configuration(vfs::Namespace& tree, const Options& options) {
  CALF_TRY(const std::string main_sample, read_file(tree, share_path("postgresql.conf.sample")));
  CALF_TRY(const std::string clients_sample, read_file(tree, share_path("pg_hba.conf.sample")));
  CALF_TRY(const std::string users_sample, read_file(tree, share_path("pg_ident.conf.sample")));
  CALF_CHECK_OK(write_file(tree, data_path("postgresql.conf"),
                           with_settings(main_sample, settings_of(options))));
  CALF_CHECK_OK(write_file(tree, data_path("postgresql.auto.conf"), empty_auto_configuration()));
  CALF_CHECK_OK(
      write_file(tree, data_path("pg_hba.conf"),
                 client_authentication(clients_sample, {.local = options.local_authentication,
                                                        .host = options.host_authentication})));
  return write_file(tree, data_path("pg_ident.conf"), users_sample);
}

Result<SqlFiles> read_sql_files(vfs::Namespace& tree) {
  SqlFiles files;
  files.sql_features_path = share_path("sql_features.txt");
  const std::pair<std::string*, std::string_view> wanted[] = {
      {&files.system_constraints, "system_constraints.sql"},
      {&files.system_functions, "system_functions.sql"},
      {&files.system_views, "system_views.sql"},
      {&files.snowball_create, "snowball_create.sql"},
      {&files.information_schema, "information_schema.sql"},
  };
  for (const auto& [text, name] : wanted) {
    CALF_TRY(*text, read_file(tree, share_path(name)));
  }
  return files;
}

// --- Running the image

Result<void> run(const std::shared_ptr<vfs::Namespace>& tree, std::string_view step,
                 std::vector<std::string> arguments, std::string input) {
  arguments.insert(arguments.begin(), std::string(kProgram));
  auto outcome = postgres::run_standalone(
      {.tree = tree, .arguments = std::move(arguments), .input = std::move(input)});
  if (!outcome) return fail(std::move(outcome).error().with_context(step));
  if (outcome->exit_code == 0) return {};
  std::string_view said = outcome->errors;
  if (said.size() > kMaxReportedErrors) said.remove_prefix(said.size() - kMaxReportedErrors);
  return fail(ErrorCode::kInternal, std::string(step) + ": postgres ended with exit code " +
                                        std::to_string(outcome->exit_code) + ": " +
                                        std::string(said));
}

Result<void> bootstrap(const std::shared_ptr<vfs::Namespace>& tree, const ClusterFacts& facts,
                       bool data_checksums) {
  CALF_TRY(const std::string bki, read_file(*tree, share_path("postgres.bki")));
  CALF_TRY(std::string script, bootstrap_script(bki, facts));
  // -F: no fsync; everything is synced once at the end.
  std::vector<std::string> arguments = {
      "--boot", "-F", "-c", "log_checkpoints=false", "-X", std::string(kWalSegmentBytes)};
  if (data_checksums) arguments.emplace_back("-k");
  return run(tree, "running the bootstrap script", std::move(arguments), std::move(script));
}

Result<void> post_bootstrap(const std::shared_ptr<vfs::Namespace>& tree, const ClusterFacts& facts,
                            const Options& options) {
  CALF_TRY(const SqlFiles files, read_sql_files(*tree));
  std::string script = post_bootstrap_script(
      files,
      {.superuser = options.superuser, .password = options.password, .encoding = facts.encoding});
  return run(tree, "post-bootstrap initialization",
             {"--single", "-F", "-O", "-j", "-c", "search_path=pg_catalog", "-c",
              "exit_on_error=true", "-c", "log_checkpoints=false", "template1"},
             std::move(script));
}

Result<void> fill(const std::shared_ptr<vfs::Namespace>& tree, const ClusterFacts& facts,
                  const Options& options) {
  CALF_CHECK_OK(make_directories(*tree));
  // The bootstrap process looks at the first version file; a database gets its own after it is
  // made.
  CALF_CHECK_OK(write_version(*tree, "PG_VERSION"));
  CALF_CHECK_OK(write_configuration(*tree, options));
  CALF_CHECK_OK(bootstrap(tree, facts, options.data_checksums));
  CALF_CHECK_OK(write_version(*tree, "base/1/PG_VERSION"));
  CALF_CHECK_OK(post_bootstrap(tree, facts, options));
  return sync_tree(*tree, postgres::kGuestDataDirectory);
}

}  // namespace

Result<void> initialise(const std::shared_ptr<vfs::Namespace>& tree, const Options& options) {
  CALF_TRY(const ClusterFacts facts, check_options(options));
  CALF_CHECK_OK(expect_empty(*tree, postgres::kGuestDataDirectory));
  auto filled = fill(tree, facts, options);
  if (filled) return {};
  Error error = std::move(filled).error();
  if (auto removed = remove_contents(*tree, postgres::kGuestDataDirectory); !removed) {
    error.hint = "the data directory could not be emptied again: " + removed.error().message;
  }
  return fail(std::move(error).with_context("making a data directory"));
}

Result<void> initialise(std::shared_ptr<vfs::FileSystem> installation,
                        std::shared_ptr<vfs::FileSystem> data, const Options& options) {
  CALF_TRY(const auto tree, postgres::make_guest_tree(std::move(installation), std::move(data),
                                                      std::make_shared<os::SystemClock>()));
  return initialise(tree, options);
}

}  // namespace calf::initdb
