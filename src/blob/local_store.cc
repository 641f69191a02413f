#include "blob/local_store.h"

#include <sys/file.h>

#include <algorithm>
#include <optional>

#include "blob/host_file.h"
#include "blob/store_errors.h"
#include "os/clock.h"

namespace calf::blob {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kChunkBytes = 1 << 20;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::int64_t kLockPollMs = 2;
constexpr std::string_view kTemporaryPrefix = ".calf-new-";

Error file_error(std::string_view what, const fs::path& path, const std::error_code& error) {
  return Error::from_errno(std::string(what) + " " + path.string(), error.value());
}

std::int64_t mtime_ns(const struct stat& status) {
  return status.st_mtim.tv_sec * kNsPerSecond + status.st_mtim.tv_nsec;
}

// The time of the last change is set by put() and always grows, so it names the version.
std::string etag_of(const struct stat& status) {
  return std::to_string(mtime_ns(status)) + "-" + std::to_string(status.st_size);
}

Result<std::optional<struct stat>> look_at(const fs::path& path) {
  const auto status = host_files().fstatat(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW);
  if (status) return S_ISREG(status->st_mode) ? std::optional(*status) : std::nullopt;
  const os::Errno code = status.error();
  if (code == os::Errno::kNoEntry || code == os::Errno::kNotDirectory) return std::nullopt;
  return fail(os::to_error("looking at " + path.string(), code));
}

Result<void> copy_to(const os::FileDescriptor& file, const fs::path& path, Body& body,
                     const Limits& limits) {
  for (std::uint64_t offset = 0; offset < body.size_bytes();) {
    CALF_CHECK_OK(limits.check("writing " + path.string()));
    const std::size_t length = std::min<std::uint64_t>(kChunkBytes, body.size_bytes() - offset);
    CALF_TRY(const std::string part, read_part(body, offset, length));
    CALF_CHECK_OK(write_at(file, path, offset, part));
    offset += length;
  }
  return sync(file, path);
}

// A new version's time: later than the one that it replaces, whatever the clock says.
Result<void> stamp(const fs::path& fresh, const std::optional<struct stat>& replaced) {
  std::int64_t now_ns = os::SystemClock().realtime_ns();
  if (replaced) now_ns = std::max(now_ns, mtime_ns(*replaced) + 1);
  const timespec time{now_ns / kNsPerSecond, now_ns % kNsPerSecond};
  const timespec times[2] = {time, time};
  if (const auto done = host_files().utimensat(AT_FDCWD, fresh.c_str(), times, 0); !done) {
    return fail(os::to_error("dating " + fresh.string(), done.error()));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<LocalStore>> LocalStore::open(const fs::path& folder) {
  std::error_code error;
  const fs::path absolute = fs::absolute(folder, error).lexically_normal();
  if (!error) fs::create_directories(absolute, error);
  if (error) return fail(file_error("making the folder", folder, error));
  return std::unique_ptr<LocalStore>(new LocalStore(absolute));
}

fs::path LocalStore::path_of(const std::string& key) const {
  return folder_ / key;
}

Result<os::FileDescriptor> LocalStore::lock(const Limits& limits) const {
  const fs::path path = folder_ / ".calf-lock";
  CALF_TRY(os::FileDescriptor file, open_file(path, O_RDWR | O_CREAT));
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return fail(Error::from_errno("locking " + path.string(), errno));
    }
    CALF_CHECK_OK(limits.check("waiting for " + path.string()));
    limits.sleep_ms(kLockPollMs);
  }
  return file;
}

Result<ObjectInfo> LocalStore::get(const std::string& key, ByteRange range, const Sink& sink,
                                   const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  const fs::path path = path_of(key);
  auto file = open_file(path, O_RDONLY | O_NOFOLLOW);
  if (!file &&
      (file.error().code == ErrorCode::kNotFound || file.error().system_errno == ENOTDIR)) {
    return not_found(describe(), key);
  }
  if (!file) return fail(std::move(file).error());
  const auto status = host_files().fstat(file->get());
  if (!status) return fail(os::to_error("looking at " + path.string(), status.error()));
  if (!S_ISREG(status->st_mode)) return not_found(describe(), key);
  const auto size = static_cast<std::uint64_t>(status->st_size);
  if (range.offset > size) return past_the_end(key);
  const std::uint64_t end =
      range.offset + std::min(range.length.value_or(size), size - range.offset);
  std::string chunk;
  for (std::uint64_t offset = range.offset; offset < end; offset += chunk.size()) {
    CALF_CHECK_OK(limits.check("reading " + key));
    chunk.resize(std::min<std::uint64_t>(kChunkBytes, end - offset));
    CALF_TRY(const std::size_t n, read_at(*file, path, offset, chunk));
    if (n != chunk.size()) return fail(ErrorCode::kIo, path.string() + " became shorter");
    CALF_CHECK_OK(sink(chunk));
  }
  return ObjectInfo{.key = key, .size_bytes = size, .etag = etag_of(*status)};
}

Result<std::string> LocalStore::put(const std::string& key, Body& body, const Condition& condition,
                                    const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  const fs::path fresh = folder_ / random_name(kTemporaryPrefix);
  auto etag = [&]() -> Result<std::string> {
    {
      CALF_TRY(const auto file, open_file(fresh, O_WRONLY | O_CREAT | O_EXCL));
      CALF_CHECK_OK(copy_to(file, fresh, body, limits));
    }
    return publish(fresh, key, condition, limits);
  }();
  if (!etag) {
    std::error_code ignored;  // the put's error says more
    fs::remove(fresh, ignored);
  }
  return etag;
}

Result<std::string> LocalStore::publish(const fs::path& fresh, const std::string& key,
                                        const Condition& condition, const Limits& limits) {
  const fs::path path = path_of(key);
  CALF_TRY(const auto held, lock(limits));
  CALF_TRY(const auto present, look_at(path));
  if ((condition.is_absent() && present) ||
      (condition.is_match() && (!present || etag_of(*present) != condition.etag()))) {
    return condition_failed(describe(), key);
  }
  CALF_CHECK_OK(stamp(fresh, present));
  std::error_code error;
  const bool made = fs::create_directories(path.parent_path(), error);
  if (!error) fs::rename(fresh, path, error);
  if (error) return fail(file_error("renaming to", path, error));
  CALF_CHECK_OK(sync_directory(path.parent_path()));
  for (fs::path parent = path.parent_path(); made && parent != folder_;) {
    parent = parent.parent_path();
    CALF_CHECK_OK(sync_directory(parent));
  }
  CALF_TRY(const auto now, look_at(path));
  if (!now) return fail(ErrorCode::kIo, path.string() + " is gone after it was written");
  return etag_of(*now);
}

Result<ListPage> LocalStore::list(const ListQuery& query, const Limits& limits) {
  // Only the folder that the prefix names needs to be walked.
  const fs::path top = folder_ / query.prefix.substr(0, query.prefix.rfind('/') + 1);
  std::vector<std::string> keys;
  std::error_code error;
  fs::recursive_directory_iterator at(top, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    CALF_CHECK_OK(limits.check("listing " + describe()));
    std::string key = at->path().lexically_relative(folder_).string();
    if (key.starts_with(query.prefix) && key > query.start_after && check_key(key) &&
        at->is_regular_file(error)) {
      keys.push_back(std::move(key));
    }
    error.clear();  // it was removed meanwhile
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail(file_error("listing", top, error));
  }
  ListPage page;
  page.more = keys.size() > query.limit;
  const std::size_t count = std::min<std::size_t>(keys.size(), query.limit);
  std::partial_sort(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(count), keys.end());
  for (std::size_t i = 0; i < count; ++i) {
    CALF_TRY(const auto status, look_at(path_of(keys[i])));
    if (!status) continue;  // removed meanwhile
    page.objects.push_back({.key = keys[i],
                            .size_bytes = static_cast<std::uint64_t>(status->st_size),
                            .etag = etag_of(*status)});
  }
  return page;
}

Result<void> LocalStore::remove(const std::string& key, const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  const fs::path path = path_of(key);
  CALF_TRY(const auto held, lock(limits));
  CALF_TRY(const auto present, look_at(path));
  if (!present) return {};
  std::error_code error;
  fs::remove(path, error);
  if (error) return fail(file_error("deleting", path, error));
  return sync_directory(path.parent_path());
}

}  // namespace calf::blob
