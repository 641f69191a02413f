// What `calf check` has found, for people and for programs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace calf::cli {

struct CheckProblem {
  std::string where{};     // "control file", "page", "table", "index", "database" or "cluster"
  std::string database{};  // empty: of no database, or not known
  std::string relation{};  // qualified name; empty: not known
  std::string file{};      // in the data directory; empty: not known
  std::optional<uint64_t> block{};
  std::string message{};
};

struct CheckReport {
  std::string directory;
  std::string branch;      // empty: the directory's own cluster
  std::string state;       // pg_control's, when the check began; empty: not readable
  bool recovered = false;  // it had not been shut down
  bool page_checksums = true;
  uint64_t files = 0;
  uint64_t pages = 0;
  uint64_t databases = 0;
  uint64_t tables = 0;
  uint64_t indexes = 0;
  std::vector<CheckProblem> problems;
  std::vector<std::string> leftovers;  // files of no relation, with pages that are not sound
  uint64_t problems_not_listed = 0;

  [[nodiscard]] bool sound() const { return problems.empty(); }
};

// Several lines.
std::string check_text(const CheckReport& report);

// One line with its line feed.
std::string check_json(const CheckReport& report);

}  // namespace calf::cli
