#include "vfs/whole_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "os/clock.h"
#include "vfs/directory_file_system.h"

namespace calf::vfs {
namespace {

namespace stdfs = std::filesystem;
using SharedFiles = std::shared_ptr<os::Files>;

Result<void> make_directories(os::Files& files, const stdfs::path& path) {
  stdfs::path made;
  for (const stdfs::path& part : path) {
    made /= part;
    if (part == "/" || part == "." || part.empty()) continue;
    auto done = files.mkdirat(AT_FDCWD, made.c_str(), 0777);
    // A read-only or foreign directory on the way is no obstacle as long as it is there.
    if (!done && !files.fstatat(AT_FDCWD, made.c_str(), 0))
      return calf::fail(os::to_error("creating " + made.string(), done.error()));
  }
  return {};
}

Expected<os::FileDescriptor> open_directory(os::Files& files, const std::string& path) {
  CALF_ERRNO_TRY(const int fd, files.open(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY, 0,
                                          os::Resolve::kAnywhere));
  return os::FileDescriptor(files, fd);
}

// One flush of the whole file system: an fsync for each of a thousand files takes seconds.
Expected<void> sync_everything(os::Files& files, const std::string& path) {
  CALF_ERRNO_TRY(const os::FileDescriptor directory, open_directory(files, path));
  return files.syncfs(directory.get());
}

Expected<void> sync_names(os::Files& files, const std::string& path) {
  CALF_ERRNO_TRY(const os::FileDescriptor directory, open_directory(files, path));
  return files.fsync(directory.get());
}

std::vector<std::string> names_in(FileSystem& tree, const std::string& directory) {
  std::vector<std::string> names;
  auto opened = tree.open(directory, {.directory = true});
  if (!opened) return names;
  (void)(*opened)->read_directory(0, [&](const DirectoryEntry& entry) {
    if (entry.name != "." && entry.name != "..") names.emplace_back(entry.name);
    return true;
  });
  return names;
}

void remove_tree(FileSystem& tree, const std::string& path) {
  const auto stat = tree.stat(path, Follow::kNo);
  if (!stat) return;
  if (stat->kind != FileKind::kDirectory) {
    (void)tree.unlink(path);
    return;
  }
  for (const std::string& name : names_in(tree, path)) remove_tree(tree, path + "/" + name);
  (void)tree.rmdir(path);
}

// Removes what programs that were killed while they made the same directory have left beside it;
// not what another one may be making now.
void remove_leftovers(FileSystem& parent, const std::string& prefix, const std::string& own) {
  constexpr int64_t kLongestCreationNs = int64_t{3600} * 1'000'000'000;
  const int64_t now_ns = os::SystemClock().realtime_ns();
  for (const std::string& name : names_in(parent, "")) {
    if (!name.starts_with(prefix)) continue;
    const auto stat = parent.stat(name, Follow::kNo);
    if (name == own || (stat && stat->modify_time_ns < now_ns - kLongestCreationNs))
      remove_tree(parent, name);
  }
}

tl::unexpected<Error> exists_already(const std::string& path) {
  return calf::fail(ErrorCode::kAlreadyExists, "\"" + path + "\" exists already",
                    "choose a directory that does not exist or is empty");
}

class Creation {
 public:
  Creation(const SharedFiles& files, const std::string& path, FileSystem& parent,
           const stdfs::path& target)
      : files_(files),
        path_(path),
        parent_(parent),
        place_(target.parent_path()),
        name_(target.filename()) {}

  Result<void> run(const std::function<Result<void>(const FreshDirectory&)>& fill) {
    const auto there = parent_.stat(name_, Follow::kYes);
    if (there && (there->kind != FileKind::kDirectory || !names_in(parent_, name_).empty()))
      return exists_already(path_);
    const std::string prefix = "." + name_ + ".new-";
    const std::string fresh = prefix + std::to_string(::getpid());
    remove_leftovers(parent_, prefix, fresh);
    auto done = make(fresh, fill);
    if (!done) remove_tree(parent_, fresh);
    return done;
  }

 private:
  Result<void> make(const std::string& fresh,
                    const std::function<Result<void>(const FreshDirectory&)>& fill) {
    const std::string at = (place_ / fresh).string();
    if (auto made = parent_.mkdir(fresh, 0700); !made) return failed(made.error());
    {
      CALF_TRY(auto tree, DirectoryFileSystem::open({.path = at, .files = files_}));
      CALF_CHECK_OK(fill({.tree = *tree, .path = at}));
    }
    if (auto synced = sync_everything(*files_, at); !synced) return failed(synced.error());
    if (auto renamed = parent_.rename(fresh, name_); !renamed) {
      return renamed.error() == Errno::kNotEmpty ? exists_already(path_) : failed(renamed.error());
    }
    auto synced = sync_names(*files_, place_.string());
    return synced ? Result<void>() : failed(synced.error());
  }

  [[nodiscard]] tl::unexpected<Error> failed(Errno error) const {
    return calf::fail(os::to_error("creating directory " + path_, error));
  }

  const SharedFiles& files_;
  const std::string& path_;
  FileSystem& parent_;
  const stdfs::path place_;
  const std::string name_;
};

}  // namespace

Result<void> create_directory_whole(
    const SharedFiles& files, const std::string& path,
    const std::function<Result<void>(const FreshDirectory& fresh)>& fill) {
  stdfs::path target =
      (stdfs::path(path) / "").parent_path();  // with or without a slash at the end
  if (!target.has_parent_path()) target = "." / target;
  CALF_CHECK_OK(make_directories(*files, target.parent_path()));
  CALF_TRY(auto parent,
           DirectoryFileSystem::open({.path = target.parent_path().string(), .files = files}));
  return Creation(files, path, *parent, target).run(fill);
}

}  // namespace calf::vfs
