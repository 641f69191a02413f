// What --version prints.
#pragma once

#include <string_view>

namespace calf::cli {

#ifndef CALF_VERSION
#error "CALF_VERSION is set by CMake"
#endif
constexpr std::string_view kVersion = CALF_VERSION;
constexpr std::string_view kVersionText = "calf " CALF_VERSION " (PostgreSQL 18)";

}  // namespace calf::cli
