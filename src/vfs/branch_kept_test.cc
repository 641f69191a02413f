// What the parent overwrites is kept once, whatever the number of branches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/log.h"
#include "vfs/branched_directory.h"
#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;
using testing::ElementsAre;

class KeptBlocks : public testing::Test {
 protected:
  static constexpr uint64_t kFileBytes = 1'000'000;

  KeptBlocks() {
    start(std::make_shared<os::SystemFiles>());
    put(*fs_, "f", old_);
  }

  void start(std::shared_ptr<os::Files> files, const std::string& boot_id = "boot 1") {
    fs_.reset();
    branched_.reset();
    branched_ = branched_directory(host_.path(), std::move(files), boot_id);
    fs_ = branched_->root();
  }
  void branch(const std::string& name) {
    ASSERT_TRUE(branched_->create({.name = name}));
    ASSERT_TRUE(branched_->make_durable(name));
  }
  void overwrite(char with) {
    auto file = fs_->open("f", {.access = Access::kReadWrite}).value();
    ASSERT_TRUE(file->pwrite(bytes(std::string(kFileBytes, with)), 0));
    ASSERT_TRUE(file->sync(File::SyncKind::kDataOnly));
  }
  std::string contents(const std::string& name) {
    auto opened = branched_->open_branch(name);
    return opened ? get(**opened, "f") : opened.error().to_string();
  }
  uint64_t taken(const std::string& name) { return branched_->own_bytes(name).value(); }
  [[nodiscard]] std::string place(const std::string& name) const {
    return host_.path() + "/calf_branches/" + name;
  }

  const std::string old_ = std::string(kFileBytes, 'o');
  TemporaryDirectory host_;
  std::unique_ptr<BranchedDirectory> branched_;
  std::shared_ptr<FileSystem> fs_;
};

TEST_F(KeptBlocks, are_kept_once_for_all_branches) {
  for (const char* name : {"a", "b", "c"}) branch(name);
  overwrite('n');
  EXPECT_GT(taken("c"), kFileBytes);
  for (const char* name : {"a", "b"}) EXPECT_LT(taken(name), 50'000u) << name;
  for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(contents(name) == old_) << name;
  start(std::make_shared<os::SystemFiles>());
  for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(contents(name) == old_) << name;
}

TEST_F(KeptBlocks, of_each_time_go_to_the_branch_of_that_time) {
  branch("a");
  overwrite('1');
  branch("b");
  overwrite('2');
  branch("c");
  overwrite('3');
  EXPECT_TRUE(contents("a") == old_);
  EXPECT_EQ(contents("b"), std::string(kFileBytes, '1'));
  EXPECT_EQ(contents("c"), std::string(kFileBytes, '2'));
}

TEST_F(KeptBlocks, stay_for_the_older_ones_when_a_branch_is_dropped) {
  for (const char* name : {"a", "b", "c"}) branch(name);
  overwrite('n');
  ASSERT_TRUE(branched_->drop("c"));
  EXPECT_GT(taken("b"), kFileBytes);
  ASSERT_TRUE(branched_->drop("a"));
  EXPECT_TRUE(contents("b") == old_);
  overwrite('m');
  EXPECT_TRUE(contents("b") == old_);
  start(std::make_shared<os::SystemFiles>());
  EXPECT_TRUE(contents("b") == old_);
}

TEST_F(KeptBlocks, a_branch_that_writes_over_them_leaves_them_to_the_older_ones) {
  for (const char* name : {"a", "b"}) branch(name);
  {
    auto b = branched_->open_branch("b").value();
    put(*b, "f", std::string(kFileBytes, 'b'));
    overwrite('n');
    EXPECT_TRUE(contents("a") == old_);
    ASSERT_TRUE(b->unlink("f"));
  }
  EXPECT_TRUE(contents("a") == old_);
  start(std::make_shared<os::SystemFiles>());
  EXPECT_TRUE(contents("a") == old_);
  ASSERT_TRUE(branched_->drop("b"));
  EXPECT_TRUE(contents("a") == old_);
}

TEST_F(KeptBlocks, are_found_while_the_parent_writes_and_a_newer_branch_is_dropped) {
  for (const char* name : {"a", "b", "c"}) branch(name);
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (const char* name : {"a", "b"}) {
    threads.emplace_back([&, fs = branched_->open_branch(name).value(), name] {
      while (!done) EXPECT_TRUE(get(*fs, "f") == old_) << name;
    });
  }
  threads.emplace_back([&] {
    auto file = fs_->open("f", {.access = Access::kReadWrite}).value();
    for (uint64_t at = 0; at < kFileBytes; at += 5'000) EXPECT_TRUE(file->pwrite(bytes("new"), at));
    done = true;
  });
  EXPECT_TRUE(branched_->drop("c"));
  for (std::thread& thread : threads) thread.join();
  for (const char* name : {"a", "b"}) EXPECT_TRUE(contents(name) == old_) << name;
}

// Its folder may be gone after a power cut.
TEST_F(KeptBlocks, are_not_entrusted_to_a_branch_that_is_not_durable) {
  branch("a");
  auto files = std::make_shared<MortalFiles>();
  start(files);
  ASSERT_TRUE(branched_->create({.name = "b"}));
  overwrite('n');
  files->dead = true;
  fs_.reset();
  branched_.reset();
  std::filesystem::remove_all(place("b"));
  start(std::make_shared<os::SystemFiles>(), "boot 2");
  EXPECT_TRUE(contents("a") == old_);
}

TEST_F(KeptBlocks, that_are_lost_with_a_damaged_branch_damage_the_older_ones) {
  for (const char* name : {"a", "b", "c"}) branch(name);
  overwrite('n');
  fs_.reset();
  branched_.reset();
  std::filesystem::resize_file(place("b") + "/journal", 7);
  log::configure({.level = log::Level::kOff});
  start(std::make_shared<os::SystemFiles>());
  log::configure({});
  EXPECT_EQ(branched_->open_branch("a").error().code, ErrorCode::kDataCorrupted);
  EXPECT_TRUE(contents("c") == old_);
  for (const char* name : {"b", "a"}) EXPECT_TRUE(branched_->drop(name)) << name;
  EXPECT_TRUE(contents("c") == old_);
}

TEST_F(KeptBlocks, that_the_newest_branch_cannot_keep_are_kept_by_the_next) {
  auto files = std::make_shared<FullBlocks>();
  start(files);
  for (const char* name : {"a", "b"}) branch(name);
  files->full = true;
  log::configure({.level = log::Level::kOff});
  overwrite('n');
  log::configure({});
  EXPECT_TRUE(contents("a") == old_);
  EXPECT_EQ(branched_->open_branch("b").error().code, ErrorCode::kDataCorrupted);
  EXPECT_TRUE(branched_->drop("b"));
  EXPECT_TRUE(contents("a") == old_);
}

// Nothing is lost by a drop.
TEST_F(KeptBlocks, that_no_older_branch_has_room_for_hold_up_the_drop) {
  branch("z");
  branch("a");
  overwrite('n');
  auto files = std::make_shared<FullBlocks>();
  start(files);  // opens the branches by name
  files->full = true;
  EXPECT_FALSE(branched_->drop("a"));
  EXPECT_TRUE(contents("a") == old_);
  EXPECT_TRUE(contents("z") == old_);
  files->full = false;
  EXPECT_TRUE(branched_->drop("a"));
  EXPECT_TRUE(contents("z") == old_);
}

}  // namespace
}  // namespace calf::vfs
