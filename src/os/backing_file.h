// The file that a constant of this program was loaded from, so that it can be mapped a second time
// at another place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace calf::os {

struct BackingFile {
  int fd = -1;          // open for reading, kept by `owner`
  uint64_t offset = 0;  // where the bytes are in it
  std::shared_ptr<const void> owner;
};

// `bytes` must be read-only data of the executable or of a shared library. Nothing when the file
// cannot be found or opened, or has other bytes there (it was replaced while the program runs): the
// caller copies then. Only the first page is compared. Any thread.
std::optional<BackingFile> find_backing_file(std::span<const std::byte> bytes);

}  // namespace calf::os
