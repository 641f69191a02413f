#include "node/snapshot_files.h"

#include <unistd.h>

#include "node/data_directory.h"
#include "node/embedded.h"
#include "os/clock.h"
#include "os/files.h"
#include "vfs/directory_file_system.h"
#include "vfs/memory_file_system.h"
#include "vfs/tar_read.h"
#include "vfs/tree_copy.h"
#include "vfs/whole_directory.h"

namespace calf::node {
namespace {

namespace fs = std::filesystem;
constexpr const char* kVersionFile = "PG_VERSION";

// What belongs to a running program, or to branches, and not to the data.
const std::vector<std::string> kLeftOut = {"calf.lock", "calf_branches", "postmaster.pid"};

tl::unexpected<Error> error(const std::string& what, os::Errno code) {
  return fail(os::to_error(what, code));
}

vfs::CopyObserver copy_observer(const cli::WorkObserver& observer) {
  if (!observer) return {};
  return [&observer](const vfs::CopyProgress& now) {
    return observer(now.done_bytes, now.total_bytes);
  };
}

// `what` the tree came from: "snapshot".
Result<void> check_version(vfs::FileSystem& tree, const std::string& what) {
  CALF_TRY(auto pack, template_pack());
  const auto entry = pack->find(kVersionFile);
  if (!entry) return fail(ErrorCode::kInternal, "the template has no PG_VERSION");
  CALF_TRY(const std::string expected, pack->contents(*entry));
  std::string found(expected.size() + 1, '\0');
  auto file = tree.open(kVersionFile, {});
  if (!file) {
    return fail(ErrorCode::kInvalidArgument, "the " + what + " holds no cluster of PostgreSQL");
  }
  auto size = (*file)->pread(std::as_writable_bytes(std::span(found)), 0);
  if (!size) return error(std::string("reading ") + kVersionFile, size.error());
  found.resize(*size);
  if (found == expected) return {};
  return fail(ErrorCode::kInvalidArgument, "the " + what + " is of another version of PostgreSQL",
              "start it with the version that it comes from, and dump and restore it");
}

Result<void> read_file(const fs::path& path, vfs::FileSystem& target,
                       const cli::WorkObserver& observer) {
  os::SystemFiles files;
  auto fd = files.open(AT_FDCWD, path.c_str(), O_RDONLY, 0, os::Resolve::kAnywhere);
  if (!fd) return error("opening " + path.string(), fd.error());
  const os::FileDescriptor file(files, *fd);
  const vfs::SnapshotSource source =
      [&, offset = uint64_t{0}](std::span<std::byte> buffer) mutable -> Result<size_t> {
    size_t done = 0;
    while (done < buffer.size()) {
      iovec v{buffer.data() + done, buffer.size() - done};
      auto got = files.preadv(file.get(), {&v, 1}, offset);
      if (!got) return error("reading " + path.string(), got.error());
      if (*got == 0) break;
      done += *got;
      offset += *got;
    }
    return done;
  };
  auto read = vfs::read_snapshot_file(source, target, copy_observer(observer));
  if (!read) return fail(std::move(read).error().with_context(path.string()));
  auto checked = check_version(target, "snapshot");
  return checked ? Result<void>() : fail(std::move(checked).error().with_context(path.string()));
}

Result<void> read_archive(const cli::ArchiveSource& source, vfs::FileSystem& target) {
  CALF_CHECK_OK(vfs::read_tar(source, target, kLeftOut));
  return check_version(target, "archive");
}

// An empty tree in memory, filled.
Result<std::shared_ptr<vfs::FileSystem>> in_memory(
    const std::function<Result<void>(vfs::FileSystem&)>& fill) {
  vfs::MemoryFileSystem::Options options;
  options.clock = std::make_shared<os::SystemClock>();
  auto tree = vfs::MemoryFileSystem::create(options);
  if (!tree) return error("making a file system", tree.error());
  CALF_CHECK_OK(fill(**tree));
  return std::shared_ptr<vfs::FileSystem>(std::move(*tree));
}

// A data directory of the host, filled, whole or not at all.
Result<void> in_directory(const fs::path& path, const std::string& hint,
                          const std::function<Result<void>(vfs::FileSystem&)>& fill) {
  std::error_code ignored;
  if (fs::exists(path / kVersionFile, ignored)) {
    return fail(ErrorCode::kAlreadyExists, "\"" + path.string() + "\" holds a cluster already",
                hint);
  }
  return vfs::create_directory_whole(
      std::make_shared<os::SystemFiles>(), path.string(),
      [&](const vfs::FreshDirectory& fresh) { return fill(fresh.tree); });
}

// A file beside `target` that takes its place, or nothing of it is left.
class Replacement {
 public:
  explicit Replacement(fs::path target)
      : target_(std::move(target)),
        fresh_(target_.parent_path() /
               ("." + target_.filename().string() + ".new-" + std::to_string(::getpid()))) {}
  ~Replacement() {
    if (fd_.is_open()) (void)files_.unlinkat(AT_FDCWD, fresh_.c_str(), 0);
  }

  Result<void> create() {
    auto fd = files_.open(AT_FDCWD, fresh_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600,
                          os::Resolve::kAnywhere);
    if (!fd) return error("creating " + target_.string(), fd.error());
    fd_ = os::FileDescriptor(files_, *fd);
    return {};
  }

  Result<void> write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      iovec v{const_cast<std::byte*>(bytes.data()), bytes.size()};
      auto written = files_.pwritev(fd_.get(), {&v, 1}, offset_);
      if (!written) return error("writing " + target_.string(), written.error());
      bytes = bytes.subspan(*written);
      offset_ += *written;
    }
    return {};
  }

  Result<void> finish() {
    auto done = [&]() -> os::Expected<void> {
      CALF_ERRNO_CHECK(files_.fsync(fd_.get()));
      CALF_ERRNO_CHECK(files_.renameat(AT_FDCWD, fresh_.c_str(), AT_FDCWD, target_.c_str()));
      fd_.reset();
      CALF_ERRNO_TRY(const int fd, files_.open(AT_FDCWD, target_.parent_path().c_str(),
                                               O_RDONLY | O_DIRECTORY, 0, os::Resolve::kAnywhere));
      const os::FileDescriptor directory(files_, fd);
      return files_.fsync(fd);
    }();
    return done ? Result<void>() : error("writing " + target_.string(), done.error());
  }

 private:
  fs::path target_, fresh_;
  os::SystemFiles files_;
  os::FileDescriptor fd_;
  uint64_t offset_ = 0;
};

}  // namespace

Result<std::shared_ptr<vfs::FileSystem>> load_snapshot(const fs::path& file,
                                                       const cli::WorkObserver& observer) {
  return in_memory([&](vfs::FileSystem& tree) { return read_file(file, tree, observer); });
}

Result<void> create_from_snapshot(const fs::path& file, const fs::path& path,
                                  const cli::WorkObserver& observer) {
  return in_directory(path, "start it without --from, or give a directory that does not exist yet",
                      [&](vfs::FileSystem& fresh) { return read_file(file, fresh, observer); });
}

Result<std::shared_ptr<vfs::FileSystem>> load_archive(const cli::ArchiveSource& source) {
  return in_memory([&](vfs::FileSystem& tree) { return read_archive(source, tree); });
}

Result<void> create_from_archive(const cli::ArchiveSource& source, const fs::path& path) {
  return in_directory(path, "open it without the archive, or give a directory that does not exist",
                      [&](vfs::FileSystem& fresh) { return read_archive(source, fresh); });
}

Result<vfs::SnapshotFileInfo> save_tree(vfs::FileSystem& tree, const fs::path& file,
                                        const cli::WorkObserver& observer) {
  Replacement replacement(fs::absolute(file));
  CALF_CHECK_OK(replacement.create());
  CALF_TRY(auto info,
           vfs::write_snapshot_file(
               tree, [&](std::span<const std::byte> bytes) { return replacement.write(bytes); },
               {.created_at_ns = os::SystemClock().realtime_ns(),
                .leave_out = kLeftOut,
                .observer = copy_observer(observer)}));
  CALF_CHECK_OK(replacement.finish());
  return info;
}

}  // namespace calf::node

namespace calf::cli {

Result<SavedSnapshot> save_snapshot(const SaveSnapshotOptions& options) {
  using namespace calf::node;  // the definition of a function that cli declares
  std::error_code ignored;
  if (!std::filesystem::exists(options.directory / kVersionFile, ignored)) {
    return fail(ErrorCode::kNotFound,
                "\"" + options.directory.string() + "\" is no data directory of PostgreSQL",
                "give the directory that `calf serve` was started with");
  }
  CALF_TRY(auto opened, DataDirectory::open(options.directory));
  CALF_TRY(auto tree, vfs::DirectoryFileSystem::open({.path = options.directory.string(),
                                                      .files = std::make_shared<os::SystemFiles>(),
                                                      .read_only = true}));
  CALF_TRY(const auto info, save_tree(*tree, options.file, options.observer));
  return SavedSnapshot{.data_bytes = info.tree_bytes, .file_bytes = info.file_bytes};
}

}  // namespace calf::cli
