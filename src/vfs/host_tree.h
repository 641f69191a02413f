// Trees of the host's files by descriptors: walking, syncing and removing them; small files.
// Nothing here follows a symlink.
#pragma once

#include <functional>
#include <string>

#include "os/files.h"
#include "vfs/types.h"

namespace calf::vfs {

struct HostEntry {
  std::string name;
  FileKind kind = FileKind::kRegular;  // kPipe for whatever is no file, directory or symlink
  uint64_t inode = 0;
};

// Calls `visit` for each entry of an open directory but "." and "..". The directory may lose the
// entry that is being visited, and gain none.
Expected<void> each_entry(os::Files& files, int directory,
                          const std::function<Expected<void>(const HostEntry&)>& visit);

Expected<os::FileDescriptor> open_directory(os::Files& files, int parent, const std::string& name);

// Removes `name` and all that is in it. Nothing when it is not there.
Expected<void> remove_tree(os::Files& files, int parent, const std::string& name);

// Makes names durable, in a directory and below.
Expected<void> sync_names(os::Files& files, int directory);

// The first 4 KiB.
Expected<std::string> read_small_file(os::Files& files, int directory, const char* name,
                                      os::Resolve resolve);
// A new file, not synced.
Expected<void> write_small_file(os::Files& files, int directory, const char* name,
                                std::string text);

}  // namespace calf::vfs
