// ASSERT: for our own mistakes only, never for input, disk or peers. On in release builds.
#pragma once

#include <cstdio>
#include <cstdlib>

#define ASSERT(condition)                                                                    \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (0)
