// Whole-file helpers over os::Files for this module and its users: read and write everything,
// restarting short transfers, with errors that name the path.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "base/result.h"
#include "os/files.h"

namespace calf::blob {

// Holds no state; any thread.
os::Files& host_files();

Result<os::FileDescriptor> open_file(const std::filesystem::path& path, int flags,
                                     mode_t mode = 0600);
Result<std::uint64_t> file_size(const os::FileDescriptor& file, const std::filesystem::path& path);

// Up to `bytes.size()` bytes; fewer only at the end of the file.
Result<std::size_t> read_at(const os::FileDescriptor& file, const std::filesystem::path& path,
                            std::uint64_t offset, std::span<char> bytes);
Result<void> write_at(const os::FileDescriptor& file, const std::filesystem::path& path,
                      std::uint64_t offset, std::string_view bytes);
Result<void> sync(const os::FileDescriptor& file, const std::filesystem::path& path);

// Makes the names in a directory durable.
Result<void> sync_directory(const std::filesystem::path& directory);

// Atomic: beside, synced, renamed. `max_bytes` of read_file bounds what is taken into memory
// (kResourceExhausted).
Result<void> write_file(const std::filesystem::path& path, std::string_view bytes);
Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes);

// `prefix` and 16 random hexadecimal digits.
std::string random_name(std::string_view prefix);

}  // namespace calf::blob
