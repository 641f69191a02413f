// A data directory of the host: created whole or not at all, and owned by one running program at a
// time.
#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "os/files.h"

namespace calf::node {

// Makes a data directory from the template, beside `path` and then renamed, all of it durable:
// whoever looks, also after a power cut at any moment, finds a whole cluster or none. `path` must
// be missing or an empty directory; missing parents are made. kAlreadyExists when somebody else was
// faster. Any thread; blocks for the time of writing some 25 MB.
Result<void> create_data_directory(const std::shared_ptr<os::Files>& files,
                                   const std::filesystem::path& path);

// Held as long as the object lives; given back by the operating system when the process dies.
class DataDirectory {
 public:
  struct Opened {
    std::unique_ptr<DataDirectory> directory;
    bool created = false;  // made by this call, from the template
  };
  // Creates `path` (beside, then renamed) if it is missing or empty, and locks it. Errors:
  // kUnavailable when another program has it, naming the owner; kInvalidArgument when it is there
  // but no cluster of this version; kPermissionDenied; kIo. Blocks for the time of writing some 25
  // MB when it creates. Any thread.
  static Result<Opened> open(const std::filesystem::path& path);

  // Locks a directory that holds a cluster; never creates one: kNotFound.
  static Result<std::unique_ptr<DataDirectory>> own(const std::filesystem::path& path);

  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  DataDirectory(std::filesystem::path path, int lock_fd)
      : path_(std::move(path)), lock_fd_(lock_fd) {}
  std::filesystem::path path_;
  int lock_fd_;
};

}  // namespace calf::node
