// Taking paths apart. Purely textual: nothing here looks at files.
#pragma once

#include <string>
#include <string_view>

#include "vfs/types.h"

namespace calf::vfs {

// Cuts the first component off `rest` and returns it; slashes before it are skipped, those after it
// stay. Empty when there is none left.
[[nodiscard]] inline std::string_view take_component(std::string_view& rest) {
  size_t begin = rest.find_first_not_of('/');
  if (begin == std::string_view::npos) {
    rest = {};
    return {};
  }
  rest.remove_prefix(begin);
  size_t end = rest.find('/');
  if (end == std::string_view::npos) end = rest.size();
  std::string_view component = rest.substr(0, end);
  rest.remove_prefix(end);
  return component;
}

// Does `path` have a component ".."? Then it cannot be shortened without looking at symlinks.
[[nodiscard]] inline bool has_dot_dot(std::string_view path) {
  for (size_t at = path.find(".."); at != std::string_view::npos; at = path.find("..", at + 2)) {
    bool starts = at == 0 || path[at - 1] == '/';
    bool ends = at + 2 == path.size() || path[at + 2] == '/';
    if (starts && ends) return true;
  }
  return false;
}

// Is `path` a plain path of a tree: not empty, no leading, trailing or double slash, no "." or ".."
// component?
[[nodiscard]] inline bool is_plain(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.back() == '/') return false;
  if (path.find("//") != std::string_view::npos) return false;
  for (std::string_view rest = path; !rest.empty();) {
    std::string_view component = take_component(rest);
    if (component == "." || component == ".." || component.size() > kMaxName) return false;
  }
  return path.find('\0') == std::string_view::npos;
}

}  // namespace calf::vfs
