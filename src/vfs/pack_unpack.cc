// Pack::unpack_to: a pack's tree as files of the host.
#include "vfs/pack.h"
#include "os/files.h"

namespace calf::vfs {
namespace {

using os::FileDescriptor;
using os::Resolve;

class Unpacker {
 public:
  Unpacker(const Pack& pack, os::Files& files) : pack_(pack), files_(files) {}

  // Opens the target, creating its last component; it must be empty.
  Result<FileDescriptor> open_target(const std::string& path) {
    auto made = files_.mkdirat(AT_FDCWD, path.c_str(), 0700);
    if (!made && made.error() != Errno::kExists) return error("creating " + path, made.error());
    auto fd = files_.open(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY, 0, Resolve::kAnywhere);
    if (!fd) return error("opening " + path, fd.error());
    FileDescriptor directory(files_, *fd);
    CALF_TRY(bool empty, is_empty(directory.get(), path));
    if (!empty)
      return calf::fail(ErrorCode::kAlreadyExists, path + " is not empty",
                        "choose a directory that does not exist or is empty");
    return directory;
  }

  Result<void> children(const Pack::Entry& directory, int fd) {
    for (uint32_t i = directory.first; i < directory.first + directory.count; ++i) {
      const Pack::Entry entry = pack_.entry(i);
      std::string name(entry.name);
      Expected<void> done;
      if (entry.kind == FileKind::kDirectory) {
        CALF_CHECK_OK(subdirectory(entry, fd, name));
      } else if (entry.kind == FileKind::kSymlink) {
        done = files_.symlinkat(std::string(entry.symlink_target).c_str(), fd, name.c_str());
      } else {
        done = file(entry, fd, name);
      }
      if (!done) return error("writing " + name, done.error());
    }
    return {};
  }

  Result<void> sync(const FileDescriptor& directory, const std::string& path) {
    // One flush of the whole file system: an fsync for each of a thousand files takes seconds.
    auto synced = files_.syncfs(directory.get());
    if (!synced) return error("syncing " + path, synced.error());
    return {};
  }

 private:
  static tl::unexpected<Error> error(const std::string& what, Errno code) {
    return calf::fail(os::to_error(what, code));
  }

  Result<bool> is_empty(int fd, const std::string& path) {
    std::byte records[256];
    // "." and ".." are 24 bytes each.
    auto size = files_.read_directory(fd, 0, records);
    if (!size) return error("listing " + path, size.error());
    return *size <= 48;
  }

  Result<void> subdirectory(const Pack::Entry& entry, int parent, const std::string& name) {
    auto made = files_.mkdirat(parent, name.c_str(), 0700);
    if (!made) return error("creating " + name, made.error());
    auto fd = files_.open(parent, name.c_str(), O_RDONLY | O_DIRECTORY, 0, Resolve::kBeneath);
    if (!fd) return error("opening " + name, fd.error());
    FileDescriptor directory(files_, *fd);
    CALF_CHECK_OK(children(entry, directory.get()));
    auto changed = files_.fchmod(directory.get(), entry.permissions);
    if (!changed) return error("setting the mode of " + name, changed.error());
    return {};
  }

  Expected<void> file(const Pack::Entry& entry, int parent, const std::string& name) {
    CALF_ERRNO_TRY(int fd, files_.open(parent, name.c_str(), O_CREAT | O_EXCL | O_WRONLY,
                                       entry.permissions, Resolve::kBeneath));
    FileDescriptor descriptor(files_, fd);
    CALF_ERRNO_CHECK(files_.fchmod(fd, entry.permissions));  // the umask may have cut it
    CALF_ERRNO_CHECK(files_.ftruncate(fd, entry.size_bytes));
    for (uint32_t i = 0; i < entry.count; ++i) {
      CALF_ERRNO_TRY(auto bytes, pack_.piece(entry, i));
      CALF_ERRNO_CHECK(write_all(fd, bytes, uint64_t{i} * kPieceSize));
    }
    return {};
  }

  Expected<void> write_all(int fd, std::span<const std::byte> bytes, uint64_t offset) {
    while (!bytes.empty()) {
      iovec v{const_cast<std::byte*>(bytes.data()), bytes.size()};
      CALF_ERRNO_TRY(size_t written, files_.pwritev(fd, {&v, 1}, offset));
      bytes = bytes.subspan(written);
      offset += written;
    }
    return {};
  }

  const Pack& pack_;
  os::Files& files_;
};

}  // namespace

Result<void> Pack::unpack_to(const std::string& directory, const UnpackOptions& options) const {
  auto subtree = find(options.subtree);
  if (!subtree || entry(*subtree).kind != FileKind::kDirectory)
    return calf::fail(ErrorCode::kNotFound,
                      "the pack has no directory " + std::string(options.subtree));
  os::SystemFiles host;
  Unpacker unpacker(*this, options.files != nullptr ? *options.files : host);
  CALF_TRY(os::FileDescriptor target, unpacker.open_target(directory));
  CALF_CHECK_OK(unpacker.children(entry(*subtree), target.get()));
  if (options.sync) CALF_CHECK_OK(unpacker.sync(target, directory));
  return {};
}

}  // namespace calf::vfs
