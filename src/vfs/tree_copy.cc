#include "vfs/tree_copy.h"

#include <algorithm>
#include <cstring>

#include "vfs/whole_directory.h"

namespace calf::vfs {
namespace {

constexpr size_t kCopySize = 256 * 1024;
constexpr size_t kHoleSize = 16 * 1024;  // zeros of this length become a hole

tl::unexpected<Error> error(const std::string& what, Errno code) {
  return calf::fail(os::to_error(what, code));
}

struct Entry {
  std::string name;
  FileKind kind;
};

bool is_zero(std::span<const std::byte> bytes) {
  return bytes.empty() || (bytes.front() == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Result<std::vector<Entry>> entries_of(FileSystem& tree, const std::string& path) {
  auto directory = tree.open(path, {.directory = true});
  if (!directory) return error("opening " + path, directory.error());
  std::vector<Entry> entries;
  auto read = (*directory)->read_directory(0, [&](const DirectoryEntry& entry) {
    if (entry.name != "." && entry.name != "..")
      entries.push_back({std::string(entry.name), entry.kind});
    return true;
  });
  if (!read) return error("listing " + path, read.error());
  return entries;
}

std::string join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "/" + name;
}

class Copier {
 public:
  Copier(FileSystem& from, FileSystem& to, const CopyOptions& options)
      : from_(from), to_(to), options_(options), buffer_(kCopySize) {}

  Result<void> run() {
    if (options_.observer) {
      CALF_TRY(progress_.total_bytes, tree_bytes(from_, options_.leave_out));
      CALF_CHECK_OK(options_.observer(progress_));
    }
    return children("");
  }

 private:
  Result<void> children(const std::string& path) {
    CALF_TRY(auto entries, entries_of(from_, path));
    for (const Entry& entry : entries) {
      if (path.empty() &&
          std::ranges::find(options_.leave_out, entry.name) != options_.leave_out.end())
        continue;
      CALF_CHECK_OK(this->entry(join(path, entry.name), entry.kind));
    }
    return {};
  }

  Result<void> entry(const std::string& path, FileKind kind) {
    if (kind == FileKind::kSymlink) {
      auto target = from_.readlink(path);
      if (!target) return error("reading " + path, target.error());
      auto made = to_.symlink(*target, path);
      return made ? Result<void>() : error("writing " + path, made.error());
    }
    if (kind == FileKind::kRegular) return regular(path);
    if (kind != FileKind::kDirectory) return {};  // nothing that a cluster keeps
    auto stat = from_.stat(path, Follow::kNo);
    if (!stat) return error("reading " + path, stat.error());
    if (auto made = to_.mkdir(path, 0700); !made) return error("creating " + path, made.error());
    CALF_CHECK_OK(children(path));
    auto changed = to_.chmod(path, stat->permissions, Follow::kNo);
    return changed ? Result<void>() : error("setting the mode of " + path, changed.error());
  }

  Result<void> regular(const std::string& path) {
    auto source = from_.open(path, {.no_follow = true});
    if (!source) return error("opening " + path, source.error());
    auto stat = (*source)->stat();
    if (!stat) return error("reading " + path, stat.error());
    auto target = to_.open(path, {.access = Access::kWrite,
                                  .create = true,
                                  .exclusive = true,
                                  .permissions = stat->permissions});
    if (!target) return error("creating " + path, target.error());
    CALF_CHECK_OK(contents(**source, **target, path));
    auto set = [&]() -> Expected<void> {
      CALF_ERRNO_CHECK((*target)->truncate(stat->size_bytes));
      CALF_ERRNO_CHECK((*target)->chmod(stat->permissions));  // the umask may have cut it
      return (*target)->set_times({.kind = TimeChange::Kind::kKeep},
                                  {TimeChange::Kind::kSet, stat->modify_time_ns});
    }();
    return set ? Result<void>() : error("writing " + path, set.error());
  }

  Result<void> contents(File& source, File& target, const std::string& path) {
    for (uint64_t offset = 0;;) {
      auto got = source.pread(buffer_, offset);
      if (!got) return error("reading " + path, got.error());
      if (*got == 0) return {};
      auto put = write_sparsely(target, std::span(buffer_).first(*got), offset);
      if (!put) return error("writing " + path, put.error());
      offset += *got;
      progress_.done_bytes += *got;
      if (options_.observer) CALF_CHECK_OK(options_.observer(progress_));
    }
  }

  FileSystem& from_;
  FileSystem& to_;
  const CopyOptions& options_;
  std::vector<std::byte> buffer_;
  CopyProgress progress_;
};

Result<uint64_t> bytes_below(FileSystem& tree, const std::string& path,
                             const std::vector<std::string>& leave_out) {
  CALF_TRY(auto entries, entries_of(tree, path));
  uint64_t total = 0;
  for (const Entry& entry : entries) {
    if (path.empty() && std::ranges::find(leave_out, entry.name) != leave_out.end()) continue;
    const std::string inside = join(path, entry.name);
    if (entry.kind == FileKind::kDirectory) {
      CALF_TRY(const uint64_t below, bytes_below(tree, inside, leave_out));
      total += below;
    } else if (entry.kind == FileKind::kRegular) {
      auto stat = tree.stat(inside, Follow::kNo);
      if (!stat) return error("reading " + inside, stat.error());
      total += stat->size_bytes;
    }
  }
  return total;
}

}  // namespace

Expected<void> write_sparsely(File& target, std::span<const std::byte> bytes, uint64_t offset) {
  for (size_t at = 0; at < bytes.size();) {
    size_t length = std::min(kHoleSize, bytes.size() - at);
    if (is_zero(bytes.subspan(at, length))) {
      at += length;
      continue;
    }
    size_t end = at + length;
    while (end < bytes.size()) {
      length = std::min(kHoleSize, bytes.size() - end);
      if (is_zero(bytes.subspan(end, length))) break;
      end += length;
    }
    while (at < end) {
      CALF_ERRNO_TRY(size_t written, target.pwrite(bytes.subspan(at, end - at), offset + at));
      if (written == 0) return fail(Errno::kNoSpace);
      at += written;
    }
  }
  return {};
}

Result<uint64_t> tree_bytes(FileSystem& tree, const std::vector<std::string>& leave_out) {
  return bytes_below(tree, "", leave_out);
}

Result<void> copy_tree(FileSystem& from, FileSystem& to, const CopyOptions& options) {
  return Copier(from, to, options).run();
}

Result<void> write_directory(FileSystem& tree, const std::string& path,
                             const CopyOptions& options) {
  return create_directory_whole(
      std::make_shared<os::SystemFiles>(), path,
      [&](const FreshDirectory& fresh) { return copy_tree(tree, fresh.tree, options); });
}

}  // namespace calf::vfs
