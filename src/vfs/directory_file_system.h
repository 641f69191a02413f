// A directory of the host as a file system, confined to it: every path is resolved by the kernel's
// openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS), so no "..", symlink or race with another
// program leads out.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "os/files.h"
#include "vfs/file_system.h"

namespace calf::vfs {

class DirectoryFileSystem final : public FileSystem {
 public:
  struct Options {
    std::string path;                  // an existing directory of the host
    std::shared_ptr<os::Files> files;  // required; os::SystemFiles outside of simulations
    bool read_only = false;
  };

  // kNotFound and the like when the directory cannot be opened; kUnsupported on a kernel without
  // openat2 (before 5.6).
  static Result<std::unique_ptr<DirectoryFileSystem>> open(const Options& options);

  Expected<std::unique_ptr<File>> open(std::string_view path, const OpenOptions& options) override;
  Expected<Stat> stat(std::string_view path, Follow follow) override;
  Expected<void> mkdir(std::string_view path, uint32_t permissions) override;
  Expected<void> rmdir(std::string_view path) override;
  Expected<void> unlink(std::string_view path) override;
  Expected<void> rename(std::string_view from, std::string_view to) override;
  Expected<void> link(std::string_view from, std::string_view to) override;
  Expected<void> symlink(std::string_view target, std::string_view path) override;
  Expected<std::string> readlink(std::string_view path) override;
  Expected<void> chmod(std::string_view path, uint32_t permissions, Follow follow) override;
  Expected<void> set_times(std::string_view path, TimeChange access, TimeChange modify,
                           Follow follow) override;
  Expected<FsStat> statfs() override;
  bool read_only() const override { return read_only_; }

 private:
  struct Parent;  // a directory, opened, and the name in it that a path ends with

  DirectoryFileSystem(std::shared_ptr<os::Files> files, os::FileDescriptor root, bool read_only);
  Expected<void> open_parent(std::string_view path, Parent& out);
  Expected<os::FileDescriptor> open_node(std::string_view path, Follow follow);
  Expected<void> check_writable() const;

  std::shared_ptr<os::Files> files_;  // shared: the open files use it, too
  os::FileDescriptor root_;
  bool read_only_;
};

}  // namespace calf::vfs
