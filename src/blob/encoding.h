// Text forms that the services' protocols need: hexadecimal, base64, percent encoding, digests,
// times. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace calf::blob {

std::string hex(std::string_view bytes);
std::string base64(std::string_view bytes);
// kInvalidArgument, which does not show the text: it may be a key.
Result<std::string> from_base64(std::string_view text);

std::string sha256(std::string_view bytes);  // 32 bytes
std::string hmac_sha256(std::string_view key, std::string_view text);

// RFC 3986: all but letters, digits, "-._~" as %XX; in a path "/" stays.
enum class Slash { kEncode, kKeep };
std::string percent_encode(std::string_view text, Slash slash = Slash::kEncode);
std::string percent_decode(std::string_view text);

// "name=value&…", encoded, ascending by encoded name and value.
using Query = std::vector<std::pair<std::string, std::string>>;
std::string canonical_query(const Query& query);

std::string amazon_time(std::int64_t unix_seconds);  // "20130524T000000Z"
std::string http_time(std::int64_t unix_seconds);    // "Fri, 24 May 2013 00:00:00 GMT"
// "2013-05-24T00:00:00Z", fractions ignored. kInvalidArgument.
Result<std::int64_t> parse_iso_time(const std::string& text);

}  // namespace calf::blob
