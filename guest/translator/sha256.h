// SHA-256 (FIPS 180-4), for cache keys.
#pragma once

#include <string>
#include <string_view>

namespace calf::translator {

// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

}  // namespace calf::translator
