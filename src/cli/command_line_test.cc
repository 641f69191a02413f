#include <gtest/gtest.h>

#include <cstdlib>

#include "cli/options.h"

namespace calf::cli {
namespace {

class CommandLine : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGDATA",
                             "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "CONFIG_PATH",
                             "PG_PORT", "PG_USER", "LOG_FORMAT", "STORAGE", "DB_NAME", "DB_PATH"}) {
      ::unsetenv(name);
    }
  }
  void TearDown() override { SetUp(); }

  ServeOptions serve(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "serve");
    Command command = parse_command_line(arguments);
    if (auto* print = std::get_if<PrintAndExit>(&command)) ADD_FAILURE() << print->text;
    return std::get<ServeOptions>(command);
  }
  SqlOptions sql(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "sql");
    Command command = parse_command_line(arguments);
    if (auto* print = std::get_if<PrintAndExit>(&command)) ADD_FAILURE() << print->text;
    return std::get<SqlOptions>(command);
  }
  PrintAndExit refused(const std::vector<std::string>& arguments) {
    return std::get<PrintAndExit>(parse_command_line(arguments));
  }
};

TEST_F(CommandLine, serves_memory_on_loopback_by_default) {
  const ServeOptions options = serve({});
  EXPECT_TRUE(std::holds_alternative<MemoryLocation>(options.location));
  EXPECT_EQ(options.hosts, std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(options.port, 5432);
  EXPECT_EQ(options.user, "postgres");
  EXPECT_FALSE(options.auth.has_value());
  EXPECT_FALSE(options.init_scripts.has_value());
}

TEST_F(CommandLine, reads_postgres_flags) {
  const ServeOptions options =
      serve({"-D", "/d", "-p", "0", "-h", "a,b", "-h", "c", "-k", "/s", "-c", "x=1", "-c", "y=a=b",
             "--extensions", "vector, hstore"});
  EXPECT_EQ(std::get<DirectoryLocation>(options.location).path, "/d");
  EXPECT_EQ(options.port, 0);
  EXPECT_EQ(options.hosts, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(options.socket_directories.at(0), "/s");
  EXPECT_EQ(options.settings.at(1).second, "a=b");
  EXPECT_EQ(options.extensions, (std::vector<std::string>{"vector", "hstore"}));
}

TEST_F(CommandLine, reads_what_to_save_and_what_to_start_with) {
  const auto save = std::get<SnapshotSaveOptions>(
      parse_command_line({"snapshot", "save", "-q", "golden.calf", "/d"}));
  EXPECT_EQ(save.file, "golden.calf");
  EXPECT_EQ(save.directory, "/d");
  EXPECT_TRUE(save.quiet);
  ::setenv("PGDATA", "/from/environment", 1);
  EXPECT_EQ(std::get<SnapshotSaveOptions>(parse_command_line({"snapshot", "save", "f"})).directory,
            "/from/environment");
  EXPECT_EQ(refused({"snapshot", "save", "f", "memory://"}).exit_code, 1);
  EXPECT_EQ(refused({"snapshot", "save", "f", "/d", "-D", "/e"}).exit_code, 1);
  EXPECT_EQ(refused({"snapshot"}).exit_code, 1);
  EXPECT_EQ(serve({"--from", "golden.calf"}).from, "golden.calf");
  EXPECT_EQ(sql({"/d", "--from", "golden.calf"}).from, "golden.calf");
  EXPECT_FALSE(serve({}).from.has_value());
}

TEST_F(CommandLine, a_pool_listens_where_it_is_told) {
  EXPECT_FALSE(serve({}).pool.has_value());
  EXPECT_EQ(serve({"--pool", "5000"}).pool->host, "127.0.0.1");
  EXPECT_EQ(serve({"--pool", "0"}).pool->port, 0);
  EXPECT_EQ(serve({"--pool", "*:5000"}).pool->host, "*");
  EXPECT_EQ(serve({"--pool", ":5000"}).pool->host, "*");
  EXPECT_EQ(serve({"--pool", "[::1]:5000"}).pool->host, "::1");
  EXPECT_EQ(serve({"--pool", "[::1]:5000"}).pool->port, 5000);
  for (const char* bad : {"x", "host:", "host:x", "70000", "-1", "::1:5000"}) {
    EXPECT_EQ(refused({"serve", "--pool", bad}).exit_code, 1) << bad;
  }
}

TEST_F(CommandLine, a_branch_is_asked_of_the_environments_server) {
  ::setenv("PGHOST", "/sockets", 1);
  ::setenv("PGPORT", "6000", 1);
  const auto branch = std::get<BranchOptions>(parse_command_line({"branch", "create", "b1"}));
  EXPECT_EQ(branch.verb, BranchOptions::Verb::kCreate);
  EXPECT_EQ(branch.name, "b1");
  EXPECT_EQ(branch.server.host, "/sockets");
  EXPECT_EQ(branch.server.port, 6000);
  EXPECT_EQ(refused({"branch", "create"}).exit_code, 1);
  EXPECT_EQ(refused({"branch"}).exit_code, 1);
  ::setenv("PGPORT", "x", 1);
  EXPECT_EQ(refused({"branch", "list"}).exit_code, 1);
}

TEST_F(CommandLine, a_url_names_a_server) {
  const ServerUrl plain = *parse_server_url("postgresql://", {.host = "h", .port = 1});
  EXPECT_EQ(plain.host, "h");
  EXPECT_EQ(plain.port, 1);
  const ServerUrl whole = *parse_server_url("postgres://a%40b:p%2Fw@[::1]:6000/d@b1?x=y", {});
  EXPECT_EQ(whole.user, "a@b");
  EXPECT_EQ(whole.password, "p/w");
  EXPECT_EQ(whole.host, "::1");
  EXPECT_EQ(whole.port, 6000);
  EXPECT_EQ(whole.database, "d@b1");
  const ServerUrl query = *parse_server_url("postgresql:///d?host=/s&port=7&user=u&password=p", {});
  EXPECT_EQ(query.host, "/s");
  EXPECT_EQ(query.port, 7);
  EXPECT_EQ(query.user, "u");
  EXPECT_EQ(query.database, "d");
  for (const char* bad :
       {"", "http://x", "postgresql://h:x", "postgresql://%zz", "postgresql://h/%0",
        "postgresql://h/%00", "postgresql://h?sslmode=require", "postgresql://h?port=99999"}) {
    EXPECT_FALSE(parse_server_url(bad, {}).has_value()) << bad;
  }
}

TEST_F(CommandLine, an_empty_host_turns_tcp_off) {
  EXPECT_TRUE(serve({"-h", "", "-k", "/s"}).hosts.empty());
}

TEST_F(CommandLine, a_password_turns_scram_on) {
  EXPECT_EQ(serve({"--password", "x"}).auth, AuthMethod::kScram);
  EXPECT_EQ(serve({"--password", "x", "--auth", "password"}).auth, AuthMethod::kPassword);
}

TEST_F(CommandLine, reads_the_environment_as_defaults) {
  ::setenv("PGHOST", "/sockets", 1);
  ::setenv("PGPORT", "6000", 1);
  ::setenv("PGDATA", "/data", 1);
  ::setenv("POSTGRES_USER", "anna", 1);
  ::setenv("POSTGRES_PASSWORD", "s", 1);
  const ServeOptions options = serve({});
  EXPECT_TRUE(options.hosts.empty());
  EXPECT_EQ(options.socket_directories.at(0), "/sockets");
  EXPECT_EQ(options.port, 6000);
  EXPECT_EQ(std::get<DirectoryLocation>(options.location).path, "/data");
  EXPECT_EQ(options.user, "anna");
  EXPECT_EQ(options.database, "anna");  // as in the postgres image
  EXPECT_EQ(options.auth, AuthMethod::kScram);
  EXPECT_TRUE(options.init_scripts.has_value());
  EXPECT_EQ(serve({"-p", "7000", "memory://"}).port, 7000);
}

TEST_F(CommandLine, flags_win_over_the_environment) {
  ::setenv("PGHOST", "/sockets", 1);
  ::setenv("PGPORT", "nonsense", 1);
  ::setenv("PGUSER", "anna", 1);
  ::setenv("PGPASSWORD", "s", 1);
  ::setenv("PGDATABASE", "shop", 1);
  ::setenv("PGDATA", "/data", 1);
  const ServeOptions options = serve({"memory://", "-k", "/elsewhere", "-p", "1", "-U", "bob", "-d",
                                      "bank", "--password", "t", "--auth", "trust"});
  EXPECT_EQ(options.hosts, std::vector<std::string>{"127.0.0.1"});
  EXPECT_EQ(options.socket_directories, std::vector<std::filesystem::path>{"/elsewhere"});
  EXPECT_EQ(options.port, 1);
  EXPECT_EQ(options.user + options.password + options.database, "bobtbank");
  EXPECT_EQ(options.auth, AuthMethod::kTrust);
  EXPECT_TRUE(std::holds_alternative<MemoryLocation>(options.location));
  const ServeOptions host = serve({"-h", "10.0.0.1", "-p", "1"});
  EXPECT_EQ(host.hosts, std::vector<std::string>{"10.0.0.1"});
  EXPECT_TRUE(host.socket_directories.empty());
}

TEST_F(CommandLine, the_handshake_has_authentication_timeout_unless_it_is_given) {
  EXPECT_EQ(serve({}).handshake_timeout, std::chrono::seconds(60));
  EXPECT_EQ(serve({"-c", "authentication_timeout=2s"}).handshake_timeout, std::chrono::seconds(2));
  EXPECT_EQ(serve({"-c", "authentication_timeout=2", "--handshake-timeout", "5"}).handshake_timeout,
            std::chrono::seconds(5));
  EXPECT_EQ(refused({"serve", "-c", "authentication_timeout=soon"}).exit_code, 1);
}

TEST(Seconds, are_read_as_postgresql_reads_them) {
  EXPECT_EQ(parse_seconds("7")->count(), 7000);
  EXPECT_EQ(parse_seconds(" 1.5 min ")->count(), 90000);
  EXPECT_EQ(parse_seconds("500ms")->count(), 500);
  for (const char* text : {"", "s", "-1", "0", "1 fortnight", "1e99"}) {
    EXPECT_FALSE(parse_seconds(text).has_value()) << text;
  }
}

TEST_F(CommandLine, takes_the_configuration_below_flags_and_libpqs_variables) {
  ::setenv("PG_PORT", "6001", 1);
  ::setenv("PG_USER", "anna", 1);
  ::setenv("LOG_FORMAT", "json", 1);
  const ServeOptions options = serve({"--set", "database.name=shop"});
  EXPECT_EQ(options.port, 6001);
  EXPECT_EQ(options.user, "anna");
  EXPECT_EQ(options.database, "shop");
  EXPECT_EQ(options.log->format, log::Format::kJson);
  EXPECT_EQ(serve({"-p", "1", "-U", "bob"}).user, "bob");
  EXPECT_EQ(serve({"-p", "1"}).port, 1);
  ::setenv("PGPORT", "7000", 1);
  EXPECT_EQ(serve({}).port, 7000);
  EXPECT_EQ(serve({"--set", "server.port=8000"}).port, 8000);
  EXPECT_FALSE(serve({}).auth.has_value());
  EXPECT_EQ(serve({"--set", "server.authentication.password=s"}).auth, AuthMethod::kScram);
}

TEST_F(CommandLine, what_only_the_sqlite_engine_has_asks_for_it) {
  EXPECT_EQ(serve({}).engine, EngineKind::kPostgres);
  const ServeOptions url = serve({"--storage", "s3://b/p", "-d", "shop"});
  EXPECT_EQ(url.engine, EngineKind::kSqlite);
  EXPECT_EQ(std::get<blob::S3Options>(url.storage->store).prefix, "p/");
  EXPECT_EQ(std::get<DirectoryLocation>(url.location).path.filename(), "shop.sqlite");
  ::setenv("STORAGE", "local", 1);
  ::setenv("DB_NAME", "myapp", 1);
  ::setenv("DB_PATH", "/d/app.sqlite", 1);
  ::setenv("PGDATA", "/of/the/other/engine", 1);
  const ServeOptions seed = serve({"--durability", "commit", "--set", "storage.lease_ttl=1s"});
  EXPECT_EQ(seed.engine, EngineKind::kSqlite);
  EXPECT_EQ(std::get<blob::FolderOptions>(seed.storage->store).path, "./data/myapp");
  EXPECT_EQ(seed.storage->archive.durability, archive::Durability::kCommit);
  EXPECT_EQ(seed.storage->archive.lease_ttl_ms, 1000);
  EXPECT_EQ(std::get<DirectoryLocation>(seed.location).path, "/d/app.sqlite");
  EXPECT_EQ(refused({"serve", "--engine", "postgres"}).exit_code, 1);
  EXPECT_EQ(refused({"serve", "--storage", "ftp://x"}).exit_code, 1);
  EXPECT_EQ(refused({"serve", "memory://", "--storage", "/x"}).exit_code, 1);
  ::unsetenv("STORAGE");
  EXPECT_EQ(refused({"serve", "--replica"}).exit_code, 1);
  EXPECT_EQ(refused({"serve", "--engine", "postgres", "--durability", "commit"}).exit_code, 1);
  EXPECT_EQ(refused({"serve", "--durability", "commit"}).exit_code, 1);
}

TEST_F(CommandLine, config_prints_what_counts) {
  ::setenv("PG_PORT", "6001", 1);
  EXPECT_NE(refused({"config"}).text.find("port: 6001  # PG_PORT"), std::string::npos);
  EXPECT_EQ(refused({"config", "--set", "server.prot=1"}).exit_code, 1);
  EXPECT_NE(refused({"config", "--set", "server.prot=1"}).text.find("did you mean server.port"),
            std::string::npos);
}

TEST_F(CommandLine, restore_takes_a_store_a_file_and_a_time) {
  const Command command =
      parse_command_line({"restore", "s3://b/p", "f.db", "--at", "2026-03-01T12:00:00Z"});
  const auto& restore = std::get<RestoreCommand>(command);
  EXPECT_EQ(std::get<blob::S3Options>(restore.store).bucket, "b");
  EXPECT_EQ(restore.file, "f.db");
  EXPECT_EQ(restore.at_ms, 1772366400000);
  EXPECT_EQ(refused({"restore", "f"}).exit_code, 1);
  ::setenv("STORAGE", "local", 1);
  ::setenv("DB_NAME", "shop", 1);
  const auto configured = std::get<RestoreCommand>(parse_command_line({"restore", "f"}));
  EXPECT_EQ(std::get<blob::FolderOptions>(configured.store).path, "./data/shop");
  EXPECT_EQ(refused({"restore", "s3://b/p", "f", "--at", "soon"}).exit_code, 1);
}

TEST_F(CommandLine, ready_asks_the_server_of_the_configuration) {
  ::setenv("PG_HOST", "0.0.0.0", 1);
  ::setenv("PG_PORT", "6001", 1);
  ::setenv("DB_NAME", "shop", 1);
  const auto probe = std::get<ProbeOptions>(parse_command_line({"ready"}));
  EXPECT_EQ(probe.host, "127.0.0.1");
  EXPECT_EQ(probe.port, 6001);
  EXPECT_EQ(probe.database, "shop");
  const auto other = std::get<ProbeOptions>(
      parse_command_line({"ready", "-h", "/tmp", "-p", "6002", "-t", "500ms", "-q"}));
  EXPECT_EQ(other.host, "/tmp");
  EXPECT_EQ(other.port, 6002);
  EXPECT_EQ(other.timeout, std::chrono::milliseconds(500));
  EXPECT_TRUE(other.quiet);
  EXPECT_EQ(refused({"ready", "-t", "soon"}).exit_code, 3);
  EXPECT_EQ(refused({"ready", "-p", "x"}).exit_code, 3);
}

TEST(Time, is_read_with_fractions_and_offsets) {
  EXPECT_EQ(*parse_time_ms("2026-03-01 12:00:00"), 1772366400000);
  EXPECT_EQ(*parse_time_ms("2026-03-01T12:00:00.25Z"), 1772366400250);
  EXPECT_EQ(*parse_time_ms("2026-03-01T12:00:00+02:00"), 1772359200000);
  EXPECT_EQ(*parse_time_ms("2026-03-01T12:00:00-01"), 1772370000000);
  for (const char* text :
       {"", "now", "2026-03-01", "2026-03-01T12:00:00x", "2026-03-01T12:00:00+"}) {
    EXPECT_FALSE(parse_time_ms(text).has_value()) << text;
  }
}

TEST_F(CommandLine, refuses_what_it_does_not_understand) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"bogus"},
                                                    {"serve", "--bogus"},
                                                    {"serve", "-p", "70000"},
                                                    {"serve", "-c", "novalue"},
                                                    {"serve", "--auth", "md4"},
                                                    {"serve", "s3://bucket"},
                                                    {"serve", "--tls-cert", "x"},
                                                    {"serve", "/a", "-D", "/b"},
                                                    {"check"},
                                                    {"check", "memory://"},
                                                    {"sql", "-v", "x=1"}}) {
    EXPECT_EQ(refused(arguments).exit_code, 1);
    EXPECT_TRUE(refused(arguments).text.starts_with("calf: ")) << refused(arguments).text;
  }
}

TEST_F(CommandLine, help_teaches_and_version_prints) {
  EXPECT_NE(refused({"--help"}).text.find("psql -h 127.0.0.1"), std::string::npos);
  EXPECT_NE(refused({"serve", "--help"}).text.find("Examples:"), std::string::npos);
  EXPECT_NE(refused({"sql", "--help"}).text.find("ON_ERROR_STOP"), std::string::npos);
  EXPECT_NE(refused({"--version"}).text.find("calf 0."), std::string::npos);
  EXPECT_EQ(refused({"--version"}).exit_code, 0);
}

TEST_F(CommandLine, check_takes_a_directory) {
  const auto check = [](const std::vector<std::string>& arguments) {
    return std::get<CheckOptions>(parse_command_line(arguments));
  };
  EXPECT_EQ(check({"check", "/data", "--json"}).directory, "/data");
  EXPECT_TRUE(check({"check", "/data", "--json"}).json);
  EXPECT_EQ(check({"check", "/data", "--branch", "b1"}).branch, "b1");
  ::setenv("PGDATA", "/elsewhere", 1);
  EXPECT_EQ(check({"check"}).directory, "/elsewhere");
  EXPECT_NE(refused({"check", "--help"}).text.find("REINDEX"), std::string::npos);
}

TEST_F(CommandLine, sql_keeps_the_order_of_its_inputs) {
  const SqlOptions options =
      sql({"-c", "one", "-f", "two", "-c", "three", "-At", "-v", "ON_ERROR_STOP=1"});
  ASSERT_EQ(options.inputs.size(), 3u);
  EXPECT_EQ(options.inputs[0].text, "one");
  EXPECT_EQ(options.inputs[1].kind, SqlInput::Kind::kFile);
  EXPECT_EQ(options.inputs[2].text, "three");
  EXPECT_EQ(options.table.format, TableFormat::kUnaligned);
  EXPECT_TRUE(options.table.tuples_only);
  EXPECT_TRUE(options.stop_on_error);
}

TEST(Location, knows_its_forms) {
  EXPECT_EQ(std::get<MemoryLocation>(*parse_location("memory://x")).name, "x");
  EXPECT_EQ(std::get<DirectoryLocation>(*parse_location("file:///a/b")).path, "/a/b");
  EXPECT_TRUE(std::get<DirectoryLocation>(*parse_location("a")).path.is_absolute());
  EXPECT_FALSE(parse_location("").has_value());
  EXPECT_FALSE(parse_location("http://x").has_value());
}

}  // namespace
}  // namespace calf::cli
