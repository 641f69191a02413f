// Compiles generated C files in parallel and archives them, reusing objects from a cache that is
// keyed by content.
#pragma once

#include <string>
#include <vector>

namespace calf::translator {

struct CompileOptions {
  std::string sources;  // directory with the .c files
  std::vector<std::string>
      includes;          // headers whose content counts into every key (prelude.h, calf_abi.h)
  std::string compiler;  // e.g. "clang-19"
  std::string archiver;  // e.g. "llvm-ar-19"
  std::vector<std::string> flags;
  std::string profile;  // an indexed profile for -fprofile-use; empty: none. Its content counts
                        // into every key
  std::string cache;    // directory shared by all checkouts
  std::string library;  // the static library to write
  unsigned jobs = 2;
};

// Throws TranslateError if a compiler fails. Cache entries appear by rename, so that several builds
// may share it.
void compile_sources(const CompileOptions& options);

}  // namespace calf::translator
