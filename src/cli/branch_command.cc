#include "cli/branch_command.h"

#include <chrono>
#include <cstdio>

#include "cli/sql_printer.h"
#include "client/session.h"
#include "client/socket_client.h"

namespace calf::cli {
namespace {

using namespace std::chrono_literals;
using Verb = BranchOptions::Verb;

constexpr auto kTimeout = 60s;  // of the login, and of the statement
constexpr int kRefused = 1;
constexpr int kNoServer = 2;

std::string sql_of(const BranchOptions& options) {
  const std::string name = client::quote_literal(options.name);
  const auto call = [&](const std::string& function, const std::string& text,
                        const std::string& json) {
    return "select " + (options.json ? "json_build_object('name', " + name + json + ")" : text) +
           " from calf." + function + "(" + name + ") as database";
  };
  switch (options.verb) {
    case Verb::kCreate:
      return call("branch", "database", ", 'database', database");
    case Verb::kDrop:
      return call("drop_branch", name, "");
    case Verb::kReset:
      return call("reset_branch", name, "");
    case Verb::kList:
      break;
  }
  return options.json ? "select coalesce(json_agg(b order by name), '[]') from calf.branches() b"
                      : "select * from calf.branches() order by name";
}

// A list is a table, the rest one line: the database to connect to, or the branch's name.
SqlOptions printer_options(const BranchOptions& options) {
  SqlOptions printer;
  printer.quiet = true;
  if (options.verb == Verb::kList && !options.json) return printer;
  printer.table = {.format = TableFormat::kUnaligned, .tuples_only = true};
  return printer;
}

int failed(const Error& error) {
  std::fprintf(stderr, "calf: %s\n", error.message.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "HINT:  %s\n", error.hint.c_str());
  return kNoServer;
}

}  // namespace

int run_branch(const BranchOptions& options) {
  const ServerUrl& server = options.server;
  auto pipe =
      client::connect_socket(server.host, server.port, client::Session::Clock::now() + kTimeout);
  if (!pipe) return failed(pipe.error());
  auto session = client::Session::connect(std::move(*pipe), {.user = server.user,
                                                             .database = server.database,
                                                             .password = server.password,
                                                             .application_name = "calf branch",
                                                             .timeout = kTimeout});
  if (!session) return failed(session.error());
  const SqlOptions how = printer_options(options);
  SqlPrinter printer(how, {.in = stdin, .out = stdout, .err = stderr});
  const std::string sql = sql_of(options);
  printer.begin("", "", {});
  const auto outcome = (*session)->query(sql, printer);
  if (!outcome) return failed(outcome.error());
  return outcome->failed ? kRefused : 0;
}

}  // namespace calf::cli
