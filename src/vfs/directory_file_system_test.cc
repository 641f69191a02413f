#include "vfs/directory_file_system.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;

TEST(DirectoryFileSystem, says_when_there_is_no_directory) {
  auto fs = DirectoryFileSystem::open(
      {.path = "/nonexistent/x", .files = std::make_shared<os::SystemFiles>()});
  ASSERT_FALSE(fs);
  EXPECT_EQ(fs.error().code, ErrorCode::kNotFound);
}

class NoOpenat2 : public os::SystemFiles {
 public:
  os::Expected<int> open(int dir, const char* path, int flags, mode_t mode,
                         os::Resolve resolve) override {
    if (resolve == os::Resolve::kBeneath) return os::fail(os::Errno::kNotSupportedCall);
    return SystemFiles::open(dir, path, flags, mode, resolve);
  }
};

TEST(DirectoryFileSystem, refuses_a_kernel_that_cannot_confine) {
  TemporaryDirectory host;
  auto fs =
      DirectoryFileSystem::open({.path = host.path(), .files = std::make_shared<NoOpenat2>()});
  ASSERT_FALSE(fs);
  EXPECT_EQ(fs.error().code, ErrorCode::kUnsupported);
  EXPECT_FALSE(fs.error().hint.empty());
}

TEST(DirectoryFileSystem, does_not_wait_for_a_fifo_nor_use_it) {
  TemporaryDirectory host;
  auto fs = directory(host.path());
  ASSERT_EQ(mkfifo((host.path() + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(error_of(fs->open("fifo", {})), Errno::kAccess);
}

TEST(DirectoryFileSystem, can_be_synced_by_another_thread) {
  TemporaryDirectory host;
  auto fs = directory(host.path());
  put(*fs, "a", "abc");
  auto file = fs->open("a", {.access = Access::kWrite}).value();
  EXPECT_TRUE(file->sync_waits());
  std::thread([&] { EXPECT_TRUE(file->sync(File::SyncKind::kAll)); }).join();
}

// Another program swaps a directory for a symlink that leads out, again and again.
TEST(DirectoryFileSystem, holds_when_symlinks_are_swapped_in_under_it) {
  TemporaryDirectory outside;
  TemporaryDirectory host;
  auto fs = directory(host.path());
  {
    std::FILE* f = std::fopen((outside.path() + "/secret").c_str(), "w");
    std::fclose(f);
  }
  ASSERT_TRUE(fs->mkdir("real", 0755));
  std::string link = host.path() + "/evil", here = host.path() + "/d", away = host.path() + "/real";
  ASSERT_EQ(symlink(outside.path().c_str(), link.c_str()), 0);
  std::atomic<bool> stop = false;
  std::thread attacker([&] {
    os::SystemFiles files;
    while (!stop) {
      (void)rename(away.c_str(), here.c_str());
      (void)rename(here.c_str(), away.c_str());
      (void)rename(link.c_str(), here.c_str());
      (void)rename(here.c_str(), link.c_str());
    }
  });
  for (int i = 0; i < 5000; ++i) {
    EXPECT_FALSE(fs->open("d/secret", {}));
    (void)fs->mkdir("d/made", 0755);
    (void)fs->rmdir("d/made");
    (void)fs->unlink("d/secret");
    (void)fs->open("d/made2", {.access = Access::kWrite, .create = true});
  }
  stop = true;
  attacker.join();
  EXPECT_TRUE(std::filesystem::exists(outside.path() + "/secret"));
  EXPECT_FALSE(std::filesystem::exists(outside.path() + "/made"));
  EXPECT_FALSE(std::filesystem::exists(outside.path() + "/made2"));
}

}  // namespace
}  // namespace calf::vfs
