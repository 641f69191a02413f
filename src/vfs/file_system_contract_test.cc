// What every file system must do, run on every backend.
#include "vfs/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <functional>
#include <set>

#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;
using testing::UnorderedElementsAre;

// One backend: an empty, writable file system and, made over the same files, a read-only view.
struct Backend {
  std::unique_ptr<TemporaryDirectory> host;
  std::string host_path;  // where the files are on the host
  std::string pack_blob;
  std::shared_ptr<void> keep;  // what the file system needs
  std::shared_ptr<FileSystem> fs;
  std::function<void()> make_read_only;
};

using BackendFactory = std::function<Backend()>;

Backend memory_backend() {
  Backend backend;
  auto fs = memory();
  backend.make_read_only = [p = fs.get()] { p->set_read_only(true); };
  backend.fs = std::move(fs);
  return backend;
}

// Memory that has been cloned: everything starts out shared.
Backend clone_backend() {
  Backend backend;
  auto fs = memory()->clone();
  backend.make_read_only = [p = fs.get()] { p->set_read_only(true); };
  backend.fs = std::move(fs);
  return backend;
}

Backend directory_backend() {
  Backend backend;
  backend.host = std::make_unique<TemporaryDirectory>();
  backend.host_path = backend.host->path();
  backend.fs = directory(backend.host_path);
  return backend;
}

// A directory that has a branch, and a branch of it.
Backend branched(bool the_branch) {
  Backend backend;
  backend.host = std::make_unique<TemporaryDirectory>();
  auto branched = branched_directory(backend.host->path());
  auto branch = branched->create({.name = "b"}).value();
  backend.fs = the_branch ? branch : branched->root();
  backend.host_path = backend.host->path() + (the_branch ? "/calf_branches/b/data" : "");
  backend.keep = std::shared_ptr<BranchedDirectory>(std::move(branched));
  return backend;
}
Backend parent_backend() {
  return branched(false);
}
Backend branch_backend() {
  return branched(true);
}

struct Named {
  std::string name;
  BackendFactory make;
};

class FileSystemContract : public testing::TestWithParam<Named> {
 protected:
  FileSystemContract() : backend_(GetParam().make()), fs_(*backend_.fs) {}

  std::unique_ptr<File> open(std::string_view path, OpenOptions options = {}) {
    auto file = fs_.open(path, options);
    EXPECT_TRUE(file) << path << ": errno " << static_cast<int>(error_of(file));
    return file ? std::move(*file) : nullptr;
  }
  std::unique_ptr<File> create(std::string_view path) {
    return open(path, {.access = Access::kReadWrite, .create = true});
  }
  Errno open_error(std::string_view path, OpenOptions options = {}) {
    return error_of(fs_.open(path, options));
  }

  Backend backend_;
  FileSystem& fs_;
};

TEST_P(FileSystemContract, reads_back_what_was_written) {
  auto file = create("a");
  EXPECT_EQ(file->pwrite(bytes("hello"), 0).value(), 5u);
  EXPECT_EQ(file->pwrite(bytes("J"), 0).value(), 1u);
  EXPECT_EQ(get(*file), "Jello");
  EXPECT_EQ(get(fs_, "a"), "Jello");
}

TEST_P(FileSystemContract, reads_and_writes_vectors_at_offsets) {
  auto file = create("a");
  std::string x = "abc", y = "", z = "defg";
  std::array<iovec, 3> out{iovec{x.data(), 3}, iovec{y.data(), 0}, iovec{z.data(), 4}};
  EXPECT_EQ(file->pwritev(out, 2).value(), 7u);
  std::string p(4, '?'), q(10, '?');
  std::array<iovec, 2> in{iovec{p.data(), 4}, iovec{q.data(), 10}};
  EXPECT_EQ(file->preadv(in, 0).value(), 9u);
  EXPECT_EQ(p + q.substr(0, 5), std::string("\0\0abcdefg", 9));
}

TEST_P(FileSystemContract, reads_nothing_at_and_past_the_end) {
  auto file = create("a");
  ASSERT_TRUE(file->pwrite(bytes("abc"), 0));
  std::array<std::byte, 4> buffer;
  EXPECT_EQ(file->pread(buffer, 3).value(), 0u);
  EXPECT_EQ(file->pread(buffer, 1'000'000).value(), 0u);
  EXPECT_EQ(file->pread(buffer, 1).value(), 2u);
}

TEST_P(FileSystemContract, holes_read_as_zeros) {
  auto file = create("a");
  ASSERT_TRUE(file->pwrite(bytes("x"), 300'000));
  EXPECT_EQ(file->stat().value().size_bytes, 300'001u);
  std::string text = get(*file);
  EXPECT_EQ(text.find_first_not_of('\0'), 300'000u);
}

TEST_P(FileSystemContract, writes_across_chunk_borders) {
  auto file = create("a");
  std::string text(200'000, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  for (size_t at = 0; at < text.size(); at += 7'777) {
    std::string_view part = std::string_view(text).substr(at, 7'777);
    ASSERT_EQ(file->pwrite(bytes(part), at).value(), part.size());
  }
  EXPECT_EQ(get(*file), text);
}

TEST_P(FileSystemContract, truncate_cuts_and_grows_with_zeros) {
  auto file = create("a");
  ASSERT_TRUE(file->pwrite(bytes(std::string(100'000, 'x')), 0));
  ASSERT_TRUE(file->truncate(70'000));
  ASSERT_TRUE(file->truncate(70'010));
  std::string text = get(*file);
  EXPECT_EQ(text, std::string(70'000, 'x') + std::string(10, '\0'));
  ASSERT_TRUE(file->truncate(3));
  ASSERT_TRUE(file->truncate(100'000));
  EXPECT_EQ(get(*file), "xxx" + std::string(99'997, '\0'));
  ASSERT_TRUE(file->truncate(0));
  EXPECT_EQ(get(*file), "");
}

TEST_P(FileSystemContract, refuses_absurd_sizes) {
  auto file = create("a");
  EXPECT_EQ(error_of(file->truncate(uint64_t{1} << 63)), Errno::kFileTooBig);
  EXPECT_EQ(error_of(file->pwrite(bytes("x"), uint64_t{1} << 62)), Errno::kFileTooBig);
}

TEST_P(FileSystemContract, allocate_grows_but_keeps_contents) {
  auto file = create("a");
  ASSERT_TRUE(file->pwrite(bytes("abc"), 0));
  ASSERT_TRUE(file->allocate(0, 20'000));
  EXPECT_EQ(file->stat().value().size_bytes, 20'000u);
  ASSERT_TRUE(file->allocate(0, 10));
  EXPECT_EQ(get(*file), "abc" + std::string(19'997, '\0'));
  EXPECT_EQ(error_of(file->allocate(0, 0)), Errno::kInvalid);
}

TEST_P(FileSystemContract, append_writes_at_the_end) {
  put(fs_, "a", "one");
  auto file = open("a", {.access = Access::kWrite, .append = true});
  std::string two = "two";
  iovec v{two.data(), two.size()};
  EXPECT_EQ(file->append({&v, 1}).value(), 3u);
  EXPECT_EQ(file->append({&v, 1}).value(), 3u);
  EXPECT_EQ(get(fs_, "a"), "onetwotwo");
}

TEST_P(FileSystemContract, keeps_to_the_access_it_was_opened_with) {
  put(fs_, "a", "abc");
  auto reader = open("a");
  auto writer = open("a", {.access = Access::kWrite});
  std::array<std::byte, 3> buffer;
  EXPECT_EQ(error_of(reader->pwrite(bytes("x"), 0)), Errno::kBadFd);
  EXPECT_EQ(error_of(writer->pread(buffer, 0)), Errno::kBadFd);
  EXPECT_EQ(error_of(reader->truncate(0)), Errno::kInvalid);
}

TEST_P(FileSystemContract, open_creates_truncates_and_excludes) {
  EXPECT_EQ(open_error("a"), Errno::kNoEntry);
  put(fs_, "a", "abc");
  OpenOptions exclusive{.access = Access::kWrite, .create = true, .exclusive = true};
  EXPECT_EQ(open_error("a", exclusive), Errno::kExists);
  EXPECT_NE(open("b", exclusive), nullptr);
  EXPECT_NE(open("a", {.access = Access::kWrite, .create = true}), nullptr);
  EXPECT_EQ(get(fs_, "a"), "abc");
  EXPECT_NE(open("a", {.access = Access::kWrite, .truncate = true}), nullptr);
  EXPECT_EQ(get(fs_, "a"), "");
}

TEST_P(FileSystemContract, tells_files_from_directories) {
  put(fs_, "f", "");
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  EXPECT_EQ(open_error("f", {.directory = true}), Errno::kNotDirectory);
  EXPECT_EQ(open_error("d", {.access = Access::kWrite}), Errno::kIsDirectory);
  EXPECT_EQ(open_error("d", {.create = true}), Errno::kIsDirectory);
  EXPECT_EQ(open_error("f/x"), Errno::kNotDirectory);
  EXPECT_EQ(open_error("f/"), Errno::kNotDirectory);
  EXPECT_EQ(open_error("f/.."), Errno::kNotDirectory);
  EXPECT_EQ(open_error("none/x", {.create = true}), Errno::kNoEntry);
  EXPECT_EQ(error_of(fs_.stat("f/", Follow::kYes)), Errno::kNotDirectory);
  EXPECT_EQ(error_of(fs_.unlink("d")), Errno::kIsDirectory);
  EXPECT_EQ(error_of(fs_.rmdir("f")), Errno::kNotDirectory);
  auto directory = open("d", {.directory = true});
  EXPECT_EQ(directory->kind(), FileKind::kDirectory);
  std::array<std::byte, 3> buffer;
  EXPECT_EQ(error_of(directory->pread(buffer, 0)), Errno::kIsDirectory);
  EXPECT_TRUE(directory->sync(File::SyncKind::kAll));
}

TEST_P(FileSystemContract, stat_says_what_a_file_is) {
  put(fs_, "f", "abc");
  ASSERT_TRUE(fs_.mkdir("d", 0700));
  ASSERT_TRUE(fs_.symlink("f", "l"));
  Stat f = fs_.stat("f", Follow::kNo).value();
  EXPECT_EQ(f.kind, FileKind::kRegular);
  EXPECT_EQ(f.size_bytes, 3u);
  EXPECT_EQ(f.permissions, 0644u);
  EXPECT_EQ(f.links, 1u);
  Stat d = fs_.stat("d", Follow::kNo).value();
  EXPECT_EQ(d.kind, FileKind::kDirectory);
  EXPECT_EQ(d.permissions, 0700u);
  EXPECT_EQ(fs_.stat("l", Follow::kNo).value().kind, FileKind::kSymlink);
  EXPECT_EQ(fs_.stat("l", Follow::kNo).value().size_bytes, 1u);
  EXPECT_EQ(fs_.stat("l", Follow::kYes).value().inode, f.inode);
  EXPECT_EQ(open("f")->stat().value().inode, f.inode);
  EXPECT_EQ(fs_.stat("", Follow::kYes).value().kind, FileKind::kDirectory);
  EXPECT_EQ(fs_.stat(".", Follow::kYes).value().kind, FileKind::kDirectory);
  EXPECT_EQ(fs_.stat("d/..", Follow::kYes).value().inode, fs_.stat("", Follow::kYes)->inode);
}

TEST_P(FileSystemContract, times_and_modes_can_be_set) {
  put(fs_, "f", "abc");
  ASSERT_TRUE(fs_.chmod("f", 0600, Follow::kYes));
  TimeChange at{TimeChange::Kind::kSet, 1'234'567'890'123'456'789};
  ASSERT_TRUE(fs_.set_times("f", {TimeChange::Kind::kKeep}, at, Follow::kYes));
  Stat f = fs_.stat("f", Follow::kYes).value();
  EXPECT_EQ(f.permissions, 0600u);
  EXPECT_EQ(f.modify_time_ns, 1'234'567'890'123'456'789);
  EXPECT_GT(f.access_time_ns, 1'500'000'000'000'000'000);
  auto file = open("f", {.access = Access::kWrite});
  ASSERT_TRUE(file->pwrite(bytes("x"), 0));
  EXPECT_GT(file->stat().value().modify_time_ns, 1'500'000'000'000'000'000);
  ASSERT_TRUE(file->chmod(0640));
  EXPECT_EQ(file->stat().value().permissions, 0640u);
}

TEST_P(FileSystemContract, unlinked_files_live_while_open) {
  auto file = create("a");
  ASSERT_TRUE(file->pwrite(bytes("abc"), 0));
  ASSERT_TRUE(fs_.unlink("a"));
  EXPECT_EQ(open_error("a"), Errno::kNoEntry);
  EXPECT_EQ(file->stat().value().links, 0u);
  ASSERT_TRUE(file->pwrite(bytes("def"), 3));
  put(fs_, "a", "new");
  EXPECT_EQ(get(*file), "abcdef");
  file.reset();
  EXPECT_EQ(get(fs_, "a"), "new");
}

TEST_P(FileSystemContract, hard_links_share_contents) {
  put(fs_, "a", "abc");
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  ASSERT_TRUE(fs_.link("a", "d/b"));
  EXPECT_EQ(fs_.stat("a", Follow::kNo).value().links, 2u);
  put(fs_, "d/b", "xyz");
  EXPECT_EQ(get(fs_, "a"), "xyz");
  ASSERT_TRUE(fs_.unlink("a"));
  EXPECT_EQ(get(fs_, "d/b"), "xyz");
  EXPECT_EQ(error_of(fs_.link("d", "e")), Errno::kPerm);
  EXPECT_EQ(error_of(fs_.link("none", "e")), Errno::kNoEntry);
  put(fs_, "c", "");
  EXPECT_EQ(error_of(fs_.link("c", "d/b")), Errno::kExists);
}

TEST_P(FileSystemContract, rename_replaces_files_in_one_step) {
  put(fs_, "a", "new");
  put(fs_, "b", "old");
  auto old = open("b");
  ASSERT_TRUE(fs_.rename("a", "b"));
  EXPECT_EQ(open_error("a"), Errno::kNoEntry);
  EXPECT_EQ(get(fs_, "b"), "new");
  EXPECT_EQ(get(*old), "old");
  ASSERT_TRUE(fs_.rename("b", "b"));
  EXPECT_EQ(get(fs_, "b"), "new");
  ASSERT_TRUE(fs_.link("b", "c"));
  ASSERT_TRUE(fs_.rename("b", "c"));  // the same file: nothing happens
  EXPECT_EQ(get(fs_, "b"), "new");
}

TEST_P(FileSystemContract, rename_moves_directories) {
  ASSERT_TRUE(fs_.mkdir("a", 0755));
  ASSERT_TRUE(fs_.mkdir("a/x", 0755));
  put(fs_, "a/x/f", "abc");
  ASSERT_TRUE(fs_.mkdir("b", 0755));
  ASSERT_TRUE(fs_.rename("a/x", "b/y"));
  EXPECT_EQ(get(fs_, "b/y/f"), "abc");
  EXPECT_EQ(fs_.stat("b/y/..", Follow::kYes)->inode, fs_.stat("b", Follow::kYes)->inode);
  EXPECT_EQ(error_of(fs_.rename("b", "b/y/z")), Errno::kInvalid);
  EXPECT_EQ(error_of(fs_.rename("b", "b/b")), Errno::kInvalid);
  ASSERT_TRUE(fs_.mkdir("empty", 0755));
  ASSERT_TRUE(fs_.rename("b/y", "empty"));
  EXPECT_EQ(get(fs_, "empty/f"), "abc");
}

TEST_P(FileSystemContract, rename_refuses_what_does_not_fit) {
  put(fs_, "f", "");
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  ASSERT_TRUE(fs_.mkdir("full", 0755));
  put(fs_, "full/x", "");
  EXPECT_EQ(error_of(fs_.rename("none", "f")), Errno::kNoEntry);
  EXPECT_EQ(error_of(fs_.rename("f", "d")), Errno::kIsDirectory);
  EXPECT_EQ(error_of(fs_.rename("d", "f")), Errno::kNotDirectory);
  EXPECT_EQ(error_of(fs_.rename("d", "full")), Errno::kNotEmpty);
  EXPECT_EQ(error_of(fs_.rename("f", "none/f")), Errno::kNoEntry);
  EXPECT_EQ(error_of(fs_.rename("f", "g/")), Errno::kNotDirectory);
  EXPECT_EQ(error_of(fs_.rename("d/.", "e")), Errno::kBusy);
  EXPECT_EQ(error_of(fs_.rename("", "e")), Errno::kBusy);
}

TEST_P(FileSystemContract, directories_are_made_and_removed) {
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  ASSERT_TRUE(fs_.mkdir("d/e/", 0755));
  EXPECT_EQ(error_of(fs_.mkdir("d", 0755)), Errno::kExists);
  EXPECT_EQ(error_of(fs_.mkdir("", 0755)), Errno::kExists);
  EXPECT_EQ(error_of(fs_.mkdir("d/.", 0755)), Errno::kExists);
  EXPECT_EQ(error_of(fs_.mkdir("x/y", 0755)), Errno::kNoEntry);
  EXPECT_EQ(error_of(fs_.rmdir("d")), Errno::kNotEmpty);
  EXPECT_EQ(error_of(fs_.rmdir("d/.")), Errno::kInvalid);
  EXPECT_EQ(error_of(fs_.rmdir("d/e/..")), Errno::kNotEmpty);
  EXPECT_EQ(error_of(fs_.rmdir("none")), Errno::kNoEntry);
  EXPECT_EQ(error_of(fs_.rmdir("")), Errno::kBusy);
  ASSERT_TRUE(fs_.rmdir("d/e"));
  ASSERT_TRUE(fs_.rmdir("d"));
  EXPECT_EQ(error_of(fs_.stat("d", Follow::kYes)), Errno::kNoEntry);
}

TEST_P(FileSystemContract, a_removed_directory_takes_nothing_new) {
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  auto directory = open("d", {.directory = true});
  ASSERT_TRUE(fs_.rmdir("d"));
  EXPECT_EQ(open_error("d/x", {.access = Access::kWrite, .create = true}), Errno::kNoEntry);
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  put(fs_, "d/x", "");
  EXPECT_EQ(list(*directory).size() <= 2, true);
}

TEST_P(FileSystemContract, lists_directories) {
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  put(fs_, "d/f", "");
  ASSERT_TRUE(fs_.mkdir("d/s", 0755));
  ASSERT_TRUE(fs_.symlink("f", "d/l"));
  auto directory = open("d", {.directory = true});
  EXPECT_THAT(list(*directory), UnorderedElementsAre(".", "..", "f", "s", "l"));
  std::set<std::pair<std::string, FileKind>> kinds;
  ASSERT_TRUE(directory->read_directory(0, [&](const DirectoryEntry& entry) {
    kinds.emplace(entry.name, entry.kind);
    return true;
  }));
  EXPECT_TRUE(kinds.contains({"f", FileKind::kRegular}));
  EXPECT_TRUE(kinds.contains({"s", FileKind::kDirectory}));
  EXPECT_TRUE(kinds.contains({"l", FileKind::kSymlink}));
  EXPECT_EQ(error_of(open("d/f")->read_directory(0, [](const DirectoryEntry&) { return true; })),
            Errno::kNotDirectory);
}

TEST_P(FileSystemContract, a_listing_can_stop_and_go_on_while_entries_come_and_go) {
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  for (int i = 0; i < 600; ++i) put(fs_, "d/" + std::to_string(i), "");
  auto directory = open("d", {.directory = true});
  std::multiset<std::string> seen;
  uint64_t cookie = 0;
  for (bool more = true; more;) {
    more = false;
    int taken = 0;
    ASSERT_TRUE(directory->read_directory(cookie, [&](const DirectoryEntry& entry) {
      seen.emplace(entry.name);
      cookie = entry.next_cookie;
      return (more = true) && ++taken < 7;
    }));
    // Remove what was seen, as rmtree does.
    for (const std::string& name : seen)
      if (name[0] != '.' && name.back() == '3') (void)fs_.unlink("d/" + name);
  }
  EXPECT_EQ(seen.size(), 602u);
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 602u);
}

TEST_P(FileSystemContract, symlinks_are_followed_inside) {
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  put(fs_, "d/f", "abc");
  ASSERT_TRUE(fs_.symlink("d", "to_d"));
  ASSERT_TRUE(fs_.symlink("../d/f", "d/up"));
  ASSERT_TRUE(fs_.symlink("to_d/up", "chain"));
  EXPECT_EQ(get(fs_, "to_d/f"), "abc");
  EXPECT_EQ(get(fs_, "d/up"), "abc");
  EXPECT_EQ(get(fs_, "chain"), "abc");
  EXPECT_EQ(fs_.readlink("chain").value(), "to_d/up");
  EXPECT_EQ(error_of(fs_.readlink("d")), Errno::kInvalid);
  EXPECT_EQ(fs_.stat("to_d/", Follow::kNo).value().kind, FileKind::kDirectory);
  EXPECT_EQ(open_error("chain", {.no_follow = true}), Errno::kLoop);
  EXPECT_EQ(open_error("to_d", {.directory = true, .no_follow = true}), Errno::kNotDirectory);
  EXPECT_EQ(error_of(fs_.rmdir("to_d")), Errno::kNotDirectory);
  ASSERT_TRUE(fs_.unlink("to_d"));
  EXPECT_EQ(get(fs_, "d/f"), "abc");
}

TEST_P(FileSystemContract, dangling_symlinks_name_a_file_to_create) {
  ASSERT_TRUE(fs_.symlink("later", "l"));
  EXPECT_EQ(open_error("l"), Errno::kNoEntry);
  EXPECT_EQ(open_error("l", {.access = Access::kWrite, .create = true, .exclusive = true}),
            Errno::kExists);
  put(fs_, "l", "abc");
  EXPECT_EQ(get(fs_, "later"), "abc");
  EXPECT_EQ(error_of(fs_.mkdir("l", 0755)), Errno::kExists);
}

TEST_P(FileSystemContract, symlink_loops_end) {
  ASSERT_TRUE(fs_.symlink("b", "a"));
  ASSERT_TRUE(fs_.symlink("a", "b"));
  EXPECT_EQ(open_error("a"), Errno::kLoop);
  EXPECT_EQ(error_of(fs_.stat("a/x", Follow::kYes)), Errno::kLoop);
}

TEST_P(FileSystemContract, nothing_leads_out) {
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  ASSERT_TRUE(fs_.symlink("/etc/passwd", "absolute"));
  ASSERT_TRUE(fs_.symlink("/etc", "absolute_dir"));
  ASSERT_TRUE(fs_.symlink("../../../../../../etc/passwd", "relative"));
  ASSERT_TRUE(fs_.symlink("../..", "d/up"));
  ASSERT_TRUE(fs_.symlink("d/up", "chain"));
  ASSERT_TRUE(fs_.symlink("/proc/self/root/etc/passwd", "magic"));
  for (const char* path :
       {"../x", "..", "d/../../x", "/etc/passwd", "/", "absolute", "absolute_dir/passwd",
        "relative", "d/up", "d/up/x", "chain/x", "chain", "magic"}) {
    EXPECT_EQ(open_error(path), Errno::kCrossDevice) << path;
    EXPECT_EQ(open_error(path, {.access = Access::kWrite, .create = true}), Errno::kCrossDevice)
        << path;
    EXPECT_EQ(error_of(fs_.stat(path, Follow::kYes)), Errno::kCrossDevice) << path;
    EXPECT_EQ(error_of(fs_.chmod(path, 0777, Follow::kYes)), Errno::kCrossDevice) << path;
  }
  for (const char* path : {"../x", "d/../../x", "/x", "d/up/x", "chain/x", "absolute_dir/x"}) {
    EXPECT_EQ(error_of(fs_.mkdir(path, 0755)), Errno::kCrossDevice) << path;
    EXPECT_EQ(error_of(fs_.rmdir(path)), Errno::kCrossDevice) << path;
    EXPECT_EQ(error_of(fs_.unlink(path)), Errno::kCrossDevice) << path;
    EXPECT_EQ(error_of(fs_.rename(path, "y")), Errno::kCrossDevice) << path;
    EXPECT_EQ(error_of(fs_.rename("d", path)), Errno::kCrossDevice) << path;
    EXPECT_EQ(error_of(fs_.link("absolute", path)), Errno::kCrossDevice) << path;
    EXPECT_EQ(error_of(fs_.symlink("x", path)), Errno::kCrossDevice) << path;
    EXPECT_EQ(error_of(fs_.readlink(path)), Errno::kCrossDevice) << path;
  }
}

TEST_P(FileSystemContract, names_may_be_any_bytes) {
  for (std::string name : {"\xff\xfe", " ", "a b", "-", "...", "..a", "\n", "*", "\xe4\xb8\xad"}) {
    put(fs_, name, name);
    EXPECT_EQ(get(fs_, name), name);
  }
  auto root = open("", {.directory = true});
  EXPECT_EQ(list(*root).size(), 11u);
}

TEST_P(FileSystemContract, names_and_paths_have_limits) {
  std::string longest(255, 'n'), too_long(256, 'n');
  put(fs_, longest, "abc");
  EXPECT_EQ(get(fs_, longest), "abc");
  EXPECT_EQ(open_error(too_long), Errno::kNameTooLong);
  EXPECT_EQ(open_error(too_long, {.access = Access::kWrite, .create = true}), Errno::kNameTooLong);
  EXPECT_EQ(error_of(fs_.mkdir(too_long, 0755)), Errno::kNameTooLong);
  EXPECT_EQ(error_of(fs_.rename(longest, too_long)), Errno::kNameTooLong);
  EXPECT_EQ(error_of(fs_.stat(too_long + "/x", Follow::kYes)), Errno::kNameTooLong);
  std::string path(5000, '.');
  for (size_t i = 1; i < path.size(); i += 2) path[i] = '/';
  EXPECT_EQ(error_of(fs_.stat(path, Follow::kYes)), Errno::kNameTooLong);
}

TEST_P(FileSystemContract, slashes_and_dots_do_not_matter) {
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  put(fs_, "d/f", "abc");
  EXPECT_EQ(get(fs_, "d//f"), "abc");
  EXPECT_EQ(get(fs_, "./d/./f"), "abc");
  EXPECT_EQ(get(fs_, "d/../d/f"), "abc");
  EXPECT_EQ(fs_.stat("d/", Follow::kYes).value().kind, FileKind::kDirectory);
}

TEST_P(FileSystemContract, mappings_and_files_show_the_same_bytes) {
  auto file = create("a");
  ASSERT_TRUE(file->pwrite(bytes("abc"), 0));
  ASSERT_TRUE(file->truncate(70'000));
  auto mapping = file->map_shared(0, 70'000).value();
  void* address = mmap(nullptr, 70'000, PROT_READ | PROT_WRITE, MAP_SHARED, mapping.fd,
                       static_cast<off_t>(mapping.offset));
  ASSERT_NE(address, MAP_FAILED);
  char* text = static_cast<char*>(address);
  EXPECT_EQ(std::string_view(text, 3), "abc");
  text[69'999] = 'z';
  auto other = open("a", {.access = Access::kReadWrite});
  EXPECT_EQ(get(*other).back(), 'z');
  ASSERT_TRUE(other->pwrite(bytes("x"), 1));
  EXPECT_EQ(text[1], 'x');
  ASSERT_TRUE(file->truncate(200'000));  // the mapping stays good
  text[2] = 'y';
  EXPECT_EQ(get(*file).substr(0, 3), "axy");
  // A second user maps the same bytes.
  auto second = other->map_shared(4096, 4096).value();
  void* part =
      mmap(nullptr, 4096, PROT_READ, MAP_SHARED, second.fd, static_cast<off_t>(second.offset));
  text[5000] = 'q';
  EXPECT_EQ(static_cast<char*>(part)[5000 - 4096], 'q');
  munmap(part, 4096);
  munmap(address, 70'000);
  EXPECT_EQ(error_of(file->map_shared(1, 1)), Errno::kInvalid);
  EXPECT_EQ(error_of(file->map_shared(0, 200'001)), Errno::kInvalid);
  EXPECT_EQ(error_of(open("", {.directory = true})->map_shared(0, 1)), Errno::kNoDevice);
}

TEST_P(FileSystemContract, syncs) {
  auto file = create("a");
  ASSERT_TRUE(file->pwrite(bytes("abc"), 0));
  EXPECT_TRUE(file->sync(File::SyncKind::kAll));
  EXPECT_TRUE(file->sync(File::SyncKind::kDataOnly));
}

TEST_P(FileSystemContract, says_how_full_it_is) {
  FsStat stat = fs_.statfs().value();
  EXPECT_GT(stat.blocks, 0u);
  EXPECT_GE(stat.block_size_bytes, 512u);
}

TEST_P(FileSystemContract, read_only_refuses_every_change) {
  put(fs_, "f", "abc");
  ASSERT_TRUE(fs_.mkdir("d", 0755));
  std::unique_ptr<DirectoryFileSystem> view;
  FileSystem* fs = &fs_;
  if (backend_.make_read_only) {
    backend_.make_read_only();
  } else {
    view = directory(backend_.host_path, true);
    fs = view.get();
  }
  EXPECT_TRUE(fs->read_only());
  EXPECT_EQ(get(*fs, "f"), "abc");
  EXPECT_TRUE(fs->open("f", {.create = true}));
  OpenOptions writing{.access = Access::kWrite};
  EXPECT_EQ(error_of(fs->open("f", writing)), Errno::kReadOnly);
  EXPECT_EQ(error_of(fs->open("f", {.truncate = true})), Errno::kReadOnly);
  EXPECT_EQ(error_of(fs->open("g", {.access = Access::kWrite, .create = true})), Errno::kReadOnly);
  EXPECT_EQ(error_of(fs->open("g", {})), Errno::kNoEntry);
  EXPECT_EQ(error_of(fs->mkdir("e", 0755)), Errno::kReadOnly);
  EXPECT_EQ(error_of(fs->rmdir("d")), Errno::kReadOnly);
  EXPECT_EQ(error_of(fs->unlink("f")), Errno::kReadOnly);
  EXPECT_EQ(error_of(fs->rename("f", "g")), Errno::kReadOnly);
  EXPECT_EQ(error_of(fs->link("f", "g")), Errno::kReadOnly);
  EXPECT_EQ(error_of(fs->symlink("f", "g")), Errno::kReadOnly);
  EXPECT_EQ(error_of(fs->chmod("f", 0600, Follow::kYes)), Errno::kReadOnly);
  EXPECT_EQ(error_of(fs->set_times("f", {}, {}, Follow::kYes)), Errno::kReadOnly);
  EXPECT_EQ(error_of((*fs->open("f", {}))->chmod(0600)), Errno::kReadOnly);
  EXPECT_EQ(get(*fs, "f"), "abc");
}

INSTANTIATE_TEST_SUITE_P(Backends, FileSystemContract,
                         testing::Values(Named{"memory", memory_backend},
                                         Named{"clone", clone_backend},
                                         Named{"directory", directory_backend},
                                         Named{"parent", parent_backend},
                                         Named{"branch", branch_backend}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace calf::vfs
