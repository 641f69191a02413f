// The device files null, zero, urandom and random. Mount it at /dev.
#pragma once

#include <memory>

#include "os/random.h"
#include "vfs/file_system.h"

namespace calf::vfs {

class DeviceFileSystem final : public FileSystem {
 public:
  explicit DeviceFileSystem(std::shared_ptr<os::Random> random);

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
  bool read_only() const override { return true; }

 private:
  std::shared_ptr<os::Random> random_;  // shared with the open devices
};

}  // namespace calf::vfs
