#include "initdb/tree.h"

#include <gtest/gtest.h>

#include "os/clock.h"

namespace calf::initdb {
namespace {

class TreeTest : public ::testing::Test {
 protected:
  TreeTest() : clock_(std::make_shared<os::SystemClock>()), tree_(clock_) {
    vfs::MemoryFileSystem::Options options;
    options.clock = clock_;
    EXPECT_TRUE(tree_.mount("/data", *vfs::MemoryFileSystem::create(options)));
  }
  std::shared_ptr<os::Clock> clock_;
  vfs::Namespace tree_;
};

TEST_F(TreeTest, reads_what_was_written) {
  ASSERT_TRUE(write_file(tree_, "/data/a", "some text"));
  EXPECT_EQ(read_file(tree_, "/data/a").value(), "some text");
  EXPECT_EQ(tree_.stat("/", "/data/a", vfs::Follow::kNo)->permissions, 0600U);
}

TEST_F(TreeTest, refuses_to_write_over_a_file) {
  ASSERT_TRUE(write_file(tree_, "/data/a", "1"));
  EXPECT_EQ(write_file(tree_, "/data/a", "2").error().code, ErrorCode::kAlreadyExists);
}

TEST_F(TreeTest, names_a_missing_file) {
  const auto read = read_file(tree_, "/data/none");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kNotFound);
  EXPECT_NE(read.error().message.find("/data/none"), std::string::npos);
}

TEST_F(TreeTest, removes_everything_inside_a_directory) {
  ASSERT_TRUE(expect_empty(tree_, "/data"));
  ASSERT_TRUE(make_directory(tree_, "/data/d"));
  ASSERT_TRUE(write_file(tree_, "/data/d/f", "x"));
  EXPECT_EQ(expect_empty(tree_, "/data").error().code, ErrorCode::kAlreadyExists);
  ASSERT_TRUE(sync_tree(tree_, "/data"));
  ASSERT_TRUE(remove_contents(tree_, "/data"));
  EXPECT_TRUE(expect_empty(tree_, "/data"));
}

}  // namespace
}  // namespace calf::initdb
