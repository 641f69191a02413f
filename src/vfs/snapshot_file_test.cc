#include "vfs/snapshot_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "vfs/snapshot_format.h"
#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;
using testing::HasSubstr;

std::string save(FileSystem& tree, const SnapshotWriteOptions& options = {}) {
  std::string file;
  auto sink = [&](std::span<const std::byte> bytes) -> Result<void> {
    file.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  };
  auto written = write_snapshot_file(tree, sink, options);
  EXPECT_TRUE(written) << written.error().to_string();
  EXPECT_EQ(written->file_bytes, file.size());
  return file;
}

Result<SnapshotFileInfo> load(std::string_view file, FileSystem& target,
                              const CopyObserver& observer = {}) {
  auto source = [&](std::span<std::byte> buffer) -> Result<size_t> {
    const size_t part = std::min(buffer.size(), file.size());
    std::memcpy(buffer.data(), file.data(), part);
    file.remove_prefix(part);
    return part;
  };
  return read_snapshot_file(source, target, observer);
}

std::string random_text(size_t size) {
  std::mt19937 random(7);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

std::unique_ptr<MemoryFileSystem> example() {
  auto fs = memory();
  EXPECT_TRUE(fs->mkdir("d", 0750));
  EXPECT_TRUE(fs->mkdir("d/empty", 0700));
  put(*fs, "d/random", random_text(3'000'000));
  put(*fs, "d/text", std::string(70'000, 'x') + std::string(100'000, '\0') + "end");
  put(*fs, "empty", "");
  put(*fs, "hole", "");
  EXPECT_TRUE(fs->open("hole", {.access = Access::kWrite}).value()->truncate(uint64_t{1} << 30));
  EXPECT_TRUE(fs->chmod("d/text", 0440, Follow::kYes));
  EXPECT_TRUE(fs->set_times("empty", {}, {TimeChange::Kind::kSet, 1'500'000'000'123'456'789},
                            Follow::kYes));
  EXPECT_TRUE(fs->symlink("d/text", "l"));
  put(*fs, "postmaster.pid", "1");
  return fs;
}

TEST(SnapshotFile, brings_a_tree_back) {
  auto tree = example();
  const std::string file = save(*tree, {.created_at_ns = 42, .leave_out = {"postmaster.pid"}});
  EXPECT_LT(file.size(), 3'010'000u);
  auto target = memory();
  auto info = load(file, *target);
  ASSERT_TRUE(info) << info.error().to_string();
  EXPECT_EQ(info->created_at_ns, 42);
  EXPECT_EQ(info->entries, 7u);
  EXPECT_EQ(info->file_bytes, file.size());
  EXPECT_EQ(get(*target, "d/random"), random_text(3'000'000));
  EXPECT_EQ(get(*target, "l"), std::string(70'000, 'x') + std::string(100'000, '\0') + "end");
  EXPECT_EQ(target->readlink("l").value(), "d/text");
  EXPECT_EQ(target->stat("hole", Follow::kYes)->size_bytes, uint64_t{1} << 30);
  EXPECT_EQ(target->stat("d", Follow::kYes)->permissions, 0750u);
  EXPECT_EQ(target->stat("d/text", Follow::kYes)->permissions, 0440u);
  EXPECT_EQ(target->stat("empty", Follow::kYes)->modify_time_ns, 1'500'000'000'123'456'789);
  EXPECT_EQ(get(*target, "postmaster.pid"), "errno 2");
  EXPECT_LT(target->used_bytes(), 3'300'000u);  // holes stay holes
}

TEST(SnapshotFile, the_same_tree_gives_the_same_bytes) {
  EXPECT_EQ(save(*memory(), {.created_at_ns = 1}), save(*memory(), {.created_at_ns = 1}));
  auto tree = memory();
  put(*tree, "b", "1");
  put(*tree, "a", "2");
  auto copy = tree->clone();
  ASSERT_TRUE(copy->rename("b", "c"));
  ASSERT_TRUE(copy->rename("c", "b"));
  EXPECT_EQ(save(*tree), save(*copy));
}

TEST(SnapshotFile, tells_how_far_it_is) {
  auto tree = example();
  CopyProgress last;
  const CopyObserver observer = [&](const CopyProgress& now) -> Result<void> {
    EXPECT_GE(now.done_bytes, last.done_bytes);
    last = now;
    return {};
  };
  const std::string file = save(*tree, {.leave_out = {}, .observer = observer});
  EXPECT_EQ(last.done_bytes, last.total_bytes);
  const uint64_t total = last.total_bytes;
  last = {};
  ASSERT_TRUE(load(file, *memory(), observer));
  EXPECT_EQ(last.total_bytes, total);
}

TEST(SnapshotFile, stops_when_told_to) {
  auto tree = example();
  auto stop = [](auto...) { return calf::fail(ErrorCode::kCancelled, "stop"); };
  auto sink = [](std::span<const std::byte>) { return Result<void>(); };
  auto full = [](std::span<const std::byte>) -> Result<void> {
    return calf::fail(ErrorCode::kResourceExhausted, "full");
  };
  EXPECT_EQ(write_snapshot_file(*tree, sink, {.observer = stop}).error().code,
            ErrorCode::kCancelled);
  EXPECT_EQ(write_snapshot_file(*tree, full, {}).error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(load(save(*tree), *memory(), stop).error().code, ErrorCode::kCancelled);
}

TEST(SnapshotFile, symlinks_that_lead_out_are_not_saved) {
  for (const char* target : {"/elsewhere", "../x", "a/../../x"}) {
    auto tree = memory();
    ASSERT_TRUE(tree->symlink(target, "l"));
    auto sink = [](std::span<const std::byte>) { return Result<void>(); };
    auto written = write_snapshot_file(*tree, sink, {});
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::kUnsupported);
  }
}

TEST(SnapshotFile, every_cut_is_noticed) {
  auto tree = memory();
  put(*tree, "a", "some text");
  const std::string file = save(*tree);
  for (size_t size = 0; size < file.size(); ++size) {
    auto loaded = load(std::string_view(file).substr(0, size), *memory());
    ASSERT_FALSE(loaded) << size;
    ASSERT_EQ(loaded.error().code, ErrorCode::kDataCorrupted) << size;
  }
  EXPECT_EQ(load(file + "x", *memory()).error().code, ErrorCode::kDataCorrupted);
}

TEST(SnapshotFile, every_flipped_bit_is_noticed) {
  auto tree = memory();
  put(*tree, "a", "some text");
  const std::string file = save(*tree);
  for (size_t at = 0; at < file.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string broken = file;
      broken[at] = static_cast<char>(broken[at] ^ (1 << bit));
      ASSERT_FALSE(load(broken, *memory())) << at << ":" << bit;
    }
  }
}

TEST(SnapshotFile, says_what_is_no_snapshot) {
  auto loaded = load(std::string(1000, 'x'), *memory());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(loaded.error().message, HasSubstr("no snapshot"));
  auto tree = memory();
  std::string later = save(*tree);
  later[8] = 2;
  EXPECT_EQ(load(later, *memory()).error().code, ErrorCode::kUnsupported);
}

// A tree whose one file has a name that no honest tree has.
class Lying : public FileSystem {
 public:
  Lying(FileSystem& under, std::string name) : under_(under), name_(std::move(name)) {}
  Expected<std::unique_ptr<File>> open(std::string_view path, const OpenOptions& options) override {
    if (path.empty()) return std::make_unique<Listing>(name_);
    return under_.open("xxxxxxxx", options);
  }
  Expected<Stat> stat(std::string_view, Follow follow) override {
    return under_.stat("xxxxxxxx", follow);
  }
  Expected<void> mkdir(std::string_view, uint32_t) override { return {}; }
  Expected<void> rmdir(std::string_view) override { return {}; }
  Expected<void> unlink(std::string_view) override { return {}; }
  Expected<void> rename(std::string_view, std::string_view) override { return {}; }
  Expected<void> link(std::string_view, std::string_view) override { return {}; }
  Expected<void> symlink(std::string_view, std::string_view) override { return {}; }
  Expected<std::string> readlink(std::string_view) override { return fail(Errno::kInvalid); }
  Expected<void> chmod(std::string_view, uint32_t, Follow) override { return {}; }
  Expected<void> set_times(std::string_view, TimeChange, TimeChange, Follow) override { return {}; }
  Expected<FsStat> statfs() override { return FsStat{}; }

 private:
  class Listing : public File {
   public:
    explicit Listing(std::string name) : name_(std::move(name)) {}
    FileKind kind() const override { return FileKind::kDirectory; }
    Expected<size_t> preadv(std::span<const iovec>, uint64_t) override {
      return fail(Errno::kIsDirectory);
    }
    Expected<size_t> pwritev(std::span<const iovec>, uint64_t) override {
      return fail(Errno::kIsDirectory);
    }
    Expected<size_t> append(std::span<const iovec>) override { return fail(Errno::kIsDirectory); }
    Expected<Stat> stat() override { return Stat{.kind = FileKind::kDirectory}; }
    Expected<void> truncate(uint64_t) override { return {}; }
    Expected<void> allocate(uint64_t, uint64_t) override { return {}; }
    Expected<void> chmod(uint32_t) override { return {}; }
    Expected<void> set_times(TimeChange, TimeChange) override { return {}; }
    Expected<void> sync(SyncKind) override { return {}; }
    Expected<SharedMapping> map_shared(uint64_t, uint64_t) override {
      return fail(Errno::kNoDevice);
    }
    Expected<void> read_directory(uint64_t, const EntryVisitor& visit) override {
      visit({name_, 1, FileKind::kRegular, 1});
      return {};
    }

   private:
    std::string name_;
  };
  FileSystem& under_;
  std::string name_;
};

class HostileNames : public testing::TestWithParam<const char*> {};

TEST_P(HostileNames, are_refused) {
  auto tree = memory();
  put(*tree, "xxxxxxxx", "text");
  Lying lying(*tree, GetParam());
  const std::string file = save(lying);
  auto loaded = load(file, *memory());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kDataCorrupted);
  EXPECT_THAT(loaded.error().message, HasSubstr("path"));
  TemporaryDirectory host;
  std::filesystem::create_directory(host.path() + "/in");
  EXPECT_FALSE(load(file, *directory(host.path() + "/in")));
  EXPECT_TRUE(std::filesystem::is_empty(host.path() + "/in"));
}

INSTANTIATE_TEST_SUITE_P(SnapshotFile, HostileNames,
                         testing::Values("../x", "/etc/x", "a/../../x", "./x", "a//b", "a/"));

}  // namespace
}  // namespace calf::vfs
