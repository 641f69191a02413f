// Names of branches, and how a client asks for one: DATABASE@BRANCH.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace calf::branches {

// 1 to 63 letters, digits, '_', '-' and '.', not beginning with '.' or '-': a name fits into a URL,
// a file name and a command line as it is.
bool is_branch_name(std::string_view name);

// What a startup packet (without its length) asks for.
struct Wish {
  std::string branch;
  std::vector<std::byte> packet;  // the same, for the database without "@BRANCH"
};
// Nothing when its database has no '@' that a branch's name follows. Any packet is safe to look at.
std::optional<Wish> find_wish(const std::vector<std::byte>& packet);

}  // namespace calf::branches
