// ErrorResponse and NoticeResponse as psql prints them.
#pragma once

#include <string>
#include <string_view>

#include "pgwire/frontend.h"

namespace calf::cli {

// "ERROR:  …", then, where there is one, the line of `sql` with a caret, DETAIL, HINT, QUERY and
// (for errors) CONTEXT. Ends in a line feed. As pqBuildErrorMessage3 in
// src/interfaces/libpq/fe-protocol3.c.
std::string report_text(const pgwire::Report& report, std::string_view sql);

}  // namespace calf::cli
