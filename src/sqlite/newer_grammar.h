// What PostgreSQL's grammar has learnt since libpg_query's: the end of MERGE. It is taken out of
// the text before the text is parsed, and told beside the tree.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

namespace calf::sqlite {

class Script;

struct MergeExtras {
  std::set<int> by_source{};                  // WHEN clauses (from 1) of NOT MATCHED BY SOURCE
  std::shared_ptr<const Script> returning{};  // SELECT with the list of RETURNING; nullptr: none
};

struct OlderMerge {
  std::string sql;  // as long as it was
  MergeExtras extras;
};

// A MERGE that the parser knows, made of one that it does not. Nothing: it is none.
std::optional<OlderMerge> older_merge(const std::string& sql);

}  // namespace calf::sqlite
