#include "cli/check_report.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>

namespace calf::cli {
namespace {

// "base/5/16384 block 3 (public.account in postgres): message"
std::string line_of(const CheckProblem& problem) {
  std::string place = problem.file.empty() ? problem.where : problem.file;
  if (problem.file.empty() && !problem.relation.empty()) place += " " + problem.relation;
  if (problem.block) place += fmt::format(" block {}", *problem.block);
  std::string owner = problem.file.empty() ? "" : problem.relation;
  if (!problem.database.empty())
    owner += (owner.empty() ? "database " : " in database ") + problem.database;
  if (!owner.empty()) place += " (" + owner + ")";
  return place + ": " + problem.message;
}

}  // namespace

std::string check_text(const CheckReport& report) {
  std::string text;
  if (report.recovered)
    text += fmt::format("was not shut down ({}): recovered first\n", report.state);
  if (!report.page_checksums)
    text += "data checksums are off in this cluster: pages are read, but not verified\n";
  text += fmt::format("{} files with {} pages, {} databases with {} tables and {} indexes\n",
                      report.files, report.pages, report.databases, report.tables, report.indexes);
  for (const CheckProblem& problem : report.problems) text += line_of(problem) + "\n";
  for (const std::string& file : report.leftovers)
    text += file + " belongs to no table: a crash has left it; what is in it does not matter\n";
  if (report.sound()) return text + "no problems found\n";
  const uint64_t found = report.problems.size() + report.problems_not_listed;
  if (report.problems_not_listed > 0)
    text += fmt::format("… and {} more in these files\n", report.problems_not_listed);
  return text + fmt::format("{} problem{} found\n", found, found == 1 ? "" : "s");
}

std::string check_json(const CheckReport& report) {
  nlohmann::ordered_json problems = nlohmann::ordered_json::array();
  for (const CheckProblem& each : report.problems) {
    nlohmann::ordered_json problem = {{"where", each.where}, {"message", each.message}};
    if (!each.database.empty()) problem["database"] = each.database;
    if (!each.relation.empty()) problem["relation"] = each.relation;
    if (!each.file.empty()) problem["file"] = each.file;
    if (each.block) problem["block"] = *each.block;
    problems.push_back(std::move(problem));
  }
  const auto branch =
      report.branch.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(report.branch);
  const nlohmann::ordered_json json = {{"success", report.sound()},
                                       {"directory", report.directory},
                                       {"branch", branch},
                                       {"state", report.state},
                                       {"recovered", report.recovered},
                                       {"page_checksums", report.page_checksums},
                                       {"files", report.files},
                                       {"pages", report.pages},
                                       {"databases", report.databases},
                                       {"tables", report.tables},
                                       {"indexes", report.indexes},
                                       {"problems", std::move(problems)},
                                       {"leftovers", report.leftovers},
                                       {"problems_not_listed", report.problems_not_listed}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace calf::cli
