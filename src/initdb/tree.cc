#include "initdb/tree.h"

#include <span>
#include <vector>

namespace calf::initdb {
namespace {

// For the owner only, as initdb does without --allow-group-access.
constexpr uint32_t kFilePermissions = 0600;
constexpr uint32_t kDirectoryPermissions = 0700;

tl::unexpected<Error> failed(std::string_view what, const std::string& path, os::Errno code) {
  return fail(os::to_error(std::string(what) + " " + path, code));
}

struct Entry {
  std::string path;
  vfs::FileKind kind;
};

Result<std::vector<Entry>> entries_of(vfs::Namespace& tree, const std::string& directory) {
  auto opened = tree.open("/", directory, {.directory = true});
  if (!opened) return failed("opening", directory, opened.error());
  std::vector<Entry> entries;
  auto read = (*opened)->read_directory(0, [&](const vfs::DirectoryEntry& entry) {
    if (entry.name != "." && entry.name != "..") {
      entries.push_back({directory + "/" + std::string(entry.name), entry.kind});
    }
    return true;
  });
  if (!read) return failed("reading", directory, read.error());
  return entries;
}

Result<void> sync_one(vfs::Namespace& tree, const std::string& path, bool is_directory) {
  auto opened = tree.open("/", path, {.directory = is_directory});
  if (!opened) return failed("opening", path, opened.error());
  if (auto synced = (*opened)->sync(vfs::File::SyncKind::kAll); !synced) {
    return failed("syncing", path, synced.error());
  }
  return {};
}

}  // namespace

Result<std::string> read_file(vfs::Namespace& tree, const std::string& path) {
  auto opened = tree.open("/", path, {});
  if (!opened) return failed("opening", path, opened.error());
  auto stat = (*opened)->stat();
  if (!stat) return failed("reading", path, stat.error());
  std::string text(stat->size_bytes, '\0');
  auto read = (*opened)->pread(std::as_writable_bytes(std::span(text)), 0);
  if (!read) return failed("reading", path, read.error());
  text.resize(*read);
  return text;
}

Result<void> write_file(vfs::Namespace& tree, const std::string& path, std::string_view text) {
  auto opened = tree.open("/", path,
                          {.access = vfs::Access::kWrite,
                           .create = true,
                           .exclusive = true,
                           .permissions = kFilePermissions});
  if (!opened) return failed("creating", path, opened.error());
  auto written = (*opened)->pwrite(std::as_bytes(std::span(text)), 0);
  if (!written) return failed("writing", path, written.error());
  if (*written != text.size()) return failed("writing", path, os::Errno::kNoSpace);
  return {};
}

Result<void> make_directory(vfs::Namespace& tree, const std::string& path) {
  if (auto made = tree.mkdir("/", path, kDirectoryPermissions); !made)
    return failed("creating", path, made.error());
  return {};
}

Result<void> expect_empty(vfs::Namespace& tree, const std::string& directory) {
  CALF_TRY(const auto entries, entries_of(tree, directory));
  if (entries.empty()) return {};
  return fail(ErrorCode::kAlreadyExists,
              "the data directory is not empty: it has " + entries.front().path,
              "take another directory, or empty this one if it is not needed");
}

Result<void> remove_contents(vfs::Namespace& tree, const std::string& directory) {
  CALF_TRY(const auto entries, entries_of(tree, directory));
  for (const Entry& entry : entries) {
    const bool is_directory = entry.kind == vfs::FileKind::kDirectory;
    if (is_directory) CALF_CHECK_OK(remove_contents(tree, entry.path));
    auto removed = is_directory ? tree.rmdir("/", entry.path) : tree.unlink("/", entry.path);
    if (!removed) return failed("removing", entry.path, removed.error());
  }
  return {};
}

Result<void> sync_tree(vfs::Namespace& tree, const std::string& directory) {
  CALF_TRY(const auto entries, entries_of(tree, directory));
  for (const Entry& entry : entries) {
    if (entry.kind == vfs::FileKind::kDirectory) {
      CALF_CHECK_OK(sync_tree(tree, entry.path));
    } else if (entry.kind == vfs::FileKind::kRegular) {
      CALF_CHECK_OK(sync_one(tree, entry.path, false));
    }
  }
  return sync_one(tree, directory, true);
}

}  // namespace calf::initdb
