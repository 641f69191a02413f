// Windows: what stands behind OVER, partitions, order and frame.
#include <algorithm>

#include "sqlite/analyzer.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

// PostgreSQL's frameOptions bits.
enum Frame : int {
  kNonDefault = 0x1,
  kRange = 0x2,
  kRows = 0x4,
  kGroups = 0x8,
  kBetween = 0x10,
  kStartUnboundedPreceding = 0x20,
  kEndUnboundedPreceding = 0x40,
  kStartUnboundedFollowing = 0x80,
  kEndUnboundedFollowing = 0x100,
  kStartCurrent = 0x200,
  kEndCurrent = 0x400,
  kStartPreceding = 0x800,
  kEndPreceding = 0x1000,
  kStartFollowing = 0x2000,
  kEndFollowing = 0x4000,
  kExcludeCurrent = 0x8000,
  kExcludeGroup = 0x10000,
  kExcludeTies = 0x20000,
};

}  // namespace

std::string Analyzer::over_clause(const pg::WindowDef& window, Scope& scope) {
  if (given(window.name)) {
    for (const auto& [name, definition] : scope.windows) {
      if (name == window.name) return window_body(*definition, scope);
    }
    raise_at(window.location, "42704",
             std::string("window \"") + window.name + "\" does not exist");
  }
  return window_body(window, scope);
}

std::string Analyzer::window_body(const pg::WindowDef& window, Scope& scope) {
  std::string out;
  if (given(window.refname)) {
    const auto found = std::find_if(scope.windows.begin(), scope.windows.end(),
                                    [&](const auto& w) { return w.first == window.refname; });
    if (found == scope.windows.end())
      raise_at(window.location, "42704",
               std::string("window \"") + window.refname + "\" does not exist");
    out = window_body(*found->second, scope);
  }
  std::string part;
  for (const pg::Node* item : CALF_LIST(&window, partition_clause)) {
    Expr value = expr(*item, scope);
    if (value.unknown()) value = coerce(std::move(value), {oid::kText}, CastContext::kImplicit);
    part += (part.empty() ? " PARTITION BY " : ", ") + collated(value);
  }
  out += part;
  std::string order;
  for (const pg::Node* item : CALF_LIST(&window, order_clause)) {
    const Expr value = expr(*item->sort_by->node, scope);
    order += (order.empty() ? " ORDER BY " : ", ") +
             order_term(*item->sort_by, value.sql, value.type, value.not_null && !scope.outer_join);
  }
  out += order;
  const int f = window.frame_options;
  if ((f & kNonDefault) == 0) return out;
  const auto offset = [&](const pg::Node* node) {
    if ((f & kRange) != 0) unsupported("RANGE with an offset", window.location);
    return coerce(expr(*node, scope), {oid::kInt8}, CastContext::kImplicit).sql;
  };
  out += (f & kRows) != 0 ? " ROWS" : (f & kGroups) != 0 ? " GROUPS" : " RANGE";
  out += " BETWEEN ";
  out += (f & kStartUnboundedPreceding) != 0 ? "UNBOUNDED PRECEDING"
         : (f & kStartCurrent) != 0          ? "CURRENT ROW"
         : (f & kStartPreceding) != 0        ? offset(window.start_offset) + " PRECEDING"
                                             : offset(window.start_offset) + " FOLLOWING";
  out += " AND ";
  out += (f & kEndUnboundedFollowing) != 0 ? "UNBOUNDED FOLLOWING"
         : (f & kEndPreceding) != 0        ? offset(window.end_offset) + " PRECEDING"
         : (f & kEndFollowing) != 0        ? offset(window.end_offset) + " FOLLOWING"
                                           : "CURRENT ROW";
  if ((f & kExcludeCurrent) != 0) out += " EXCLUDE CURRENT ROW";
  if ((f & kExcludeGroup) != 0) out += " EXCLUDE GROUP";
  if ((f & kExcludeTies) != 0) out += " EXCLUDE TIES";
  return out;
}

}  // namespace calf::sqlite
