// What the command line and the environment ask for.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "cli/engine_factory.h"
#include "cli/table.h"
#include "net/tls_context.h"

namespace calf::cli {

enum class AuthMethod { kTrust, kPassword, kScram };

// Where --pool listens.
struct PoolAddress {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
};

struct ServeOptions {
  ClusterLocation location{};
  std::optional<std::filesystem::path> from{};  // a snapshot file
  EngineKind engine = EngineKind::kPostgres;
  std::optional<StorageOptions> storage{};         // of the sqlite engine
  std::vector<std::string> hosts = {"127.0.0.1"};  // empty: no TCP
  std::uint16_t port = 5432;
  std::vector<std::filesystem::path> socket_directories{};
  std::vector<std::filesystem::path> socket_paths{};
  std::vector<std::pair<std::string, std::string>> settings{};
  std::string user = "postgres";
  std::string password{};
  std::string database = "postgres";
  std::vector<std::string> extensions{};
  std::optional<AuthMethod> auth{};
  std::chrono::milliseconds handshake_timeout{60'000};  // authentication_timeout, unless given
  bool self_signed_tls = false;
  std::optional<net::TlsFiles> tls_files{};
  std::string command{};                                // of --run
  std::optional<std::filesystem::path> init_scripts{};  // a directory, run after creation
  std::optional<PoolAddress> pool{};
  std::size_t pool_size = 500;  // databases of one template
  std::size_t pool_ahead = 8;   // those of them that are made before somebody asks
  int debug_level = 0;
  bool allow_programs = false;        // for COPY … PROGRAM
  std::optional<log::Options> log{};  // nothing: PostgreSQL's lines as they are
  bool exit_with_stdin = false;
  bool json_only = false;
  bool quiet = false;
};

struct SqlInput {
  enum class Kind { kCommand, kFile };
  Kind kind = Kind::kCommand;
  std::string text{};  // the SQL, or the file's name ("-" is stdin)
};

struct SqlOptions {
  ClusterLocation location{};
  std::optional<std::filesystem::path> from{};  // a snapshot file
  EngineKind engine = EngineKind::kPostgres;
  std::vector<SqlInput> inputs{};  // in the order given; empty: stdin
  std::vector<std::pair<std::string, std::string>> settings{};
  std::string user = "postgres";
  std::string password{};
  std::string database = "postgres";
  TableOptions table{};
  bool quiet = false;
  bool stop_on_error = false;
  bool single_transaction = false;
};

struct RestoreCommand {
  blob::StoreOptions store{};
  std::filesystem::path file{};
  std::optional<std::int64_t> at_ms{};  // since 1970
  bool quiet = false;
};

struct PortOptions {
  Result<ClusterLocation> location{};  // what is wrong with it is told in a packet
  std::vector<std::pair<std::string, std::string>> settings{};
  std::string user = "postgres";
  std::string database = "postgres";
  std::vector<std::string> extensions{};
  int debug_level = 0;
  bool raw = false;         // the bare protocol instead of packets
  std::string wasm_path{};  // PGLITE_WASM_PATH; not used
};

// `calf snapshot save`.
struct SnapshotSaveOptions {
  std::filesystem::path file{};
  std::filesystem::path directory{};
  bool quiet = false;
};

struct CheckOptions {
  std::filesystem::path directory{};  // absolute
  std::string branch{};               // of it; empty: the directory's own cluster
  std::string user = "postgres";      // a superuser
  bool json = false;
  bool quiet = false;
};

// A running server, and how to log in.
struct ServerUrl {
  std::string host = "127.0.0.1";  // beginning with '/': a socket's directory
  std::uint16_t port = 5432;
  std::string user = "postgres";
  std::string password{};
  std::string database = "postgres";
};

struct BranchOptions {
  enum class Verb { kCreate, kList, kDrop, kReset };
  Verb verb = Verb::kList;
  std::string name{};  // of a branch; empty for kList
  ServerUrl server{};
  bool json = false;
};

// `calf ready`.
struct ProbeOptions {
  std::string host = "127.0.0.1";  // beginning with '/': a socket's directory
  std::uint16_t port = 5432;
  // Need not exist: who is refused for them was answered.
  std::string user = "postgres";
  std::string database = "postgres";
  std::chrono::milliseconds timeout{3'000};
  bool quiet = false;
};

// Nothing to do but to print `text` and to leave with `exit_code`: --help, --version, a usage
// error.
struct PrintAndExit {
  std::string text{};
  int exit_code = 0;
};

using Command =
    std::variant<ServeOptions, SqlOptions, PortOptions, SnapshotSaveOptions, CheckOptions,
                 BranchOptions, RestoreCommand, ProbeOptions, PrintAndExit>;

// Reads `arguments` (without the program's name) and the environment. Never prints. Any thread.
Command parse_command_line(std::vector<std::string> arguments);

// "memory://", "memory://name", "file://path" or a path, which becomes absolute. kInvalidArgument
// for other schemes.
Result<ClusterLocation> parse_location(const std::string& text);

// "name=value" of -c.
Result<std::pair<std::string, std::string>> parse_setting(const std::string& text);

// "[HOST:]PORT" of --pool; "[::1]:5000" for IPv6.
Result<PoolAddress> parse_pool_address(const std::string& text);

// "postgresql://user:password@host:port/database?host=…&port=…&user=…&password=…&dbname=…", with
// `defaults` for what it leaves out. Other parameters are for other clients, but for an sslmode
// that asks for TLS: kUnsupported.
Result<ServerUrl> parse_server_url(const std::string& text, ServerUrl defaults);

// A PostgreSQL setting whose unit is the second: "30", "2s", "1500 ms", "1min". kInvalidArgument
// for what is not one or is less than a millisecond.
Result<std::chrono::milliseconds> parse_seconds(const std::string& text);

// A moment as milliseconds since 1970: "2026-03-01T12:00:00.5Z", "2026-03-01 12:00:00+02:00"; UTC
// when no offset is given. kInvalidArgument.
Result<std::int64_t> parse_time_ms(const std::string& text);

}  // namespace calf::cli
