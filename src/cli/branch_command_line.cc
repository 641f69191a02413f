#include "cli/branch_command_line.h"

#include <initializer_list>
#include <tuple>

#include "cli/option_values.h"

namespace calf::cli {
namespace {

constexpr const char* kExamples =
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

}  // namespace

BranchCommandLine::BranchCommandLine(CLI::App& app)
    : app_(app.add_subcommand("branch", "Copies of a running server's databases")) {
  using Verb = BranchOptions::Verb;
  app_->set_help_flag("--help", "Show this text");
  app_->footer(kExamples);
  app_->require_subcommand(1);
  const std::initializer_list<std::tuple<const char*, Verb, const char*>> verbs = {
      {"create", Verb::kCreate, "Make a branch of the cluster that the URL's database is in"},
      {"list", Verb::kList, "All branches of the server"},
      {"drop", Verb::kDrop, "End a branch's sessions and delete it"},
      {"reset", Verb::kReset, "End a branch's sessions and make it anew from its parent"}};
  for (const auto& [name, verb, about] : verbs) {
    CLI::App* one = app_->add_subcommand(name, about);
    one->set_help_flag("--help", "Show this text");
    one->footer(kExamples);
    if (verb != Verb::kList) one->add_option("NAME", options_.name, "The branch")->required();
    one->add_option("--url", url_, "The server, postgresql://user@host:port/database (PGHOST, …)");
    one->add_flag("--json", options_.json, "Machine-readable output");
    one->callback([this, chosen = verb] { options_.verb = chosen; });
  }
}

Result<BranchOptions> BranchCommandLine::finish() const {
  BranchOptions options = options_;
  ServerUrl server{.host = environment({"PGHOST"}, "127.0.0.1"),
                   .user = environment({"PGUSER"}, "postgres"),
                   .password = environment({"PGPASSWORD"}),
                   .database = environment({"PGDATABASE"}, "postgres")};
  const std::string port = environment({"PGPORT"}, "5432");
  CALF_TRY(options.server, parse_server_url("postgresql://?port=" + port, std::move(server)));
  if (!url_.empty()) {
    CALF_TRY(options.server, parse_server_url(url_, std::move(options.server)));
  }
  return options;
}

}  // namespace calf::cli
