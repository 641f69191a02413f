#include "pgfiles/relation_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "os/clock.h"
#include "pgfiles/page_checksum.h"
#include "vfs/memory_file_system.h"

namespace calf::pgfiles {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using PageBytes = std::array<std::byte, kPageBytes>;

// A page with an ordinary header, its checksum right for `block`.
PageBytes sound_page(uint32_t block, unsigned char filler = 7) {
  PageBytes page;
  page.fill(std::byte{filler});
  const uint16_t checksum = page_checksum(page, block);
  std::memcpy(page.data() + 8, &checksum, 2);
  return page;
}

TEST(PageChecksum, is_postgresql_s) {
  // What page_checksum() of pageinspect says.
  PageBytes page;
  page.fill(std::byte{7});
  EXPECT_EQ(page_checksum(page, 0), 14512);
  EXPECT_EQ(page_checksum(page, 1), 14511);
}

TEST(PageChecksum, tells_sound_new_and_broken_pages_apart) {
  PageBytes page = sound_page(3);
  EXPECT_EQ(state_of_page(page, 3), PageState::kSound);
  EXPECT_EQ(state_of_page(page, 4), PageState::kBadChecksum) << "of another block";
  page[5000] ^= std::byte{1};
  EXPECT_EQ(state_of_page(page, 3), PageState::kBadChecksum);
  page.fill(std::byte{0});
  EXPECT_EQ(state_of_page(page, 3), PageState::kNew);
  page[kPageBytes - 1] = std::byte{1};
  EXPECT_EQ(state_of_page(page, 3), PageState::kZeroedHeader);
}

TEST(RelationFile, is_known_by_its_name) {
  EXPECT_EQ(parse_file_name("16384")->file_number, 16384u);
  EXPECT_EQ(parse_file_name("16384.12")->segment, 12u);
  EXPECT_EQ(parse_file_name("16384_vm")->fork, "vm");
  EXPECT_EQ(parse_file_name("16384_fsm.1")->fork, "fsm");
  for (const char* other : {"", "pg_control", "PG_VERSION", "t3_16384", "16384_x", "16384.", ".1",
                            "16384.0", "016384", "99999999999", "pg_internal.init", "-5", "5x"})
    EXPECT_FALSE(parse_file_name(other)) << other;
}

class RelationFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* directory : {"global", "base", "base/5", "pg_tblspc"})
      ASSERT_TRUE(data_->mkdir(directory, 0700));
  }
  void put(const std::string& path, std::span<const std::byte> bytes, uint64_t offset = 0) {
    auto file = data_->open(path, {.access = vfs::Access::kWrite, .create = true});
    ASSERT_TRUE(file);
    ASSERT_EQ((*file)->pwrite(bytes, offset).value(), bytes.size());
  }
  std::vector<std::string> problems() {
    auto files = list_relation_files(*data_);
    EXPECT_TRUE(files) << files.error().to_string();
    auto checked = check_pages(*data_, control_, *files, [](uint64_t) { return true; });
    EXPECT_TRUE(checked) << checked.error().to_string();
    std::vector<std::string> out;
    for (const FileProblem& each : checked->problems)
      out.push_back(each.file.path + " " +
                    (each.block ? std::to_string(*each.block) : std::string("-")) + ": " +
                    each.message);
    return out;
  }

  std::unique_ptr<vfs::FileSystem> data_ = std::move(
      vfs::MemoryFileSystem::create({.clock = std::make_shared<os::SystemClock>()}).value());
  ControlFile control_{
      .clean_shutdown = true, .data_checksums = true, .page_bytes = kPageBytes, .segment_pages = 4};
};

TEST_F(RelationFiles, are_listed_with_what_they_belong_to) {
  for (const char* path : {"global/1262", "base/5/1259", "base/5/1259_fsm", "base/5/t3_77",
                           "base/5/PG_VERSION", "global/pg_control"})
    put(path, sound_page(0));
  const auto files = list_relation_files(*data_).value();
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0].path, "global/1262");
  EXPECT_EQ(files[1].path, "base/5/1259_fsm");
  EXPECT_EQ(files[1].database, 5u);
  EXPECT_EQ(files[2].fork, "main");
}

TEST_F(RelationFiles, with_sound_and_new_pages_pass) {
  put("base/5/1259", sound_page(0));
  put("base/5/1259", PageBytes{}, kPageBytes);
  EXPECT_THAT(problems(), ElementsAre());
}

TEST_F(RelationFiles, count_blocks_over_segments) {
  for (uint32_t block = 0; block < 4; ++block)
    put("base/5/1259", sound_page(block), uint64_t{block} * kPageBytes);
  put("base/5/1259.1", sound_page(4));
  put("base/5/1259.1", sound_page(7), kPageBytes);
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("base/5/1259.1 5: page verification failed")));
}

TEST_F(RelationFiles, that_are_cut_off_are_found) {
  const PageBytes page = sound_page(0);
  put("base/5/1259", std::span(page).first(100));
  put("base/5/2000", sound_page(0));
  put("base/5/2000.1", sound_page(4));
  put("base/5/3000.1", sound_page(4));
  EXPECT_THAT(problems(),
              ElementsAre(HasSubstr("base/5/2000 -: has 8192 of 32768 bytes although another"),
                          HasSubstr("base/5/3000.1 -: the segment before this one is missing"),
                          HasSubstr("base/5/1259 0: the file ends in the middle of a block")));
}

TEST_F(RelationFiles, may_end_in_a_block_that_was_never_used) {
  put("base/5/2000", sound_page(0));
  put("base/5/2000", std::vector<std::byte>(1000), kPageBytes);
  EXPECT_THAT(problems(), ElementsAre());
}

TEST_F(RelationFiles, empty_segments_may_follow) {
  put("base/5/2000", sound_page(0));
  put("base/5/2000.1", {});
  EXPECT_THAT(problems(), ElementsAre());
}

TEST_F(RelationFiles, the_check_of_them_can_be_stopped) {
  put("base/5/1259", sound_page(0));
  const auto files = list_relation_files(*data_).value();
  const auto stopped = check_pages(*data_, control_, files, [](uint64_t) { return false; });
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
}

TEST_F(RelationFiles, a_control_file_must_be_whole) {
  EXPECT_EQ(read_control_file(*data_).error().code, ErrorCode::kNotFound);
  const PageBytes page = sound_page(0);
  put(kControlFile, std::span(page).first(100));
  EXPECT_THAT(read_control_file(*data_).error().message, HasSubstr("ends after 100 of 296 bytes"));
  put(kControlFile, sound_page(0));
  EXPECT_THAT(read_control_file(*data_).error().message, HasSubstr("its CRC is 07070707"));
}

}  // namespace
}  // namespace calf::pgfiles
