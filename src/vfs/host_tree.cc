#include "vfs/host_tree.h"

#include <dirent.h>

#include <vector>

namespace calf::vfs {
namespace {

FileKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return FileKind::kRegular;
  if (S_ISDIR(mode)) return FileKind::kDirectory;
  return S_ISLNK(mode) ? FileKind::kSymlink : FileKind::kPipe;
}

}  // namespace

Expected<void> each_entry(os::Files& files, int directory,
                          const std::function<Expected<void>(const HostEntry&)>& visit) {
  std::vector<std::byte> records(32 * 1024);
  for (uint64_t cookie = 0;;) {
    CALF_ERRNO_TRY(size_t size, files.read_directory(directory, cookie, records));
    if (size == 0) return {};
    for (size_t at = 0; at < size;) {
      const auto* record = reinterpret_cast<const dirent64*>(records.data() + at);
      at += record->d_reclen;
      cookie = static_cast<uint64_t>(record->d_off);
      HostEntry entry{.name = record->d_name, .inode = record->d_ino};
      if (entry.name == "." || entry.name == "..") continue;
      mode_t mode = DTTOIF(record->d_type);
      if (record->d_type == DT_UNKNOWN) {  // some file systems do not say
        CALF_ERRNO_TRY(struct stat stat,
                       files.fstatat(directory, record->d_name, AT_SYMLINK_NOFOLLOW));
        mode = stat.st_mode;
      }
      entry.kind = kind_of(mode);
      CALF_ERRNO_CHECK(visit(entry));
    }
  }
}

Expected<os::FileDescriptor> open_directory(os::Files& files, int parent, const std::string& name) {
  CALF_ERRNO_TRY(int fd, files.open(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                                    os::Resolve::kBeneath));
  return os::FileDescriptor(files, fd);
}

Expected<void> remove_tree(os::Files& files, int parent, const std::string& name) {
  auto opened = open_directory(files, parent, name);
  if (!opened && opened.error() == Errno::kNoEntry) return {};
  if (!opened) return fail(opened.error());
  auto remove = [&](const HostEntry& entry) -> Expected<void> {
    if (entry.kind == FileKind::kDirectory) return remove_tree(files, opened->get(), entry.name);
    return files.unlinkat(opened->get(), entry.name.c_str(), 0);
  };
  CALF_ERRNO_CHECK(each_entry(files, opened->get(), remove));
  return files.unlinkat(parent, name.c_str(), AT_REMOVEDIR);
}

Expected<void> sync_names(os::Files& files, int directory) {
  CALF_ERRNO_CHECK(each_entry(files, directory, [&](const HostEntry& entry) -> Expected<void> {
    if (entry.kind != FileKind::kDirectory) return {};
    CALF_ERRNO_TRY(auto inside, open_directory(files, directory, entry.name));
    return sync_names(files, inside.get());
  }));
  return files.fsync(directory);
}

Expected<std::string> read_small_file(os::Files& files, int directory, const char* name,
                                      os::Resolve resolve) {
  constexpr size_t kMostBytes = 4096;
  CALF_ERRNO_TRY(int fd, files.open(directory, name, O_RDONLY | O_NOFOLLOW, 0, resolve));
  os::FileDescriptor file(files, fd);
  std::string text(kMostBytes, '\0');
  iovec v{text.data(), text.size()};
  CALF_ERRNO_TRY(size_t size, files.preadv(fd, {&v, 1}, 0));
  text.resize(size);
  return text;
}

Expected<void> write_small_file(os::Files& files, int directory, const char* name,
                                std::string text) {
  CALF_ERRNO_TRY(int fd, files.open(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0600,
                                    os::Resolve::kBeneath));
  os::FileDescriptor file(files, fd);
  iovec v{text.data(), text.size()};
  CALF_ERRNO_TRY(size_t written, files.pwritev(fd, {&v, 1}, 0));
  return written == text.size() ? Expected<void>() : fail(Errno::kNoSpace);
}

}  // namespace calf::vfs
