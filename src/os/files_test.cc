#include "os/files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <string>

#include "os/clock.h"
#include "os/random.h"

namespace calf::os {
namespace {

class SystemFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "calf-os-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
    root_ = FileDescriptor(
        files_,
        files_.open(AT_FDCWD, path_.c_str(), O_PATH | O_DIRECTORY, 0, Resolve::kAnywhere).value());
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  FileDescriptor open(const char* name, int flags) {
    return {files_, files_.open(root_.get(), name, flags, 0600, Resolve::kBeneath).value()};
  }

  SystemFiles files_;
  std::string path_;
  FileDescriptor root_;
};

TEST_F(SystemFilesTest, writes_and_reads_back_vectors) {
  FileDescriptor file = open("a", O_CREAT | O_RDWR);
  char one[] = "one", two[] = "two";
  std::array<iovec, 2> out{iovec{one, 3}, iovec{two, 3}};
  EXPECT_EQ(files_.pwritev(file.get(), out, 5).value(), 6u);
  std::array<char, 11> bytes{};
  iovec in{bytes.data(), bytes.size()};
  EXPECT_EQ(files_.preadv(file.get(), {&in, 1}, 0).value(), 11u);
  EXPECT_EQ(std::memcmp(bytes.data(), "\0\0\0\0\0onetwo", 11), 0);
  EXPECT_TRUE(files_.fsync(file.get()));
  EXPECT_TRUE(files_.fdatasync(file.get()));
}

TEST_F(SystemFilesTest, refuses_to_leave_the_directory) {
  ASSERT_TRUE(files_.symlinkat("/etc", root_.get(), "out"));
  for (const char* path : {"../x", "out/passwd", "/etc/passwd"})
    EXPECT_EQ(files_.open(root_.get(), path, O_RDONLY, 0, Resolve::kBeneath).error(),
              Errno::kCrossDevice)
        << path;
}

TEST_F(SystemFilesTest, names_errors_of_the_kernel) {
  EXPECT_EQ(files_.open(root_.get(), "none", O_RDONLY, 0, Resolve::kBeneath).error(),
            Errno::kNoEntry);
  EXPECT_EQ(to_error("opening x", Errno::kNoSpace).code, ErrorCode::kResourceExhausted);
}

TEST(SystemClockTest, counts_forward) {
  SystemClock clock;
  int64_t before = clock.monotonic_ns();
  EXPECT_GE(clock.monotonic_ns(), before);
  EXPECT_NEAR(static_cast<double>(clock.realtime_ns()),
              static_cast<double>(clock.realtime_coarse_ns()), 1e9);
}

TEST(RandomTest, differs_from_call_to_call) {
  std::array<std::byte, 32> a{}, b{};
  random_bytes(a);
  random_bytes(b);
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace calf::os
