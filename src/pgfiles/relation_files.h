// The files of tables and indexes in a stopped cluster's data directory, and whether their pages
// are sound. Knows names, forks, segments and checksums; not what is on the pages.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pgfiles/control_file.h"

namespace calf::pgfiles {

struct RelationFile {
  std::string path;           // in the data directory: base/5/16384_fsm.1
  std::string directory;      // base/5
  uint32_t database = 0;      // OID; 0: shared by all (global)
  uint32_t tablespace = 0;    // OID; 0: the default one
  uint32_t file_number = 0;   // 16384
  std::string fork = "main";  // or fsm, vm, init
  uint32_t segment = 0;       // 1
  uint64_t size_bytes = 0;
};

// "16384_fsm.1"; nothing when a name is not that of a relation's file. Fills in what a name tells.
std::optional<RelationFile> parse_file_name(std::string_view name);

struct FileProblem {
  RelationFile file;
  std::optional<uint32_t> block;  // in its fork, as PostgreSQL counts
  std::string message;
};

// All of them, in order. kIo.
Result<std::vector<RelationFile>> list_relation_files(vfs::FileSystem& data);

struct PageCheck {
  uint64_t pages = 0;
  std::vector<FileProblem> problems;
  uint64_t problems_not_listed = 0;  // more in one file than anybody wants to read
};

// Reads every page of `files`. `progress(bytes done)` is called now and then, and stops the check
// by returning false (kCancelled). Blocks; any thread that may use `data`.
Result<PageCheck> check_pages(vfs::FileSystem& data, const ControlFile& control,
                              const std::vector<RelationFile>& files,
                              const std::function<bool(uint64_t)>& progress);

}  // namespace calf::pgfiles
