#include "pgfiles/new_identity.h"

#include <gtest/gtest.h>

#include <boost/crc.hpp>
#include <cstring>

#include "vfs/memory_file_system.h"

namespace calf::pgfiles {
namespace {

constexpr uint64_t kTemplate = 7'000'000'000'000'000'001;
constexpr const char* kSegment = "pg_wal/000000010000000000000001";
constexpr const char* kRecycled = "pg_wal/000000010000000000000002";

class NewIdentity : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(data_->mkdir("global", 0700));
    ASSERT_TRUE(data_->mkdir("pg_wal", 0700));
    ASSERT_TRUE(data_->mkdir("pg_wal/archive_status", 0700));
    put(kControlFile, control_file());
    put(kSegment, segment(kTemplate));
    put(kRecycled, segment(99));
  }

  static std::vector<std::byte> control_file() {
    std::vector<std::byte> bytes(8192);
    const auto set = [&](size_t at, auto value) {
      std::memcpy(bytes.data() + at, &value, sizeof value);
    };
    set(0, kTemplate);
    set(8, uint32_t{1800});
    set(216, uint32_t{8192});
    set(220, uint32_t{131072});
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_bytes(bytes.data(), 292);
    set(292, crc.checksum());
    return bytes;
  }
  static std::vector<std::byte> segment(uint64_t system_identifier) {
    std::vector<std::byte> bytes(16384, std::byte{5});
    std::memcpy(bytes.data() + 24, &system_identifier, sizeof system_identifier);
    return bytes;
  }
  void put(const char* path, std::span<const std::byte> bytes) {
    auto file = data_->open(path, {.access = vfs::Access::kWrite, .create = true});
    ASSERT_TRUE(file);
    ASSERT_EQ((*file)->pwrite(bytes, 0).value(), bytes.size());
  }
  std::vector<std::byte> contents(const char* path) {
    std::vector<std::byte> bytes(16384);
    auto file = data_->open(path, {});
    bytes.resize((*file)->pread(bytes, 0).value());
    return bytes;
  }
  Result<void> give() { return give_new_identity(*data_, os::SystemClock(), random_); }

  os::SystemRandom random_;
  std::unique_ptr<vfs::MemoryFileSystem> data_ =
      *vfs::MemoryFileSystem::create({.clock = std::make_shared<os::SystemClock>()});
};

TEST_F(NewIdentity, is_in_the_control_file_and_in_the_wal_that_belongs_to_it) {
  ASSERT_TRUE(give());
  const auto control = read_control_file(*data_);
  ASSERT_TRUE(control) << control.error().to_string();
  EXPECT_NE(control->system_identifier, kTemplate);
  EXPECT_EQ(contents(kSegment), segment(control->system_identifier));
  EXPECT_EQ(contents(kRecycled), segment(99));
}

TEST_F(NewIdentity, changes_nothing_else_but_the_nonce_and_the_crc) {
  ASSERT_TRUE(give());
  const auto before = control_file();
  const auto after = contents(kControlFile);
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    const bool may_change = i < 8 || (i >= 257 && i < 289) || (i >= 292 && i < 296);
    if (!may_change) EXPECT_EQ(before[i], after[i]) << i;
  }
  EXPECT_NE(std::memcmp(before.data() + 257, after.data() + 257, 32), 0);
}

TEST_F(NewIdentity, tells_the_time_and_is_another_each_time) {
  ASSERT_TRUE(give());
  const uint64_t first = read_control_file(*data_)->system_identifier;
  EXPECT_NEAR(static_cast<double>(first >> 32),
              static_cast<double>(os::SystemClock().realtime_ns()) / 1e9, 5);
  ASSERT_TRUE(give());
  EXPECT_NE(read_control_file(*data_)->system_identifier, first);
}

TEST_F(NewIdentity, is_refused_to_a_damaged_cluster) {
  auto damaged = control_file();
  damaged[100] ^= std::byte{1};
  put(kControlFile, damaged);
  const auto given = give();
  ASSERT_FALSE(given);
  EXPECT_EQ(given.error().code, ErrorCode::kDataCorrupted);
  EXPECT_EQ(contents(kControlFile), damaged);
  EXPECT_EQ(contents(kSegment), segment(kTemplate));
}

}  // namespace
}  // namespace calf::pgfiles
