#include "cli/ready.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/version.h"

namespace calf::cli {
namespace {

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string place(const ClusterLocation& location) {
  if (const auto* directory = std::get_if<DirectoryLocation>(&location))
    return directory->path.string();
  return "memory://" + std::get<MemoryLocation>(location).name;
}

}  // namespace

std::string client_host(const server::Endpoints& endpoints) {
  if (endpoints.tcp.empty()) {
    return endpoints.unix_sockets.empty() ? ""
                                          : endpoints.unix_sockets.front().parent_path().string();
  }
  const std::string& host = endpoints.tcp.front().host;
  if (host == "0.0.0.0") return "127.0.0.1";
  return host == "::" ? "::1" : host;
}

std::string connection_url(const ReadyInfo& info, UrlPassword password) {
  const std::string host = client_host(info.endpoints);
  std::string url = "postgresql://" + percent_encoded(info.options.user);
  if (password == UrlPassword::kInclude && !info.options.password.empty()) {
    url += ":" + percent_encoded(info.options.password);
  }
  const std::string port = std::to_string(info.endpoints.port);
  const std::string database = percent_encoded(info.options.database);
  if (host.starts_with('/')) {
    return url + "@/" + database + "?host=" + percent_encoded(host) + "&port=" + port;
  }
  return url + "@" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port +
         "/" + database;
}

std::string ready_json(const ReadyInfo& info) {
  nlohmann::ordered_json json = {{"id", "ready"},
                                 {"success", true},
                                 {"port", info.endpoints.port},
                                 {"host", client_host(info.endpoints)},
                                 {"user", info.options.user},
                                 {"database", info.options.database},
                                 {"url", connection_url(info, UrlPassword::kLeaveOut)},
                                 {"location", place(info.options.location)},
                                 {"pid", ::getpid()},
                                 {"version", kVersion}};
  for (const auto& path : info.endpoints.unix_sockets) json["sockets"].push_back(path.string());
  if (!info.tls_fingerprint.empty()) json["tls_fingerprint"] = info.tls_fingerprint;
  if (!info.pool_url.empty()) json["pool"] = info.pool_url;
  return dump(json);
}

std::string failure_json(const Error& error) {
  return dump({{"success", false}, {"error", error.to_string()}});
}

std::string ready_text(const ReadyInfo& info) {
  const bool is_sqlite = info.options.engine == EngineKind::kSqlite;
  std::string text = "Calf " + std::string(kVersion) + ", " +
                     (is_sqlite ? "SQLite" : "PostgreSQL 18") + ", data in " +
                     place(info.options.location);
  if (std::holds_alternative<MemoryLocation>(info.options.location)) {
    text += " (gone when this ends)";
  }
  for (const net::Address& address : info.endpoints.tcp)
    text += "\nlistening on " + address.to_string();
  for (const auto& path : info.endpoints.unix_sockets) text += "\nlistening on " + path.string();
  if (!info.tls_fingerprint.empty()) {
    text += "\nTLS with a certificate made now, SHA-256 " + info.tls_fingerprint;
  }
  if (!info.pool_url.empty())
    text += "\ntest databases for IntegreSQL's clients at " + info.pool_url;
  return text + "\ndatabase system is ready to accept connections\n\n    psql '" +
         connection_url(info, UrlPassword::kLeaveOut) + "'\n\n";
}

std::vector<std::pair<std::string, std::string>> child_environment(const ReadyInfo& info) {
  std::vector<std::pair<std::string, std::string>> variables = {
      {"DATABASE_URL", connection_url(info, UrlPassword::kInclude)},
      {"PGHOST", client_host(info.endpoints)},
      {"PGPORT", std::to_string(info.endpoints.port)},
      {"PGUSER", info.options.user},
      {"PGDATABASE", info.options.database}};
  if (!info.options.password.empty()) variables.emplace_back("PGPASSWORD", info.options.password);
  if (!info.pool_url.empty()) {
    variables.emplace_back("INTEGRESQL_CLIENT_BASE_URL", info.pool_url);
  }
  return variables;
}

}  // namespace calf::cli
