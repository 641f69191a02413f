// libcurl's functions, found at run time. Internal to this module.
#pragma once

#include <curl/curl.h>

#include "base/result.h"

// curl.h turns these into checking macros around the real functions.
#undef curl_easy_setopt
#undef curl_easy_getinfo

namespace calf::blob {

struct CurlLibrary {
  decltype(&::curl_global_init) global_init = nullptr;
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&::curl_easy_perform) easy_perform = nullptr;
  decltype(&::curl_easy_reset) easy_reset = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
};

// Loads and initialises it once; stays for the life of the program. Any thread. kUnavailable.
Result<const CurlLibrary*> curl_library();

}  // namespace calf::blob
