#include "vfs/memory_file_system.h"

#include <gtest/gtest.h>

#include <thread>

#include "vfs/contents.h"
#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;

TEST(MemoryFileSystem, counts_and_limits_its_bytes) {
  auto fs = memory(256 * 1024);
  auto file = fs->open("a", {.access = Access::kReadWrite, .create = true}).value();
  std::string block(64 * 1024, 'x');
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(file->pwrite(bytes(block), i * block.size()));
  EXPECT_EQ(fs->used_bytes(), 256u * 1024);
  EXPECT_EQ(error_of(file->pwrite(bytes("x"), 4 * block.size())), Errno::kNoSpace);
  EXPECT_EQ(error_of(file->allocate(0, 5 * block.size())), Errno::kNoSpace);
  EXPECT_EQ(fs->statfs().value().free_blocks, 0u);
  ASSERT_TRUE(file->truncate(0));
  EXPECT_EQ(fs->used_bytes(), 0u);
  // Space that runs out in the middle of a write: what fitted is reported.
  std::string much(300 * 1024, 'y');
  EXPECT_EQ(file->pwrite(bytes(much), 0).value(), 256u * 1024);
  ASSERT_TRUE(fs->unlink("a"));
  EXPECT_EQ(fs->used_bytes(), 256u * 1024);
  file.reset();
  EXPECT_EQ(fs->used_bytes(), 0u);
}

TEST(MemoryFileSystem, allocated_space_is_there_for_later_writes) {
  auto fs = memory(128 * 1024);
  auto a = fs->open("a", {.access = Access::kReadWrite, .create = true}).value();
  auto b = fs->open("b", {.access = Access::kReadWrite, .create = true}).value();
  ASSERT_TRUE(a->allocate(0, 128 * 1024));
  EXPECT_EQ(error_of(b->pwrite(bytes("x"), 0)), Errno::kNoSpace);
  EXPECT_EQ(a->pwrite(bytes(std::string(128 * 1024, 'x')), 0).value(), 128u * 1024);
}

TEST(MemoryFileSystem, small_files_take_little) {
  auto fs = memory();
  put(*fs, "a", "x");
  EXPECT_EQ(fs->used_bytes(), 4096u);
}

TEST(MemoryFileSystem, clones_share_until_written) {
  auto original = memory();
  ASSERT_TRUE(original->mkdir("d", 0700));
  std::string text(200'000, 'a');
  put(*original, "d/f", text);
  put(*original, "g", "same");
  auto open_before = original->open("d/f", {.access = Access::kReadWrite}).value();
  auto clone = original->clone();
  ASSERT_TRUE(open_before->pwrite(bytes("ORIGINAL"), 70'000));
  auto in_clone = clone->open("d/f", {.access = Access::kReadWrite}).value();
  EXPECT_EQ(get(*in_clone), text);
  ASSERT_TRUE(in_clone->pwrite(bytes("CLONE"), 0));
  ASSERT_TRUE(in_clone->truncate(150'000));
  EXPECT_EQ(get(*original, "d/f").substr(0, 5), "aaaaa");
  EXPECT_EQ(get(*original, "d/f").substr(70'000, 8), "ORIGINAL");
  EXPECT_EQ(get(*original, "d/f").size(), 200'000u);
  put(*clone, "d/new", "x");
  ASSERT_TRUE(clone->unlink("g"));
  EXPECT_EQ(get(*original, "g"), "same");
  EXPECT_EQ(get(*original, "d/new"), "errno 2");
  ASSERT_TRUE(original->rename("d", "e"));
  EXPECT_EQ(get(*clone, "d/new"), "x");
}

TEST(MemoryFileSystem, clones_leave_out_files_without_a_name) {
  auto original = memory();
  put(*original, "a", std::string(100'000, 'x'));
  auto file = original->open("a", {}).value();
  ASSERT_TRUE(original->unlink("a"));
  auto clone = original->clone();
  EXPECT_EQ(clone->used_bytes(), 0u);
  put(*clone, "b", "new");  // may take the free inode
  EXPECT_EQ(get(*clone, "b"), "new");
}

TEST(MemoryFileSystem, clones_of_mapped_files_are_copies) {
  auto original = memory();
  put(*original, "a", "abc");
  auto file = original->open("a", {.access = Access::kReadWrite}).value();
  ASSERT_TRUE(file->map_shared(0, 3));
  auto clone = original->clone();
  ASSERT_TRUE(file->pwrite(bytes("x"), 0));
  EXPECT_EQ(get(*clone, "a"), "abc");
  EXPECT_EQ(get(*original, "a"), "xbc");
}

TEST(MemoryFileSystem, clones_may_live_on_other_threads) {
  auto original = memory();
  for (int i = 0; i < 50; ++i) put(*original, std::to_string(i), std::string(100'000, 'a'));
  std::vector<std::unique_ptr<MemoryFileSystem>> clones;
  for (int i = 0; i < 4; ++i) clones.push_back(original->clone());
  std::vector<std::thread> threads;
  for (auto& clone : clones)
    threads.emplace_back([&clone] {
      for (int i = 0; i < 50; ++i) {
        auto file = clone->open(std::to_string(i), {.access = Access::kReadWrite}).value();
        ASSERT_TRUE(file->pwrite(bytes("mine"), 66'000));
      }
      clone.reset();
    });
  for (int i = 0; i < 50; ++i) {
    auto file = original->open(std::to_string(i), {.access = Access::kReadWrite}).value();
    ASSERT_TRUE(file->pwrite(bytes("original"), 66'000));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(get(*original, "7").substr(66'000, 9), "originala");
}

// Contents lie in pages, tables of pages and an index of tables: each of them is cut, shared, and
// copied.
TEST(MemoryFileSystem, big_files_are_cut_and_shared_at_any_place) {
  constexpr uint64_t kTable = ChunkTable::kChunks * kChunkSize;
  auto original = memory();
  auto file = original->open("a", {.access = Access::kReadWrite, .create = true}).value();
  for (uint64_t at = 0; at < 4 * kTable; at += kTable / 2)
    ASSERT_TRUE(file->pwrite(bytes(std::to_string(at)), at));
  for (uint64_t size : {3 * kTable + kTable / 2 + 3, 3 * kTable + kTable / 2, 3 * kTable + 1,
                        3 * kTable, 2 * kTable + kChunkSize, 2 * kTable, kTable / 2 + 1}) {
    auto clone = original->clone();
    const std::string before = get(*original, "a");
    ASSERT_TRUE(file->truncate(size));
    ASSERT_TRUE(file->truncate(4 * kTable));
    EXPECT_TRUE(get(*clone, "a") == before) << size;
    std::string after = before.substr(0, size);
    after.resize(4 * kTable);
    EXPECT_TRUE(get(*file) == after) << size;
  }
  ASSERT_TRUE(file->truncate(0));
  EXPECT_EQ(original->used_bytes(), 0u);
}

TEST(MemoryFileSystem, clones_of_clones_are_as_flat_as_the_first) {
  auto fs = memory();
  put(*fs, "a", std::string(1'000'000, 'x'));
  std::vector<std::unique_ptr<MemoryFileSystem>> chain;
  for (int i = 0; i < 200; ++i) {
    auto next = fs->clone();
    auto file = next->open("a", {.access = Access::kReadWrite}).value();
    ASSERT_TRUE(file->pwrite(bytes("y"), static_cast<uint64_t>(i) * 1000));
    file.reset();
    EXPECT_EQ(next->own_bytes(), 8192u);
    chain.push_back(std::move(fs));
    fs = std::move(next);
  }
  chain.clear();  // parents may go before their clones
  std::string expected(1'000'000, 'x');
  for (size_t i = 0; i < 200; ++i) expected[i * 1000] = 'y';
  EXPECT_EQ(get(*fs, "a"), expected);
  EXPECT_EQ(fs->own_bytes(), fs->used_bytes());
}

TEST(MemoryFileSystem, a_clone_takes_only_what_it_writes) {
  auto original = memory();
  put(*original, "a", std::string(10'000'000, 'x'));
  EXPECT_EQ(original->own_bytes(), original->used_bytes());
  auto clone = original->clone();
  EXPECT_EQ(clone->own_bytes(), 0u);
  EXPECT_EQ(original->own_bytes(), 0u);
  auto file = clone->open("a", {.access = Access::kReadWrite}).value();
  ASSERT_TRUE(file->pwrite(bytes("y"), 5'000'000));
  put(*clone, "b", "small");
  EXPECT_EQ(clone->own_bytes(), 8192u + 4096);
  EXPECT_EQ(clone->used_bytes(), original->used_bytes() + 4096);
  original.reset();
  EXPECT_EQ(clone->own_bytes(), clone->used_bytes());
}

class PackedMemory : public testing::Test {
 protected:
  PackedMemory() {
    PackBuilder builder({.compression_level = 1});
    text_ = std::string(70'000, 'p') + std::string(70'000, '\0') + "tail";
    EXPECT_TRUE(builder.add_directory("d", 0700));
    EXPECT_TRUE(builder.add_directory("d/e", 0750));
    EXPECT_TRUE(builder.add_file("d/f", 0600, text_));
    EXPECT_TRUE(builder.add_file("d/e/g", 0640, "small"));
    EXPECT_TRUE(builder.add_symlink("l", "d/e/g"));
    blob_ = std::move(builder).finish().value();
    pack_ = Pack::open(bytes(blob_)).value();
  }
  std::unique_ptr<MemoryFileSystem> make(std::string_view subtree = "") {
    MemoryFileSystem::Options options;
    options.clock = clock();
    options.pack = pack_;
    options.pack_subtree = subtree;
    return std::move(*MemoryFileSystem::create(options));
  }

  std::string text_, blob_;
  std::shared_ptr<const Pack> pack_;
};

TEST_F(PackedMemory, shows_the_pack_and_holds_nothing_itself) {
  auto fs = make();
  EXPECT_EQ(get(*fs, "d/f"), text_);
  EXPECT_EQ(get(*fs, "l"), "small");
  EXPECT_EQ(fs->stat("d", Follow::kYes).value().links, 3u);
  EXPECT_EQ(fs->stat("d/e", Follow::kYes).value().permissions, 0750u);
  EXPECT_EQ(fs->used_bytes(), 0u);
  EXPECT_EQ(get(*make("d/e"), "g"), "small");
  MemoryFileSystem::Options options;
  options.clock = clock();
  options.pack = pack_;
  options.pack_subtree = "none";
  EXPECT_EQ(error_of(MemoryFileSystem::create(options)), Errno::kNoEntry);
}

TEST_F(PackedMemory, writes_go_to_a_copy) {
  auto fs = make();
  auto file = fs->open("d/f", {.access = Access::kReadWrite}).value();
  ASSERT_TRUE(file->pwrite(bytes("XY"), 65'535));
  std::string expected = text_;
  expected.replace(65'535, 2, "XY");
  EXPECT_EQ(get(*file), expected);
  EXPECT_EQ(get(*make(), "d/f"), text_);
}

TEST_F(PackedMemory, truncated_contents_do_not_come_back) {
  auto fs = make();
  auto file = fs->open("d/f", {.access = Access::kReadWrite}).value();
  ASSERT_TRUE(file->truncate(10));
  ASSERT_TRUE(file->truncate(140'004));
  EXPECT_EQ(get(*file), std::string(10, 'p') + std::string(139'994, '\0'));
  ASSERT_TRUE(file->pwrite(bytes("x"), 20));
  EXPECT_EQ(get(*file).substr(0, 22),
            std::string(10, 'p') + std::string(10, '\0') + std::string("x\0", 2));
}

TEST_F(PackedMemory, clones_keep_the_pack_alive) {
  auto fs = make();
  (void)fs->stat("d", Follow::kYes);
  auto clone = fs->clone();
  fs.reset();
  pack_.reset();
  EXPECT_EQ(get(*clone, "d/f"), text_);
  ASSERT_TRUE(clone->rename("d", "moved"));
  EXPECT_EQ(get(*clone, "moved/e/g"), "small");
}

TEST_F(PackedMemory, pack_files_can_be_mapped) {
  auto fs = make();
  auto file = fs->open("d/f", {.access = Access::kReadWrite}).value();
  ASSERT_TRUE(file->map_shared(0, text_.size()));
  EXPECT_EQ(get(*file), text_);
}

TEST_F(PackedMemory, damage_is_an_io_error) {
  blob_[60] ^= 1;
  pack_ = Pack::open(bytes(blob_)).value();
  auto fs = make();
  auto file = fs->open("d/e/g", {}).value();
  auto other = fs->open("d/f", {}).value();
  std::array<std::byte, 5> buffer;
  bool damaged = error_of(file->pread(buffer, 0)) == Errno::kIo ||
                 error_of(other->pread(buffer, 0)) == Errno::kIo;
  EXPECT_TRUE(damaged);
}

}  // namespace
}  // namespace calf::vfs
