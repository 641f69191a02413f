#include "vfs/device_file_system.h"

#include <cstring>
#include <iterator>

#include "vfs/path.h"

namespace calf::vfs {
namespace {

enum class Device : uint8_t { kDirectory, kNull, kZero, kRandom };

struct DeviceName {
  std::string_view name;
  Device device;
};
constexpr DeviceName kDevices[] = {{"null", Device::kNull},
                                   {"zero", Device::kZero},
                                   {"urandom", Device::kRandom},
                                   {"random", Device::kRandom}};

Expected<Device> find_device(std::string_view path) {
  Device at = Device::kDirectory;
  for (std::string_view rest = path;;) {
    std::string_view component = take_component(rest);
    if (component.empty()) return at;
    if (component.size() > kMaxName) return fail(Errno::kNameTooLong);
    if (at != Device::kDirectory) return fail(Errno::kNotDirectory);
    if (component == ".") continue;
    if (component == "..") return fail(Errno::kCrossDevice);
    for (const DeviceName& known : kDevices)
      if (known.name == component) at = known.device;
    if (at == Device::kDirectory) return fail(Errno::kNoEntry);
  }
}

Stat stat_of(Device device) {
  if (device == Device::kDirectory)
    return {.kind = FileKind::kDirectory, .permissions = 0755, .links = 2, .inode = 1};
  return {.kind = FileKind::kCharacterDevice,
          .permissions = 0666,
          .inode = 1 + static_cast<uint64_t>(device)};
}

class DeviceFile final : public File {
 public:
  DeviceFile(Device device, Access access, std::shared_ptr<os::Random> random)
      : device_(device), access_(access), random_(std::move(random)) {}

  FileKind kind() const override { return stat_of(device_).kind; }

  Expected<size_t> preadv(std::span<const iovec> buffers, uint64_t) override {
    if (device_ == Device::kDirectory) return fail(Errno::kIsDirectory);
    if (access_ == Access::kWrite) return fail(Errno::kBadFd);
    if (device_ == Device::kNull) return 0;
    size_t total = 0;
    for (const iovec& v : buffers) {
      if (device_ == Device::kZero)
        std::memset(v.iov_base, 0, v.iov_len);
      else
        random_->fill({static_cast<std::byte*>(v.iov_base), v.iov_len});
      total += v.iov_len;
    }
    return total;
  }
  Expected<size_t> pwritev(std::span<const iovec> buffers, uint64_t) override {
    if (access_ == Access::kRead) return fail(Errno::kBadFd);
    size_t total = 0;
    for (const iovec& v : buffers) total += v.iov_len;
    return total;
  }
  Expected<size_t> append(std::span<const iovec> buffers) override { return pwritev(buffers, 0); }
  Expected<Stat> stat() override { return stat_of(device_); }
  Expected<void> truncate(uint64_t) override { return fail(Errno::kInvalid); }
  Expected<void> allocate(uint64_t, uint64_t) override { return fail(Errno::kNoDevice); }
  Expected<void> chmod(uint32_t) override { return fail(Errno::kReadOnly); }
  Expected<void> set_times(TimeChange, TimeChange) override { return fail(Errno::kReadOnly); }
  Expected<void> sync(SyncKind) override { return fail(Errno::kInvalid); }
  Expected<SharedMapping> map_shared(uint64_t, uint64_t) override { return fail(Errno::kNoDevice); }

  Expected<void> read_directory(uint64_t cookie, const EntryVisitor& visit) override {
    if (device_ != Device::kDirectory) return fail(Errno::kNotDirectory);
    if (cookie < 1 && !visit({".", 1, FileKind::kDirectory, 1})) return {};
    if (cookie < 2 && !visit({"..", 1, FileKind::kDirectory, 2})) return {};
    for (uint64_t i = cookie < 2 ? 0 : cookie - 2; i < std::size(kDevices); ++i) {
      uint64_t inode = stat_of(kDevices[i].device).inode;
      if (!visit({kDevices[i].name, inode, FileKind::kCharacterDevice, i + 3})) return {};
    }
    return {};
  }

 private:
  Device device_;
  Access access_;
  std::shared_ptr<os::Random> random_;  // shared with the file system
};

// Any change: the name is looked up first, so that a wrong path is told from a refused one.
Expected<void> refuse(std::string_view path) {
  auto found = find_device(path);
  if (!found && found.error() != Errno::kNoEntry) return fail(found.error());
  return fail(Errno::kReadOnly);
}

}  // namespace

DeviceFileSystem::DeviceFileSystem(std::shared_ptr<os::Random> random)
    : random_(std::move(random)) {}

Expected<std::unique_ptr<File>> DeviceFileSystem::open(std::string_view path,
                                                       const OpenOptions& options) {
  auto device = find_device(path);
  if (!device && device.error() == Errno::kNoEntry && options.create) return fail(Errno::kReadOnly);
  if (!device) return fail(device.error());
  if (options.create && options.exclusive) return fail(Errno::kExists);
  bool directory = *device == Device::kDirectory;
  if (options.directory && !directory) return fail(Errno::kNotDirectory);
  if (directory && (options.access != Access::kRead || options.create))
    return fail(Errno::kIsDirectory);
  return std::make_unique<DeviceFile>(*device, options.access, random_);
}

Expected<Stat> DeviceFileSystem::stat(std::string_view path, Follow) {
  CALF_ERRNO_TRY(Device device, find_device(path));
  return stat_of(device);
}

Expected<void> DeviceFileSystem::mkdir(std::string_view path, uint32_t) {
  if (find_device(path)) return fail(Errno::kExists);
  return refuse(path);
}
Expected<void> DeviceFileSystem::rmdir(std::string_view path) {
  return refuse(path);
}
Expected<void> DeviceFileSystem::unlink(std::string_view path) {
  return refuse(path);
}
Expected<void> DeviceFileSystem::rename(std::string_view from, std::string_view) {
  return refuse(from);
}
Expected<void> DeviceFileSystem::link(std::string_view from, std::string_view) {
  return refuse(from);
}
Expected<void> DeviceFileSystem::symlink(std::string_view, std::string_view path) {
  return refuse(path);
}
Expected<std::string> DeviceFileSystem::readlink(std::string_view path) {
  CALF_ERRNO_CHECK(find_device(path));
  return fail(Errno::kInvalid);
}
Expected<void> DeviceFileSystem::chmod(std::string_view path, uint32_t, Follow) {
  return refuse(path);
}
Expected<void> DeviceFileSystem::set_times(std::string_view path, TimeChange, TimeChange, Follow) {
  return refuse(path);
}
Expected<FsStat> DeviceFileSystem::statfs() {
  return FsStat{};
}

}  // namespace calf::vfs
