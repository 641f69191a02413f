// PostgreSQL's server encodings by name (src/include/mb/pg_wchar.h, src/common/encnames.c).
#pragma once

#include <optional>
#include <string_view>

namespace calf::initdb {

inline constexpr int kUtf8 = 6;

// The number of a server encoding; upper and lower case and punctuation do not matter ("utf-8",
// "ISO_8859-1").
std::optional<int> server_encoding(std::string_view name);

}  // namespace calf::initdb
