#include "vfs/tree_copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;
using testing::UnorderedElementsAre;

std::unique_ptr<MemoryFileSystem> example() {
  auto fs = memory();
  EXPECT_TRUE(fs->mkdir("d", 0750));
  EXPECT_TRUE(fs->mkdir("d/empty", 0500));
  put(*fs, "d/f", std::string(300'000, 'x') + std::string(100'000, '\0') + "end");
  put(*fs, "zeros", "");
  EXPECT_TRUE(fs->open("zeros", {.access = Access::kWrite}).value()->truncate(1'000'000));
  put(*fs, "postmaster.pid", "1");
  EXPECT_TRUE(fs->chmod("d/f", 0440, Follow::kYes));
  EXPECT_TRUE(
      fs->set_times("d/f", {}, {TimeChange::Kind::kSet, 1'500'000'000'123'000'000}, Follow::kYes));
  EXPECT_TRUE(fs->symlink("d/f", "l"));
  return fs;
}

void expect_example(FileSystem& fs) {
  EXPECT_EQ(get(fs, "l"), std::string(300'000, 'x') + std::string(100'000, '\0') + "end");
  EXPECT_EQ(fs.stat("l", Follow::kNo)->kind, FileKind::kSymlink);
  EXPECT_EQ(get(fs, "zeros"), std::string(1'000'000, '\0'));
  EXPECT_EQ(fs.stat("d/f", Follow::kNo)->permissions, 0440u);
  EXPECT_EQ(fs.stat("d/f", Follow::kNo)->modify_time_ns, 1'500'000'000'123'000'000);
  EXPECT_EQ(fs.stat("d", Follow::kNo)->permissions, 0750u);
  EXPECT_EQ(fs.stat("d/empty", Follow::kNo)->permissions, 0500u);
  EXPECT_EQ(get(fs, "postmaster.pid"), "errno 2");
}

TEST(TreeCopy, copies_everything_but_what_is_left_out) {
  auto from = example();
  auto to = memory();
  ASSERT_TRUE(copy_tree(*from, *to, {.leave_out = {"postmaster.pid"}}));
  expect_example(*to);
  EXPECT_LT(to->used_bytes(), 500'000u);  // zeros became holes
}

TEST(TreeCopy, tells_how_far_it_is_and_can_be_stopped) {
  auto from = example();
  auto to = memory();
  CopyProgress last;
  ASSERT_TRUE(copy_tree(*from, *to, {.leave_out = {}, .observer = [&](const CopyProgress& now) {
                                       EXPECT_GE(now.done_bytes, last.done_bytes);
                                       last = now;
                                       return Result<void>();
                                     }}));
  EXPECT_EQ(last.total_bytes, 1'400'004u);
  EXPECT_EQ(last.done_bytes, last.total_bytes);
  auto stopped = copy_tree(*from, *memory(), {.leave_out = {}, .observer = [](const CopyProgress&) {
                                                return calf::fail(ErrorCode::kCancelled, "stop");
                                              }});
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
}

TEST(TreeCopy, directories_appear_whole) {
  TemporaryDirectory host;
  auto from = example();
  const std::string path = host.path() + "/sub/target";
  ASSERT_TRUE(write_directory(*from, path, {.leave_out = {"postmaster.pid"}}));
  expect_example(*directory(path));
  auto again = write_directory(*from, path, {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  std::filesystem::create_directory(host.path() + "/empty");
  EXPECT_TRUE(write_directory(*from, host.path() + "/empty/", {.leave_out = {"postmaster.pid"}}));
  expect_example(*directory(host.path() + "/empty"));
}

}  // namespace
}  // namespace calf::vfs
