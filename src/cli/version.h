// What --version prints.
#pragma once

#include <string_view>

namespace calf::cli {

#ifndef CALF_VERSION
#error "CALF_VERSION is set by CMake"
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CALF_BUILD_KIND "; sanitizers: address,undefined"
#elif __has_feature(thread_sanitizer)
#define CALF_BUILD_KIND "; sanitizers: thread"
#endif
#endif
#ifndef CALF_BUILD_KIND
#define CALF_BUILD_KIND ""
#endif
constexpr std::string_view kVersion = CALF_VERSION;
constexpr std::string_view kVersionText =
    "calf " CALF_VERSION " (PostgreSQL 18" CALF_BUILD_KIND ")";

}  // namespace calf::cli
