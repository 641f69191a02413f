#include "branches/branch_name.h"

#include <algorithm>
#include <span>

namespace calf::branches {

bool is_branch_name(std::string_view name) {
  constexpr size_t kLongest = 63;  // as PostgreSQL's names
  if (name.empty() || name.size() > kLongest || name.front() == '.' || name.front() == '-')
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

std::optional<Wish> find_wish(const std::vector<std::byte>& packet) {
  constexpr size_t kProtocolBytes = 4;
  std::string_view left(reinterpret_cast<const char*>(packet.data()), packet.size());
  left.remove_prefix(std::min(kProtocolBytes, left.size()));
  auto take = [&left]() -> std::optional<std::string_view> {
    const size_t end = left.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view text = left.substr(0, end);
    left.remove_prefix(end + 1);
    return text;
  };
  std::optional<std::string_view> database;  // the last one wins, as in PostgreSQL
  for (;;) {
    const auto name = take();
    if (!name || name->empty()) break;
    const auto value = take();
    if (!value) break;
    if (*name == "database") database = value;
  }
  const size_t at = database ? database->rfind('@') : std::string_view::npos;
  if (at == std::string_view::npos || !is_branch_name(database->substr(at + 1)))
    return std::nullopt;
  Wish wish{.branch = std::string(database->substr(at + 1)), .packet = packet};
  const auto begin = wish.packet.begin() +
                     (reinterpret_cast<const std::byte*>(database->data()) - packet.data()) +
                     static_cast<ptrdiff_t>(at);
  wish.packet.erase(begin, begin + static_cast<ptrdiff_t>(database->size() - at));
  return wish;
}

}  // namespace calf::branches
