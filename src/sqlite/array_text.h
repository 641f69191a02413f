// Arrays: stored as JSON, read and printed as PostgreSQL's {1,2,NULL}.
#pragma once

#include <string>
#include <string_view>

#include "sqlite/datum.h"

namespace calf::sqlite {

// "{1,2}" -> "[1,2]". Raises 22P02; 0A000 for more than one dimension.
std::string read_array_text(std::string_view text, Type array, const ConversionContext& context);
std::string array_text(std::string_view stored, Oid element, const ConversionContext& context);

// Raises 22021 for what is not UTF-8, or has a NUL.
void check_utf8(std::string_view text);

// varchar(n), char(n), name: cut or padded; 22001 unless `explicitly`.
std::string fit_string(std::string text, Type type, bool explicitly);

}  // namespace calf::sqlite
