#include "vfs/namespace.h"

#include <algorithm>

#include "base/assert.h"
#include "vfs/path.h"

namespace calf::vfs {
namespace {

// Does `path` name `directory` or something below it?
bool is_at_or_below(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

// Joins two paths and drops "." and doubled slashes, but keeps "..". The result is "" for the root,
// else starts with a slash. A slash at the end stays: it asks for a directory.
std::string tidy(std::string_view base, std::string_view path) {
  std::string out;
  out.reserve(base.size() + path.size() + 1);
  auto add = [&](std::string_view part) {
    for (std::string_view rest = part;;) {
      std::string_view component = take_component(rest);
      if (component.empty()) return;
      if (component == ".") continue;
      out += '/';
      out += component;
    }
  };
  if (!path.starts_with('/')) add(base);
  add(path);
  if (!out.empty() && path.ends_with('/')) out += '/';
  return out;
}

bool is_tidy(std::string_view path) {
  return path.find("//") == std::string_view::npos && path.find("/./") == std::string_view::npos &&
         !path.ends_with("/.");
}

std::string_view relative_to(std::string_view absolute, std::string_view point) {
  absolute.remove_prefix(point.size());
  if (absolute.starts_with('/')) absolute.remove_prefix(1);
  return absolute;
}

}  // namespace

Namespace::Namespace(std::shared_ptr<const os::Clock> clock) {
  MemoryFileSystem::Options options;
  options.clock = std::move(clock);
  options.read_only = true;
  auto skeleton = MemoryFileSystem::create(options);
  ASSERT(skeleton);  // without a pack it cannot fail
  skeleton_ = std::move(*skeleton);
  mounts_.push_back({"", skeleton_});
}

Namespace::~Namespace() = default;

Expected<void> Namespace::mount(std::string_view point, std::shared_ptr<FileSystem> file_system) {
  if (point == "/") {
    if (mounts_.back().file_system != skeleton_) return fail(Errno::kBusy);
    mounts_.back().file_system = std::move(file_system);
    return {};
  }
  if (!point.starts_with('/') || !is_plain(point.substr(1))) return fail(Errno::kInvalid);
  if (mounted_at(point) != nullptr) return fail(Errno::kBusy);

  skeleton_->set_read_only(false);
  for (size_t end = 1; end <= point.size(); ++end)
    if (end == point.size() || point[end] == '/')
      (void)skeleton_->mkdir(point.substr(1, end - 1), 0755);  // those above may be there
  skeleton_->set_read_only(true);

  Mount fresh{std::string(point), std::move(file_system)};
  for (Mount& other : mounts_) {
    if (is_at_or_below(other.point, fresh.point)) fresh.has_nested = true;
    if (is_at_or_below(fresh.point, other.point)) other.has_nested = true;
  }
  auto at = std::find_if(mounts_.begin(), mounts_.end(), [&](const Mount& other) {
    return other.point.size() < fresh.point.size();
  });
  mounts_.insert(at, std::move(fresh));
  return {};
}

FileSystem* Namespace::mounted_at(std::string_view point) const {
  if (point == "/") point = "";
  for (const Mount& mount : mounts_)
    if (mount.point == point) return mount.file_system.get();
  return nullptr;
}

const Namespace::Mount& Namespace::mount_of(std::string_view absolute) const {
  for (const Mount& mount : mounts_)
    if (is_at_or_below(absolute, mount.point)) return mount;
  return mounts_.back();
}

void Namespace::place_at(std::string absolute, Place& place) const {
  place.buffer = std::move(absolute);
  const Mount& mount = mount_of(place.buffer);
  place.file_system = mount.file_system.get();
  place.path = relative_to(place.buffer, mount.point);
}

bool Namespace::place_quickly(std::string_view base, std::string_view path, Place& place) const {
  if (has_dot_dot(path)) return false;
  if (path.starts_with('/')) {
    if (!is_tidy(path)) {
      place_at(tidy("", path), place);
      return true;
    }
    const Mount& mount = mount_of(path);
    place.file_system = mount.file_system.get();
    place.path = relative_to(path, mount.point);
    return true;
  }
  // The usual case: the working directory is the root of a mount.
  const Mount& mount = mount_of(base);
  if (!mount.has_nested && mount.point == base) {
    place.file_system = mount.file_system.get();
    place.path = path;
    return true;
  }
  place_at(tidy(base, path), place);
  return true;
}

Expected<void> Namespace::place_slowly(std::string_view base, std::string_view path, Follow follow,
                                       Place& place) {
  bool wants_directory = path.ends_with('/');
  CALF_ERRNO_TRY(std::string absolute, canonical(base, path, follow));
  if (wants_directory) absolute += '/';
  place_at(absolute == "/" ? std::string() : std::move(absolute), place);
  return {};
}

Expected<std::string> Namespace::canonical(std::string_view base, std::string_view path,
                                           Follow follow) {
  if (path.empty()) return fail(Errno::kNoEntry);
  if (path.size() > kMaxPath) return fail(Errno::kNameTooLong);
  std::string pending = tidy(base, path);
  std::string done;
  int symlinks = 0;
  for (std::string_view rest = pending;;) {
    std::string_view component = take_component(rest);
    if (component.empty()) return done.empty() ? "/" : done;
    if (component == ".") continue;  // from a symlink's target
    if (component == "..") {
      done.resize(done.empty() ? 0 : done.find_last_of('/'));
      continue;
    }
    bool last = rest.find_first_not_of('/') == std::string_view::npos;
    size_t before = done.size();
    done += '/';
    done += component;
    const Mount& mount = mount_of(done);
    if (mount.point == done) continue;  // a mount point is a directory
    auto stat = mount.file_system->stat(relative_to(done, mount.point), Follow::kNo);
    if (!stat && last && stat.error() == Errno::kNoEntry) return done;
    if (!stat) return fail(stat.error());
    if (stat->kind == FileKind::kSymlink && (!last || follow == Follow::kYes)) {
      if (++symlinks > kMaxSymlinks) return fail(Errno::kLoop);
      CALF_ERRNO_TRY(std::string target,
                     mount.file_system->readlink(relative_to(done, mount.point)));
      done.resize(target.starts_with('/') ? 0 : before);
      target += rest;
      if (target.size() > kMaxPath) return fail(Errno::kNameTooLong);
      pending = std::move(target);
      rest = pending;
      continue;
    }
    if (!last && stat->kind != FileKind::kDirectory) return fail(Errno::kNotDirectory);
  }
}

// Runs the operation where the path leads. Most paths are placed by their text alone; a file system
// that finds that a path leaves it says kCrossDevice, and then the path is resolved component by
// component.
template <typename Operation>
auto Namespace::with_place(std::string_view base, std::string_view path, Follow follow,
                           Operation operation)
    -> decltype(operation(std::declval<FileSystem&>(), path)) {
  if (path.empty()) return fail(Errno::kNoEntry);
  if (path.size() > kMaxPath) return fail(Errno::kNameTooLong);
  Place quick;
  if (place_quickly(base, path, quick)) {
    auto result = operation(*quick.file_system, quick.path);
    if (result || result.error() != Errno::kCrossDevice) return result;
  }
  Place slow;
  CALF_ERRNO_CHECK(place_slowly(base, path, follow, slow));
  auto result = operation(*slow.file_system, slow.path);
  // Somebody put a symlink there in between: it does not lead anywhere.
  if (!result && result.error() == Errno::kCrossDevice) return fail(Errno::kAccess);
  return result;
}

template <typename Operation>
Expected<void> Namespace::with_two_places(std::string_view from_base, std::string_view from,
                                          std::string_view to_base, std::string_view to,
                                          Operation operation) {
  if (from.empty() || to.empty()) return fail(Errno::kNoEntry);
  if (from.size() > kMaxPath || to.size() > kMaxPath) return fail(Errno::kNameTooLong);
  Place quick_from, quick_to;
  if (place_quickly(from_base, from, quick_from) && place_quickly(to_base, to, quick_to) &&
      quick_from.file_system == quick_to.file_system) {
    auto result = operation(*quick_from.file_system, quick_from.path, quick_to.path);
    if (result || result.error() != Errno::kCrossDevice) return result;
  }
  Place slow_from, slow_to;
  CALF_ERRNO_CHECK(place_slowly(from_base, from, Follow::kNo, slow_from));
  CALF_ERRNO_CHECK(place_slowly(to_base, to, Follow::kNo, slow_to));
  if (slow_from.file_system != slow_to.file_system) return fail(Errno::kCrossDevice);
  return operation(*slow_from.file_system, slow_from.path, slow_to.path);
}

Expected<std::unique_ptr<File>> Namespace::open(std::string_view base, std::string_view path,
                                                const OpenOptions& options) {
  bool stays = options.no_follow || (options.create && options.exclusive);
  return with_place(base, path, stays ? Follow::kNo : Follow::kYes,
                    [&](FileSystem& fs, std::string_view p) { return fs.open(p, options); });
}

Expected<Stat> Namespace::stat(std::string_view base, std::string_view path, Follow follow) {
  return with_place(base, path, follow,
                    [&](FileSystem& fs, std::string_view p) { return fs.stat(p, follow); });
}

Expected<void> Namespace::mkdir(std::string_view base, std::string_view path,
                                uint32_t permissions) {
  return with_place(base, path, Follow::kNo,
                    [&](FileSystem& fs, std::string_view p) { return fs.mkdir(p, permissions); });
}

Expected<void> Namespace::rmdir(std::string_view base, std::string_view path) {
  return with_place(base, path, Follow::kNo,
                    [&](FileSystem& fs, std::string_view p) { return fs.rmdir(p); });
}

Expected<void> Namespace::unlink(std::string_view base, std::string_view path) {
  return with_place(base, path, Follow::kNo,
                    [&](FileSystem& fs, std::string_view p) { return fs.unlink(p); });
}

Expected<void> Namespace::rename(std::string_view from_base, std::string_view from,
                                 std::string_view to_base, std::string_view to) {
  return with_two_places(
      from_base, from, to_base, to,
      [](FileSystem& fs, std::string_view a, std::string_view b) { return fs.rename(a, b); });
}

Expected<void> Namespace::link(std::string_view from_base, std::string_view from,
                               std::string_view to_base, std::string_view to) {
  return with_two_places(
      from_base, from, to_base, to,
      [](FileSystem& fs, std::string_view a, std::string_view b) { return fs.link(a, b); });
}

Expected<void> Namespace::symlink(std::string_view target, std::string_view base,
                                  std::string_view path) {
  return with_place(base, path, Follow::kNo,
                    [&](FileSystem& fs, std::string_view p) { return fs.symlink(target, p); });
}

Expected<std::string> Namespace::readlink(std::string_view base, std::string_view path) {
  return with_place(base, path, Follow::kNo,
                    [&](FileSystem& fs, std::string_view p) { return fs.readlink(p); });
}

Expected<void> Namespace::chmod(std::string_view base, std::string_view path, uint32_t permissions,
                                Follow follow) {
  return with_place(base, path, follow, [&](FileSystem& fs, std::string_view p) {
    return fs.chmod(p, permissions, follow);
  });
}

Expected<void> Namespace::set_times(std::string_view base, std::string_view path, TimeChange access,
                                    TimeChange modify, Follow follow) {
  return with_place(base, path, follow, [&](FileSystem& fs, std::string_view p) {
    return fs.set_times(p, access, modify, follow);
  });
}

Expected<FsStat> Namespace::statfs(std::string_view base, std::string_view path) {
  return with_place(base, path, Follow::kYes,
                    [&](FileSystem& fs, std::string_view p) -> Expected<FsStat> {
                      CALF_ERRNO_CHECK(fs.stat(p, Follow::kYes));
                      return fs.statfs();
                    });
}

Expected<bool> Namespace::on_read_only_mount(std::string_view base, std::string_view path) {
  return with_place(base, path, Follow::kYes,
                    [&](FileSystem& fs, std::string_view p) -> Expected<bool> {
                      CALF_ERRNO_CHECK(fs.stat(p, Follow::kYes));
                      return fs.read_only();
                    });
}

}  // namespace calf::vfs
