// What `calf serve` tells people and programs when clients may come, and when they may not.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/options.h"
#include "server/server.h"

namespace calf::cli {

struct ReadyInfo {
  const ServeOptions& options;
  const server::Endpoints& endpoints;
  std::string tls_fingerprint;  // of a self-signed certificate; empty otherwise
  std::string pool_url{};       // of --pool; empty otherwise
};

// "postgresql://user@host:port/database". The password is included for a child command only, never
// printed.
enum class UrlPassword { kLeaveOut, kInclude };
std::string connection_url(const ReadyInfo& info, UrlPassword password);

// {"id":"ready","success":true,"port":…}, one line with its line feed.
std::string ready_json(const ReadyInfo& info);

// {"success":false,"error":"…"}, one line with its line feed.
std::string failure_json(const Error& error);

// "database system is ready to accept connections" and how to connect.
std::string ready_text(const ReadyInfo& info);

// Where a client on this machine connects: loopback for "every address", else the first address,
// else the first socket's directory.
std::string client_host(const server::Endpoints& endpoints);

// INTEGRESQL_CLIENT_BASE_URL of --pool, and DATABASE_URL, PGHOST, PGPORT, PGUSER, PGDATABASE, and
// PGPASSWORD when there is one.
std::vector<std::pair<std::string, std::string>> child_environment(const ReadyInfo& info);

}  // namespace calf::cli
