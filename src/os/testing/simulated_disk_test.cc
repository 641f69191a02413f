#include "os/testing/simulated_disk.h"

#include <gtest/gtest.h>

#include <set>

namespace calf::os::testing {
namespace {

class SimulatedDiskTest : public ::testing::Test {
 protected:
  FileDescriptor open(SimulatedDisk& disk, const char* path, int flags = O_RDWR | O_CREAT) {
    auto fd = disk.open(AT_FDCWD, path, flags, 0600, Resolve::kAnywhere);
    EXPECT_TRUE(fd) << path << ": errno " << static_cast<int>(fd.error());
    return {disk, fd.value_or(-1)};
  }
  Expected<size_t> write(SimulatedDisk& disk, int fd, std::string_view text, uint64_t offset = 0) {
    const iovec buffer{const_cast<char*>(text.data()), text.size()};
    return disk.pwritev(fd, {&buffer, 1}, offset);
  }
  // A file's text, or "-" when it is not there.
  std::string text(SimulatedDisk& disk, const char* path) {
    auto fd = disk.open(AT_FDCWD, path, O_RDONLY, 0, Resolve::kAnywhere);
    if (!fd) return "-";
    FileDescriptor file(disk, *fd);
    std::string bytes(static_cast<size_t>(disk.fstat(*fd).value().st_size), '?');
    const iovec buffer{bytes.data(), bytes.size()};
    EXPECT_EQ(disk.preadv(*fd, {&buffer, 1}, 0).value(), bytes.size());
    return bytes;
  }
  // What a path may hold after a power cut now.
  std::set<std::string> fates(const SimulatedDisk& disk, const char* path) {
    std::set<std::string> found;
    for (uint64_t seed = 0; seed < 200; ++seed) {
      auto after = disk.after_power_cut(seed);
      found.insert(text(*after, path));
    }
    return found;
  }

  SimulatedDisk disk_;
};

using Texts = std::set<std::string>;

TEST_F(SimulatedDiskTest, keeps_what_was_synced) {
  auto file = open(disk_, "a");
  ASSERT_TRUE(write(disk_, file.get(), "one"));
  ASSERT_TRUE(disk_.fsync(file.get()));
  EXPECT_EQ(fates(disk_, "a"), Texts{"one"});
}

TEST_F(SimulatedDiskTest, may_lose_or_keep_what_was_not) {
  auto file = open(disk_, "a");
  EXPECT_EQ(fates(disk_, "a"), (Texts{"-", ""}));
  ASSERT_TRUE(disk_.fsync(file.get()));
  ASSERT_TRUE(write(disk_, file.get(), "one"));
  ASSERT_TRUE(write(disk_, file.get(), "two", 3));
  EXPECT_EQ(text(disk_, "a"), "onetwo");
  EXPECT_EQ(fates(disk_, "a"), (Texts{"", "one", "onetwo", std::string("\0\0\0two", 6)}));
}

TEST_F(SimulatedDiskTest, tears_writes_between_sectors) {
  auto file = open(disk_, "a");
  ASSERT_TRUE(write(disk_, file.get(), std::string(1024, 'o')));
  ASSERT_TRUE(disk_.fsync(file.get()));
  ASSERT_TRUE(write(disk_, file.get(), std::string(1024, 'n')));
  const std::string o(512, 'o'), n(512, 'n');
  EXPECT_EQ(fates(disk_, "a"), (Texts{o + o, n + n, o + n, n + o}));
}

TEST_F(SimulatedDiskTest, repeats_a_cut_by_its_seed) {
  auto file = open(disk_, "a");
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(write(disk_, file.get(), std::string(700, 'a' + i % 26), i * 700));
  for (uint64_t seed = 0; seed < 20; ++seed)
    EXPECT_EQ(text(*disk_.after_power_cut(seed), "a"), text(*disk_.after_power_cut(seed), "a"));
}

TEST_F(SimulatedDiskTest, renames_in_one_step) {
  auto file = open(disk_, "new");
  ASSERT_TRUE(write(disk_, file.get(), "new"));
  auto old = open(disk_, "old");
  ASSERT_TRUE(write(disk_, old.get(), "old"));
  ASSERT_TRUE(disk_.syncfs(file.get()));
  ASSERT_TRUE(disk_.renameat(AT_FDCWD, "new", AT_FDCWD, "old"));
  EXPECT_EQ(fates(disk_, "old"), (Texts{"old", "new"}));
  for (uint64_t seed = 0; seed < 50; ++seed) {
    auto after = disk_.after_power_cut(seed);
    EXPECT_EQ(text(*after, "old") == "new", text(*after, "new") == "-");
  }
  ASSERT_TRUE(disk_.fsync(open(disk_, "/", O_RDONLY | O_DIRECTORY).get()));
  EXPECT_EQ(fates(disk_, "old"), Texts{"new"});
}

TEST_F(SimulatedDiskTest, keeps_a_directory_with_what_is_synced_in_it) {
  ASSERT_TRUE(disk_.mkdirat(AT_FDCWD, "d", 0700));
  ASSERT_TRUE(disk_.mkdirat(AT_FDCWD, "d/e", 0700));
  auto file = open(disk_, "d/e/f");
  ASSERT_TRUE(write(disk_, file.get(), "deep"));
  auto other = open(disk_, "d/other");
  ASSERT_TRUE(disk_.fsync(file.get()));
  EXPECT_EQ(fates(disk_, "d/e/f"), Texts{"deep"});
  EXPECT_EQ(fates(disk_, "d/other"), (Texts{"-", ""}));
}

TEST_F(SimulatedDiskTest, removes_a_directory_only_after_what_was_in_it) {
  ASSERT_TRUE(disk_.mkdirat(AT_FDCWD, "d", 0700));
  auto file = open(disk_, "d/f");
  ASSERT_TRUE(disk_.syncfs(file.get()));
  ASSERT_TRUE(disk_.unlinkat(AT_FDCWD, "d/f", 0));
  ASSERT_TRUE(disk_.unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
  bool seen_empty = false;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    auto after = disk_.after_power_cut(seed);
    const bool directory = after->fstatat(AT_FDCWD, "d", 0).has_value();
    seen_empty = seen_empty || (directory && text(*after, "d/f") == "-");
    if (!directory) EXPECT_EQ(text(*after, "d/f"), "-");
  }
  EXPECT_TRUE(seen_empty);
}

TEST_F(SimulatedDiskTest, fails_from_the_operation_at_which_the_power_is_cut) {
  auto file = open(disk_, "a");
  ASSERT_TRUE(write(disk_, file.get(), "one"));
  ASSERT_TRUE(disk_.fsync(file.get()));
  disk_.cut_power_at(disk_.operations() + 1);
  ASSERT_TRUE(write(disk_, file.get(), "two"));
  EXPECT_FALSE(disk_.is_cut());
  EXPECT_EQ(disk_.fsync(file.get()).error(), Errno::kIo);
  EXPECT_TRUE(disk_.is_cut());
  EXPECT_EQ(write(disk_, file.get(), "six").error(), Errno::kIo);
  EXPECT_EQ(disk_.open(AT_FDCWD, "a", O_RDONLY, 0, Resolve::kAnywhere).error(), Errno::kIo);
  EXPECT_EQ(fates(disk_, "a"), (Texts{"one", "two"}));
}

TEST_F(SimulatedDiskTest, fails_on_command_and_where_it_is_told) {
  auto a = open(disk_, "a"), b = open(disk_, "b");
  disk_.fail({.call = DiskCall::kWrite,
              .where = [](std::string_view path) { return path == "a"; },
              .error = Errno::kNoSpace,
              .skip = 1,
              .times = 1});
  EXPECT_TRUE(write(disk_, b.get(), "b"));
  EXPECT_TRUE(write(disk_, a.get(), "1"));
  EXPECT_EQ(write(disk_, a.get(), "2").error(), Errno::kNoSpace);
  EXPECT_TRUE(write(disk_, a.get(), "3"));
  EXPECT_EQ(disk_.faults_met(), 1u);
  disk_.fail({.call = DiskCall::kWrite, .short_count = 2});
  EXPECT_EQ(write(disk_, a.get(), "long").value(), 2u);
  disk_.clear_faults();
  EXPECT_EQ(write(disk_, a.get(), "long").value(), 4u);
}

// What makes retrying a failed fsync wrong.
TEST_F(SimulatedDiskTest, loses_for_good_what_a_failed_sync_was_for) {
  auto file = open(disk_, "a");
  ASSERT_TRUE(disk_.fsync(file.get()));
  ASSERT_TRUE(write(disk_, file.get(), "lost"));
  disk_.fail({.call = DiskCall::kSync, .times = 1});
  EXPECT_EQ(disk_.fsync(file.get()).error(), Errno::kIo);
  EXPECT_TRUE(disk_.fsync(file.get()));
  EXPECT_EQ(text(disk_, "a"), "lost");
  EXPECT_EQ(fates(disk_, "a"), Texts{""});
  ASSERT_TRUE(write(disk_, file.get(), "kept"));
  EXPECT_TRUE(disk_.fsync(file.get()));
  EXPECT_EQ(fates(disk_, "a"), Texts{"kept"});
}

TEST_F(SimulatedDiskTest, digests_what_it_was_asked_to_do) {
  SimulatedDisk same, other;
  for (SimulatedDisk* disk : {&disk_, &same, &other}) {
    auto file = open(*disk, "a");
    ASSERT_TRUE(write(*disk, file.get(), "x", disk == &other ? 1 : 0));
  }
  EXPECT_EQ(disk_.operations_digest(), same.operations_digest());
  EXPECT_NE(disk_.operations_digest(), other.operations_digest());
}

}  // namespace
}  // namespace calf::os::testing
