#include "vfs/namespace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vfs/device_file_system.h"
#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;

class NamespaceTest : public testing::Test {
 protected:
  void SetUp() override {
    data_ = memory();
    share_ = memory();
    ASSERT_TRUE(share_->mkdir("share", 0755));
    ASSERT_TRUE(share_->mkdir("bin", 0755));
    put(*share_, "share/zone", "UTC");
    share_->set_read_only(true);
    ASSERT_TRUE(data_->mkdir("base", 0700));
    put(*data_, "base/1", "one");
    ASSERT_TRUE(tree_.mount("/pglite", share_));
    ASSERT_TRUE(tree_.mount("/pglite/data", data_));
    ASSERT_TRUE(tree_.mount("/tmp", std::shared_ptr<FileSystem>(memory())));
    ASSERT_TRUE(tree_.mount(
        "/dev", std::make_shared<DeviceFileSystem>(std::make_shared<os::SystemRandom>())));
    ASSERT_TRUE(tree_.mount("/dev/shm", std::shared_ptr<FileSystem>(memory())));
  }

  std::string read(std::string_view path, std::string_view base = "/pglite/data") {
    auto file = tree_.open(base, path, {});
    if (!file) return "errno " + std::to_string(static_cast<int>(file.error()));
    return get(**file);
  }

  std::shared_ptr<MemoryFileSystem> data_, share_;
  Namespace tree_{clock()};
};

TEST_F(NamespaceTest, a_path_belongs_to_the_longest_mount) {
  EXPECT_EQ(read("/pglite/data/base/1"), "one");
  EXPECT_EQ(read("/pglite/share/zone"), "UTC");
  EXPECT_EQ(read("/pglite/database"), "errno 2");
  EXPECT_EQ(read("/etc/passwd"), "errno 2");
  EXPECT_EQ(tree_.stat("/", "/", Follow::kYes).value().kind, FileKind::kDirectory);
  EXPECT_EQ(tree_.stat("/", "/dev/shm", Follow::kYes).value().kind, FileKind::kDirectory);
  EXPECT_EQ(error_of(tree_.mkdir("/", "/new", 0755)), Errno::kReadOnly);
}

TEST_F(NamespaceTest, relative_paths_start_at_the_base) {
  EXPECT_EQ(read("base/1"), "one");
  EXPECT_EQ(read("1", "/pglite/data/base"), "one");
  EXPECT_EQ(read("data/base/1", "/pglite"), "one");
  EXPECT_EQ(read("pglite/share/zone", "/"), "UTC");
  EXPECT_EQ(read("", "/"), "errno 2");
}

TEST_F(NamespaceTest, dots_and_slashes_are_taken_out) {
  EXPECT_EQ(read("//pglite///data/./base//1"), "one");
  EXPECT_EQ(read("/pglite/bin/../share/zone"), "UTC");
  EXPECT_EQ(read("../share/zone"), "UTC");
  EXPECT_EQ(read("base/../../share/zone"), "UTC");
  EXPECT_EQ(read("/../../pglite/share/zone"), "UTC");
  EXPECT_EQ(read("../data/base/1"), "one");
  EXPECT_EQ(read("none/../base/1"), "errno 2");
  EXPECT_EQ(read("base/1/../1"), "errno 20");
}

TEST_F(NamespaceTest, symlinks_may_lead_to_other_mounts_but_not_out) {
  ASSERT_TRUE(tree_.symlink("/pglite/share/zone", "/pglite/data", "absolute"));
  ASSERT_TRUE(tree_.symlink("../share", "/pglite/data", "up"));
  ASSERT_TRUE(tree_.symlink("/etc/passwd", "/pglite/data", "evil"));
  ASSERT_TRUE(tree_.symlink("../../../../etc/passwd", "/pglite/data", "evil2"));
  ASSERT_TRUE(tree_.symlink("/pglite/data/loop", "/pglite/data", "loop"));
  ASSERT_TRUE(tree_.symlink("/tmp/made", "/pglite/data", "dangling"));
  EXPECT_EQ(read("absolute"), "UTC");
  EXPECT_EQ(read("up/zone"), "UTC");
  EXPECT_EQ(read("up/../share/zone"), "UTC");
  EXPECT_EQ(read("evil"), "errno 2");
  EXPECT_EQ(read("evil2"), "errno 2");
  EXPECT_EQ(read("loop"), "errno 40");
  EXPECT_EQ(tree_.readlink("/pglite/data", "evil").value(), "/etc/passwd");
  ASSERT_TRUE(tree_.open("/pglite/data", "dangling", {.access = Access::kWrite, .create = true}));
  EXPECT_TRUE(tree_.stat("/", "/tmp/made", Follow::kYes));
  ASSERT_TRUE(tree_.unlink("/pglite/data", "dangling"));
  EXPECT_TRUE(tree_.stat("/", "/tmp/made", Follow::kYes));
}

TEST_F(NamespaceTest, a_host_directory_stays_confined) {
  TemporaryDirectory host;
  ASSERT_TRUE(tree_.mount("/host", std::shared_ptr<FileSystem>(directory(host.path()))));
  for (const char* target : {"/etc/passwd", "../../../../../../etc/passwd", "/proc/self/environ"}) {
    ASSERT_TRUE(tree_.symlink(target, "/host", "evil"));
    EXPECT_EQ(read("/host/evil"), "errno 2");
    EXPECT_EQ(read("evil", "/host"), "errno 2");
    EXPECT_EQ(read("evil/../evil", "/host"), "errno 2");
    ASSERT_TRUE(tree_.unlink("/host", "evil"));
  }
  EXPECT_EQ(read("/host/../../../../../etc/passwd"), "errno 2");
}

TEST_F(NamespaceTest, renames_and_links_stay_on_one_mount) {
  EXPECT_EQ(error_of(tree_.rename("/", "/pglite/data/base/1", "/", "/tmp/1")), Errno::kCrossDevice);
  EXPECT_EQ(error_of(tree_.link("/", "/pglite/data/base/1", "/", "/tmp/1")), Errno::kCrossDevice);
  ASSERT_TRUE(tree_.rename("/pglite/data/base", "1", "/", "/pglite/data/../data/two"));
  EXPECT_EQ(read("two"), "one");
  EXPECT_EQ(error_of(tree_.rename("/", "/pglite/data", "/", "/pglite/x")), Errno::kCrossDevice);
  EXPECT_EQ(error_of(tree_.rmdir("/", "/pglite/data")), Errno::kBusy);
  EXPECT_EQ(error_of(tree_.mkdir("/", "/pglite/data", 0700)), Errno::kExists);
}

TEST_F(NamespaceTest, read_only_mounts_refuse_changes) {
  EXPECT_EQ(error_of(tree_.unlink("/", "/pglite/share/zone")), Errno::kReadOnly);
  EXPECT_TRUE(tree_.on_read_only_mount("/", "/pglite/share/zone").value());
  EXPECT_FALSE(tree_.on_read_only_mount("/", "/pglite/data/base/1").value());
}

TEST_F(NamespaceTest, devices_work) {
  auto null = tree_.open("/", "/dev/null", {.access = Access::kReadWrite}).value();
  EXPECT_EQ(null->pwrite(bytes("abc"), 0).value(), 3u);
  std::array<std::byte, 64> buffer{}, zeros{};
  EXPECT_EQ(null->pread(buffer, 0).value(), 0u);
  auto random = tree_.open("/", "/dev/urandom", {}).value();
  EXPECT_EQ(random->pread(buffer, 0).value(), 64u);
  EXPECT_NE(buffer, zeros);
  EXPECT_EQ(tree_.open("/", "/dev/zero", {}).value()->pread(buffer, 0).value(), 64u);
  EXPECT_EQ(buffer, zeros);
  EXPECT_EQ(tree_.stat("/", "/dev/null", Follow::kYes).value().kind, FileKind::kCharacterDevice);
  EXPECT_EQ(error_of(tree_.unlink("/", "/dev/null")), Errno::kReadOnly);
  EXPECT_EQ(read("/dev/none"), "errno 2");
  EXPECT_EQ(list(*tree_.open("/", "/dev", {.directory = true}).value()).size(), 6u);
}

TEST_F(NamespaceTest, canonical_paths_are_free_of_links) {
  ASSERT_TRUE(tree_.symlink("base", "/pglite/data", "l"));
  EXPECT_EQ(tree_.canonical("/pglite/data", "l/../base/1", Follow::kYes).value(),
            "/pglite/data/base/1");
  EXPECT_EQ(tree_.canonical("/pglite/data", "l", Follow::kYes).value(), "/pglite/data/base");
  EXPECT_EQ(tree_.canonical("/pglite/data", "l", Follow::kNo).value(), "/pglite/data/l");
  EXPECT_EQ(tree_.canonical("/pglite/data", "..", Follow::kYes).value(), "/pglite");
  EXPECT_EQ(tree_.canonical("/", "..", Follow::kYes).value(), "/");
}

TEST_F(NamespaceTest, mounts_are_checked) {
  std::shared_ptr<FileSystem> fs = memory();
  EXPECT_EQ(error_of(tree_.mount("/tmp", fs)), Errno::kBusy);
  EXPECT_EQ(error_of(tree_.mount("tmp", fs)), Errno::kInvalid);
  EXPECT_EQ(error_of(tree_.mount("/a/../b", fs)), Errno::kInvalid);
  EXPECT_EQ(error_of(tree_.mount("/a/", fs)), Errno::kInvalid);
  EXPECT_EQ(tree_.mounted_at("/pglite/data"), data_.get());
  EXPECT_EQ(tree_.mounted_at("/pglite/dat"), nullptr);
  ASSERT_TRUE(tree_.mount("/", fs));
  EXPECT_EQ(tree_.mounted_at("/"), fs.get());
  EXPECT_EQ(read("/pglite/share/zone"), "UTC");
}

}  // namespace
}  // namespace calf::vfs
