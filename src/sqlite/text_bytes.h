// Bytes as text: UTF-8 of a code point, hexadecimal digits of bytes.
#pragma once

#include <string>
#include <string_view>

namespace calf::sqlite {

// `code_point` is one of Unicode; that it is none of a surrogate pair is the caller's business.
void append_utf8(std::string& out, unsigned code_point);

// Two lower-case digits for each byte.
std::string hex(std::string_view bytes);

}  // namespace calf::sqlite
