// global/pg_control of a stopped cluster: what it says, and whether it can be believed.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "vfs/file_system.h"

namespace calf::pgfiles {

inline constexpr const char* kControlFile = "global/pg_control";

// RELSEG_SIZE of every usual build: files of 1 GB.
inline constexpr uint32_t kUsualSegmentPages = 131072;

struct ControlFile {
  uint64_t system_identifier = 0;
  bool clean_shutdown = false;  // else the next start recovers
  std::string state{};          // as pg_controldata says it
  bool data_checksums = false;
  uint32_t page_bytes = 0;
  uint32_t segment_pages = 0;  // of a relation's file
};

// `data` is the data directory. kDataCorrupted when its CRC is wrong or it is of another version,
// kIo when it cannot be read. Any thread that may use `data`.
Result<ControlFile> read_control_file(vfs::FileSystem& data);

}  // namespace calf::pgfiles
