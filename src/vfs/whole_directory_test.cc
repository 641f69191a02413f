#include "vfs/whole_directory.h"

#include <gtest/gtest.h>

#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;

class WholeDirectory : public testing::Test {
 protected:
  Result<void> create(const std::string& name, const std::string& content = "abc") {
    return create_directory_whole(files_, host_.path() + "/" + name,
                                  [&](const FreshDirectory& fresh) -> Result<void> {
                                    EXPECT_TRUE(std::filesystem::is_empty(fresh.path));
                                    put(fresh.tree, "f", content);
                                    return {};
                                  });
  }
  std::string content_of(const std::string& name) {
    return get(*directory(host_.path() + "/" + name), "f");
  }
  size_t entries() const {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(host_.path()), {}));
  }

  TemporaryDirectory host_;
  std::shared_ptr<os::Files> files_ = std::make_shared<os::SystemFiles>();
};

TEST_F(WholeDirectory, is_made_with_its_parents_or_in_place_of_an_empty_one) {
  ASSERT_TRUE(create("a/b"));
  EXPECT_EQ(content_of("a/b"), "abc");
  std::filesystem::create_directory(host_.path() + "/empty");
  ASSERT_TRUE(create("empty/", "xyz"));
  EXPECT_EQ(content_of("empty"), "xyz");
  EXPECT_EQ(entries(), 2u);
}

TEST_F(WholeDirectory, leaves_alone_what_is_there) {
  ASSERT_TRUE(create("a"));
  put(*directory(host_.path()), "file", "");
  for (const char* name : {"a", "file"}) {
    const auto again = create(name, "new");
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  }
  EXPECT_EQ(content_of("a"), "abc");
  EXPECT_EQ(entries(), 2u);
}

TEST_F(WholeDirectory, leaves_nothing_when_it_fails_or_another_was_faster) {
  const std::string path = host_.path() + "/x";
  const auto failed = create_directory_whole(files_, path, [](const FreshDirectory& fresh) {
    put(fresh.tree, "f", "abc");
    return calf::fail(ErrorCode::kIo, "no");
  });
  EXPECT_EQ(failed.error().code, ErrorCode::kIo);
  EXPECT_EQ(entries(), 0u);
  const auto late =
      create_directory_whole(files_, path, [&](const FreshDirectory& fresh) -> Result<void> {
        put(fresh.tree, "f", "late");
        std::filesystem::create_directory(path);
        put(*directory(path), "f", "early");
        return {};
      });
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(content_of("x"), "early");
  EXPECT_EQ(entries(), 1u);
}

}  // namespace
}  // namespace calf::vfs
