#include "vfs/branched_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <ctime>
#include <thread>

#include "base/log.h"
#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr OpenOptions kWriting{.access = Access::kReadWrite};

std::vector<std::string> names(const BranchedDirectory& directory) {
  std::vector<std::string> names;
  for (const auto& branch : directory.list())
    names.push_back(branch.name + (branch.damaged ? " (damaged)" : ""));
  return names;
}

class BranchedDirectoryTest : public testing::Test {
 protected:
  BranchedDirectoryTest() { reopen(); }

  void reopen(const std::string& boot_id = "") {
    fs_.reset();
    branched_.reset();
    branched_ = branched_directory(host_.path(), std::make_shared<os::SystemFiles>(), boot_id);
    fs_ = branched_->root();
  }
  std::shared_ptr<FileSystem> branch(const std::string& name, const std::string& parent = "") {
    auto made = branched_->create({.name = name, .parent = parent});
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? *made : nullptr;
  }
  std::shared_ptr<FileSystem> open(const std::string& name) {
    auto opened = branched_->open_branch(name);
    EXPECT_TRUE(opened) << opened.error().to_string();
    return opened ? *opened : nullptr;
  }
  static void write_at(FileSystem& fs, std::string_view path, uint64_t at, std::string_view text) {
    ASSERT_TRUE(fs.open(path, kWriting).value()->pwrite(bytes(text), at));
  }

  TemporaryDirectory host_;
  std::unique_ptr<BranchedDirectory> branched_;
  std::shared_ptr<FileSystem> fs_;
};

TEST_F(BranchedDirectoryTest, shows_the_parent_as_it_was) {
  ASSERT_TRUE(fs_->mkdir("d", 0750));
  put(*fs_, "d/f", "abc");
  ASSERT_TRUE(fs_->chmod("d/f", 0600, Follow::kYes));
  ASSERT_TRUE(fs_->symlink("d/f", "l"));
  put(*fs_, "postmaster.pid", "1");
  auto b = branched_->create({.name = "b", .leave_out = {"postmaster.pid"}}).value();
  put(*fs_, "d/f", "changed");
  ASSERT_TRUE(fs_->chmod("d/f", 0640, Follow::kYes));
  ASSERT_TRUE(fs_->unlink("l"));
  put(*fs_, "new", "x");
  EXPECT_EQ(get(*b, "l"), "abc");
  EXPECT_EQ(b->stat("d", Follow::kYes)->permissions, 0750u);
  EXPECT_EQ(b->stat("d/f", Follow::kYes)->permissions, 0600u);
  EXPECT_EQ(b->stat("d/f", Follow::kYes)->size_bytes, 3u);
  EXPECT_EQ(b->stat("d/f", Follow::kYes)->links, 1u);
  EXPECT_EQ(get(*b, "new"), "errno 2");
  EXPECT_EQ(get(*b, "postmaster.pid"), "errno 2");
}

TEST_F(BranchedDirectoryTest, both_sides_write_freely) {
  const std::string text(100'000, 'a');
  put(*fs_, "f", text);
  auto parent_file = fs_->open("f", kWriting).value();
  auto b = branch("b");
  auto branch_file = b->open("f", kWriting).value();
  ASSERT_TRUE(parent_file->pwrite(bytes("PARENT"), 8190));
  EXPECT_EQ(get(*branch_file), text);
  ASSERT_TRUE(branch_file->pwrite(bytes("BRANCH"), 8193));
  ASSERT_TRUE(branch_file->pwrite(bytes("END"), 99'999));
  std::string in_parent = text, in_branch = text;
  in_parent.replace(8190, 6, "PARENT");
  in_branch.replace(8193, 6, "BRANCH");
  in_branch.replace(99'999, 1, "END");
  EXPECT_EQ(get(*fs_, "f"), in_parent);
  EXPECT_EQ(get(*b, "f"), in_branch);
  ASSERT_TRUE(parent_file->truncate(10));
  ASSERT_TRUE(parent_file->truncate(100'000));
  EXPECT_EQ(get(*b, "f"), in_branch);
  ASSERT_TRUE(branch_file->truncate(20'000));
  ASSERT_TRUE(branch_file->truncate(60'000));
  EXPECT_EQ(get(*b, "f"), in_branch.substr(0, 20'000) + std::string(40'000, '\0'));
}

TEST_F(BranchedDirectoryTest, files_that_the_parent_removes_or_replaces_stay) {
  put(*fs_, "a", "one");
  put(*fs_, "b", "two");
  put(*fs_, "c", "three");
  auto b = branch("b");
  ASSERT_TRUE(fs_->unlink("a"));
  ASSERT_TRUE(fs_->rename("b", "c"));
  put(*fs_, "a", "new");
  put(*fs_, "c", "changed");
  EXPECT_EQ(get(*b, "a") + get(*b, "b") + get(*b, "c"), "onetwothree");
}

TEST_F(BranchedDirectoryTest, names_in_the_branch_are_its_own) {
  put(*fs_, "a", "one");
  put(*fs_, "b", "two");
  auto b = branch("b");
  auto open_a = b->open("a", kWriting).value();
  ASSERT_TRUE(b->rename("b", "a"));
  EXPECT_EQ(get(*open_a), "one");
  ASSERT_TRUE(open_a->pwrite(bytes("X"), 0));
  EXPECT_EQ(get(*open_a), "Xne");
  open_a.reset();
  EXPECT_EQ(get(*b, "a"), "two");
  ASSERT_TRUE(b->link("a", "c"));
  put(*b, "c", "both");
  EXPECT_EQ(get(*b, "a"), "both");
  EXPECT_EQ(b->stat("a", Follow::kYes)->links, 2u);
  EXPECT_EQ(get(*fs_, "a") + get(*fs_, "b"), "onetwo");
}

// The host gives the number of a removed file to the next one.
TEST_F(BranchedDirectoryTest, a_new_file_is_not_taken_for_a_removed_one) {
  put(*fs_, "a", "parent's");
  auto b = branch("b");
  ASSERT_TRUE(b->unlink("a"));
  ASSERT_TRUE(fs_->unlink("a"));
  for (int i = 0; i < 20; ++i) put(*b, "new" + std::to_string(i), "mine");
  b.reset();
  reopen();
  b = open("b");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get(*b, "new" + std::to_string(i)), "mine");
  EXPECT_EQ(get(*b, "a"), "errno 2");
}

TEST_F(BranchedDirectoryTest, branches_have_branches) {
  const std::string text(50'000, 'a');
  put(*fs_, "f", text);
  auto b = branch("b");
  write_at(*b, "f", 10'000, "BBBB");
  put(*b, "plain", "b's");
  auto c = branch("c", "b");
  auto d = branch("d", "c");
  const std::string frozen = get(*b, "f");
  write_at(*fs_, "f", 0, "PARENT");
  write_at(*fs_, "f", 10'000, "PARENT");
  write_at(*b, "f", 10'001, "----");
  write_at(*b, "f", 40'000, "----");
  put(*b, "plain", "changed");
  write_at(*c, "f", 20'000, "CCCC");
  EXPECT_EQ(get(*d, "f"), frozen);
  EXPECT_EQ(get(*c, "f"), std::string(frozen).replace(20'000, 4, "CCCC"));
  EXPECT_EQ(get(*d, "plain"), "b's");
  ASSERT_TRUE(b->unlink("f"));
  ASSERT_TRUE(fs_->unlink("f"));
  EXPECT_EQ(get(*d, "f"), frozen);
  b.reset();
  c.reset();
  d.reset();
  EXPECT_FALSE(branched_->drop("b"));
  reopen();
  EXPECT_EQ(get(*open("d"), "f"), frozen);
  ASSERT_TRUE(branched_->drop("d"));
  ASSERT_TRUE(branched_->drop("c"));
  ASSERT_TRUE(branched_->drop("b"));
  EXPECT_THAT(names(*branched_), IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(host_.path() + "/calf_branches"));
}

TEST_F(BranchedDirectoryTest, branches_outlive_the_program) {
  put(*fs_, "f", std::string(30'000, 'a'));
  put(*fs_, "g", "same");
  {
    auto b = branch("b");
    write_at(*b, "f", 100, "mine");
    ASSERT_TRUE(b->unlink("g"));
    put(*b, "h", "new");
    write_at(*fs_, "f", 20'000, "theirs");
  }
  reopen();
  EXPECT_THAT(names(*branched_), ElementsAre("b"));
  write_at(*fs_, "f", 0, "later");  // before anybody opens the branch
  auto b = open("b");
  EXPECT_EQ(get(*b, "f"), std::string(30'000, 'a').replace(100, 4, "mine"));
  EXPECT_EQ(get(*b, "g"), "errno 2");
  EXPECT_EQ(get(*b, "h"), "new");
  EXPECT_EQ(open("b"), b);
}

// A killed program leaves what it wrote; a machine that went down, what was synced.
TEST_F(BranchedDirectoryTest, what_was_synced_survives_the_machine) {
  const std::string text(60'000, 'a');
  put(*fs_, "f", text);
  for (const bool machine : {false, true}) {
    SCOPED_TRACE(machine);
    auto files = std::make_shared<MortalFiles>();
    branched_ = branched_directory(host_.path(), files, "boot 1");
    fs_ = branched_->root();
    put(*fs_, "f", text);
    const std::string name = machine ? "x" : "y";
    auto b = branch(name);
    ASSERT_TRUE(branched_->make_durable(name));
    auto file = b->open("f", kWriting).value();
    ASSERT_TRUE(file->pwrite(bytes("synced"), 0));
    ASSERT_TRUE(file->sync(File::SyncKind::kDataOnly));
    write_at(*fs_, "f", 20'000, "parent");
    ASSERT_TRUE(fs_->open("f", kWriting).value()->sync(File::SyncKind::kAll));
    ASSERT_TRUE(file->pwrite(bytes("not synced"), 30'000));
    ASSERT_TRUE(file->truncate(40'960));
    files->dead = true;
    file.reset();
    b.reset();
    reopen(machine ? "boot 2" : "boot 1");
    std::string expected = text;
    expected.replace(0, 6, "synced");
    if (!machine) {
      expected.replace(30'000, 10, "not synced");
      expected.resize(40'960);
    }
    EXPECT_EQ(get(*open(name), "f"), expected);
  }
}

// Blocks that the parent overwrote right before may be lost to the branch, so somebody must look.
TEST_F(BranchedDirectoryTest, warns_when_the_machine_went_down_while_it_was_open) {
  put(*fs_, "f", "abc");
  auto start = [&](const std::string& boot_id) {
    branched_.reset();
    auto files = std::make_shared<MortalFiles>();
    testing::internal::CaptureStderr();
    branched_ = branched_directory(host_.path(), files, boot_id);
    return std::pair{files, testing::internal::GetCapturedStderr()};
  };
  log::configure({});
  auto first = start("boot 1").first;
  branch("b").reset();
  branched_.reset();  // in order
  auto [second, said] = start("boot 2");
  EXPECT_EQ(said, "");
  second->dead = true;
  std::tie(second, said) = start("boot 2");  // the program alone was killed
  EXPECT_EQ(said, "");
  second->dead = true;
  std::tie(second, said) = start("boot 3");
  EXPECT_THAT(said, HasSubstr("check the branch"));
  EXPECT_EQ(start("boot 4").second, "");
}

TEST_F(BranchedDirectoryTest, the_folder_is_not_part_of_the_directory) {
  put(*fs_, "f", "x");
  branch("b");
  EXPECT_THAT(list(*fs_->open("", {.directory = true}).value()),
              UnorderedElementsAre(".", "..", "f"));
  EXPECT_EQ(error_of(fs_->stat("calf_branches", Follow::kYes)), Errno::kNoEntry);
  EXPECT_EQ(error_of(fs_->open("./calf_branches/b/journal", {})), Errno::kNoEntry);
  EXPECT_EQ(error_of(fs_->mkdir("calf_branches", 0700)), Errno::kPerm);
  EXPECT_EQ(error_of(fs_->rename("f", "calf_branches/f")), Errno::kPerm);
}

TEST_F(BranchedDirectoryTest, refuses_what_is_no_name) {
  for (const char* name : {"", ".", "..", "a/b", ".x", "-x", "a b", "ä"}) {
    auto made = branched_->create({.name = name});
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(branched_->create({.name = std::string(64, 'a')}));
  branch("b");
  EXPECT_EQ(branched_->create({.name = "b"}).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(branched_->create({.name = "c", .parent = "none"}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(branched_->open_branch("none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(branched_->drop("none").error().code, ErrorCode::kNotFound);
  EXPECT_THAT(names(*branched_), ElementsAre("b"));
}

TEST_F(BranchedDirectoryTest, is_dropped_only_when_nobody_uses_it) {
  put(*fs_, "f", "abc");
  auto b = branch("b");
  EXPECT_EQ(branched_->drop("b").error().code, ErrorCode::kUnavailable);
  b.reset();
  ASSERT_TRUE(branched_->drop("b"));
  put(*fs_, "f", "new");
  EXPECT_EQ(fs_->stat("f", Follow::kYes)->links, 1u);
  EXPECT_EQ(get(*branch("b"), "f"), "new");
}

TEST_F(BranchedDirectoryTest, leftovers_of_a_killed_program_are_removed) {
  put(*fs_, "f", "abc");
  branch("b");
  std::filesystem::create_directories(host_.path() + "/calf_branches/.new-x/data");
  std::filesystem::create_directories(host_.path() + "/calf_branches/.old-y/data");
  reopen();
  EXPECT_THAT(names(*branched_), ElementsAre("b"));
  EXPECT_FALSE(std::filesystem::exists(host_.path() + "/calf_branches/.new-x"));
  EXPECT_FALSE(std::filesystem::exists(host_.path() + "/calf_branches/.old-y"));
}

TEST_F(BranchedDirectoryTest, a_scratch_copy_goes_with_the_program_if_nobody_drops_it) {
  put(*fs_, "f", "root");
  auto b = branch("b");
  write_at(*b, "f", 0, "bran");
  for (const bool is_dropped : {true, false}) {
    auto scratch = branched_->create({.name = "s", .parent = "b", .scratch = true}).value();
    EXPECT_EQ(get(*scratch, "f"), "bran");
    write_at(*scratch, "f", 0, "scra");
    put(*scratch, "new", "scratch");
    EXPECT_EQ(get(*scratch, "f"), "scra");
    scratch.reset();
    if (is_dropped) {
      ASSERT_TRUE(branched_->drop(names(*branched_).front()));
      EXPECT_THAT(names(*branched_), ElementsAre("b"));
    }
  }
  b.reset();
  reopen();
  EXPECT_THAT(names(*branched_), ElementsAre("b"));
  EXPECT_EQ(get(*open("b"), "f"), "bran");
  EXPECT_EQ(get(*open("b"), "new"), "errno 2");
  EXPECT_EQ(get(*fs_, "f"), "root");
}

TEST_F(BranchedDirectoryTest, knows_the_place_of_a_branch) {
  branch("b");
  const std::string folder = host_.path() + "/calf_branches/b";
  for (const char* data : {"/data", "/data/", "/gone/../data"}) {
    const auto place = branch_at(folder + data);
    ASSERT_TRUE(place) << data;
    EXPECT_EQ(place->name, "b");
    EXPECT_EQ(place->directory, std::filesystem::weakly_canonical(host_.path()));
  }
  for (const std::string& other : {host_.path(), folder, host_.path() + "/calf_branches/c/data"})
    EXPECT_FALSE(branch_at(other)) << other;
}

TEST_F(BranchedDirectoryTest, damaged_branches_can_only_be_dropped) {
  put(*fs_, "f", "abc");
  branch("a");
  branch("b");
  branch("c");
  branch("d", "c");
  for (auto [name, file] : {std::pair{"a", "journal"}, {"b", "branch.json"}, {"c", "journal"}})
    std::filesystem::resize_file(host_.path() + "/calf_branches/" + name + "/" + file, 7);
  reopen();
  EXPECT_THAT(names(*branched_),
              ElementsAre("a (damaged)", "b (damaged)", "c (damaged)", "d (damaged)"));
  EXPECT_EQ(branched_->open_branch("a").error().code, ErrorCode::kDataCorrupted);
  for (const char* name : {"a", "b", "d", "c"}) EXPECT_TRUE(branched_->drop(name)) << name;
  EXPECT_EQ(get(*fs_, "f"), "abc");
}

// A full disk, or a bad one, ends the branch and not the parent.
TEST_F(BranchedDirectoryTest, the_parent_does_not_suffer_from_a_branch_that_cannot_keep_blocks) {
  auto files = std::make_shared<FullBlocks>();
  branched_ = branched_directory(host_.path(), files);
  fs_ = branched_->root();
  put(*fs_, "f", "abc");
  auto b = branch("b");
  files->full = true;
  EXPECT_EQ(error_of(b->open("f", kWriting).value()->pwrite(bytes("x"), 0)), Errno::kNoSpace);
  EXPECT_EQ(get(*b, "f"), "abc");
  put(*fs_, "f", "new");
  EXPECT_EQ(get(*fs_, "f"), "new");
  std::array<std::byte, 3> buffer;
  EXPECT_EQ(error_of(b->open("f", {}).value()->pread(buffer, 0)), Errno::kIo);
  b.reset();
  EXPECT_EQ(branched_->open_branch("b").error().code, ErrorCode::kDataCorrupted);
  EXPECT_TRUE(branched_->drop("b"));
}

TEST_F(BranchedDirectoryTest, mapped_files_are_copied) {
  put(*fs_, "m", std::string(8192, 'a'));
  auto file = fs_->open("m", kWriting).value();
  auto before = branch("before");
  auto mapping = file->map_shared(0, 8192).value();
  auto* text =
      static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, mapping.fd, 0));
  ASSERT_NE(static_cast<void*>(text), MAP_FAILED);
  auto after = branch("after");
  text[0] = 'X';
  EXPECT_EQ(get(*fs_, "m")[0], 'X');
  EXPECT_EQ(get(*before, "m")[0], 'a');
  EXPECT_EQ(get(*after, "m")[0], 'a');
  EXPECT_EQ(error_of(before->open("m", kWriting).value()->map_shared(0, 8192)), Errno::kNoDevice);
  munmap(text, 8192);
}

TEST_F(BranchedDirectoryTest, allocated_blocks_read_as_zeros) {
  put(*fs_, "f", std::string(10'000, 'a'));
  auto b = branch("b");
  auto file = b->open("f", kWriting).value();
  write_at(*b, "f", 9'000, std::string(30'000, 'b'));
  ASSERT_TRUE(file->truncate(9'000));
  ASSERT_TRUE(file->sync(File::SyncKind::kAll));  // the slots may be used again
  ASSERT_TRUE(file->allocate(5'000, 50'000));
  EXPECT_EQ(get(*file), std::string(9'000, 'a') + std::string(46'000, '\0'));
}

TEST_F(BranchedDirectoryTest, says_what_a_branch_takes) {
  put(*fs_, "f", std::string(4'000'000, 'a'));
  auto b = branch("b");
  EXPECT_LT(branched_->own_bytes("b").value(), 20'000u);
  write_at(*b, "f", 0, std::string(81'920, 'b'));
  put(*b, "new", std::string(100'000, 'b'));
  const uint64_t own = branched_->own_bytes("b").value();
  EXPECT_GT(own, 180'000u);
  EXPECT_LT(own, 220'000u);
}

TEST_F(BranchedDirectoryTest, parent_and_branches_live_on_their_own_threads) {
  constexpr uint64_t kBlocks = 200;
  put(*fs_, "f", std::string(kBlocks * 8192, 'a'));
  auto b = branch("b");
  auto c = branch("c", "b");
  auto writer = [](FileSystem& fs, char letter) {
    auto file = fs.open("f", kWriting).value();
    for (uint64_t i = 0; i < kBlocks; i += 2) {
      const std::string page(8192, letter);
      ASSERT_TRUE(file->pwrite(bytes(page), (i * 7 % kBlocks) * 8192));
      if (i % 32 == 0) ASSERT_TRUE(file->sync(File::SyncKind::kDataOnly));
    }
  };
  auto reader = [](FileSystem& fs) {
    auto file = fs.open("f", {}).value();
    for (int round = 0; round < 5; ++round) ASSERT_EQ(get(*file), std::string(kBlocks * 8192, 'a'));
  };
  std::thread parent([&] { writer(*fs_, 'P'); });
  std::thread middle([&] { writer(*b, 'B'); });
  std::thread other([&] {
    for (int i = 0; i < 5; ++i) (void)branched_->own_bytes("b");
  });
  reader(*c);
  parent.join();
  middle.join();
  other.join();
  EXPECT_EQ(get(*c, "f"), std::string(kBlocks * 8192, 'a'));
}

// Reflinks where the temporary directory has them (TMPDIR on XFS or btrfs), an overlay elsewhere.
TEST_F(BranchedDirectoryTest, takes_the_best_that_the_file_system_has) {
  branched_ = std::move(*BranchedDirectory::open(
      {.path = host_.path(), .files = std::make_shared<os::SystemFiles>(), .clock = clock()}));
  fs_ = branched_->root();
  ASSERT_TRUE(fs_->mkdir("d", 0700));
  const std::string text(1'000'000, 'a');
  put(*fs_, "d/f", text);
  ASSERT_TRUE(branched_->prepare());
  auto b = branch("b");
  auto c = branch("c", "b");
  write_at(*fs_, "d/f", 500'000, "PARENT");
  write_at(*b, "d/f", 0, "BRANCH");
  put(*c, "d/g", "new");
  ASSERT_TRUE(branched_->make_durable("b"));
  EXPECT_EQ(get(*c, "d/f"), text);
  EXPECT_EQ(get(*b, "d/f"), std::string(text).replace(0, 6, "BRANCH"));
  EXPECT_EQ(b->stat("d", Follow::kYes)->permissions, 0700u);
  std::printf("%s\n", branched_->list()[0].overlay ? "overlay" : "reflink");
  if (!branched_->list()[0].overlay) {
    b.reset();
    EXPECT_TRUE(branched_->drop("b"));  // c does not need it
  }
  c.reset();
  reopen();
  EXPECT_EQ(get(*open("c"), "d/f"), text);
}

// Not a measurement, but it notices when a branch starts to copy.
TEST_F(BranchedDirectoryTest, branching_takes_no_time_for_contents) {
  ASSERT_TRUE(fs_->mkdir("base", 0700));
  for (int i = 0; i < 1500; ++i) {
    auto file =
        fs_->open("base/" + std::to_string(i), {.access = Access::kReadWrite, .create = true});
    ASSERT_TRUE((*file)->pwrite(bytes("x"), 0));
    if (i == 0) ASSERT_TRUE((*file)->truncate(uint64_t{1} << 30));
  }
  const auto cpu_ms = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
  };
  const double begin = cpu_ms();
  auto b = branch("b");
  const double taken = cpu_ms() - begin;
  std::printf("branch of 1 GB in 1,500 files: %.1f ms of CPU\n", taken);
  EXPECT_LT(taken, 500);
}

}  // namespace
}  // namespace calf::vfs
