#include "wasm/files/guest_layout.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "wasm/files/guest_errno.h"

namespace calf::wasm {
namespace {

template <size_t size>
std::string hex(const std::array<std::byte, size>& bytes, size_t from, size_t length) {
  std::string out;
  char digits[3];
  for (size_t i = from; i < from + length; ++i) {
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(bytes[i]));
    out += digits;
  }
  return out;
}

TEST(GuestErrno, has_the_numbers_of_wasi) {
  const std::pair<int, int> expected[] = {
      {EPERM, 63},  {ENOENT, 44},    {EIO, 29},     {EBADF, 8},        {EAGAIN, 6},
      {ENOMEM, 48}, {EACCES, 2},     {EFAULT, 21},  {EBUSY, 10},       {EEXIST, 20},
      {EXDEV, 75},  {ENODEV, 43},    {ENOTDIR, 54}, {EISDIR, 31},      {EINVAL, 28},
      {EMFILE, 33}, {ENOTTY, 59},    {EFBIG, 22},   {ENOSPC, 51},      {ESPIPE, 70},
      {EROFS, 69},  {EMLINK, 34},    {EPIPE, 64},   {ERANGE, 68},      {ENAMETOOLONG, 37},
      {ENOSYS, 52}, {ENOTEMPTY, 55}, {ELOOP, 32},   {EOPNOTSUPP, 138}, {EOVERFLOW, 61},
      {EINTR, 27},  {ENXIO, 60},     {ETXTBSY, 74}, {EDQUOT, 19},      {ENFILE, 41}};
  for (auto [linux_errno, guest] : expected)
    EXPECT_EQ(guest_errno(static_cast<os::Errno>(linux_errno)), guest) << linux_errno;
  EXPECT_EQ(guest_errno(static_cast<os::Errno>(9999)), 29);
  EXPECT_EQ(guest_errno(static_cast<os::Errno>(0)), 29);
  EXPECT_EQ(syscall_error(os::Errno::kNoEntry), -44);
}

TEST(GuestLayout, stat_lies_as_emscripten_has_it) {
  vfs::Stat stat{.kind = vfs::FileKind::kRegular,
                 .permissions = 0640,
                 .links = 3,
                 .inode = 0x1122334455667788,
                 .size_bytes = 0x0000000512345678,
                 .allocated_bytes = 512 * 9,
                 .access_time_ns = 5'000'000'007,
                 .modify_time_ns = -1,
                 .change_time_ns = 1'700'000'000'123'456'789};
  std::array<std::byte, kGuestStatSize> out;
  out.fill(std::byte{0xee});
  encode_stat(stat, 0x0102, 0x0304, out);
  EXPECT_EQ(hex(out, 0, 4), "01000000");           // dev
  EXPECT_EQ(hex(out, 4, 4), "a0810000");           // mode 0100640
  EXPECT_EQ(hex(out, 8, 4), "03000000");           // nlink
  EXPECT_EQ(hex(out, 12, 4), "02010000");          // uid
  EXPECT_EQ(hex(out, 16, 4), "04030000");          // gid
  EXPECT_EQ(hex(out, 20, 4), "00000000");          // rdev
  EXPECT_EQ(hex(out, 24, 8), "7856341205000000");  // size
  EXPECT_EQ(hex(out, 32, 4), "00100000");          // blksize
  EXPECT_EQ(hex(out, 36, 4), "09000000");          // blocks
  EXPECT_EQ(hex(out, 40, 12), "050000000000000007000000");
  EXPECT_EQ(hex(out, 56, 12), "ffffffffffffffffffc99a3b");  // one ns before 1970
  EXPECT_EQ(hex(out, 72, 12), "00f153650000000015cd5b07");
  EXPECT_EQ(hex(out, 88, 8), "8877665544332211");  // ino
}

TEST(GuestLayout, statfs_lies_as_emscripten_has_it) {
  std::array<std::byte, kGuestStatfsSize> out;
  encode_statfs(
      {.block_size_bytes = 4096, .blocks = 10, .free_blocks = 7, .files = 5, .free_files = 4}, true,
      out);
  EXPECT_EQ(hex(out, 4, 4), "00100000");
  EXPECT_EQ(hex(out, 8, 8), "0a00000000000000");
  EXPECT_EQ(hex(out, 16, 8), "0700000000000000");
  EXPECT_EQ(hex(out, 24, 8), "0700000000000000");
  EXPECT_EQ(hex(out, 32, 8), "0500000000000000");
  EXPECT_EQ(hex(out, 40, 8), "0400000000000000");
  EXPECT_EQ(hex(out, 56, 4), "ff000000");
  EXPECT_EQ(hex(out, 60, 4), "00100000");
  EXPECT_EQ(hex(out, 64, 4), "01000000");
}

TEST(GuestLayout, dirents_are_padded_and_bounded) {
  std::array<std::byte, 32> out;
  out.fill(std::byte{0xee});
  vfs::DirectoryEntry entry{"base", 0x42, vfs::FileKind::kDirectory, 9};
  EXPECT_EQ(encode_dirent(entry, out), 24u);
  EXPECT_EQ(hex(out, 0, 24),
            "4200000000000000"
            "0900000000000000"
            "1800"
            "04"
            "6261736500");
  EXPECT_EQ(encode_dirent(entry, std::span(out).first(23)), 0u);
  entry.name = "12345";  // 19 + 5 + 1 = 25
  EXPECT_EQ(encode_dirent(entry, out), 32u);
}

TEST(GuestLayout, fdstat_names_the_kind) {
  std::array<std::byte, kGuestFdstatSize> out;
  encode_fdstat(vfs::FileKind::kDirectory, out);
  EXPECT_EQ(hex(out, 0, 24),
            "03"
            "00"
            "0000"
            "00000000"
            "0000000000000000"
            "0000000000000000");
  encode_fdstat(vfs::FileKind::kRegular, out);
  EXPECT_EQ(hex(out, 0, 1), "04");
}

std::array<int32_t, 11> fields(const std::array<std::byte, kGuestTmSize>& tm) {
  std::array<int32_t, 11> out;
  std::memcpy(out.data(), tm.data(), sizeof out);
  return out;
}

TEST(GuestLayout, tm_goes_both_ways) {
  std::array<std::byte, kGuestTmSize> tm;
  tm.fill(std::byte{0x11});
  ASSERT_TRUE(encode_tm(1'709'210'096, tm));  // 2024-02-29 12:34:56, a Thursday
  std::array<int32_t, 11> expected{56, 34, 12, 29, 1, 124, 4, 59, 0, 0, 0x11111111};
  EXPECT_EQ(fields(tm), expected);
  EXPECT_EQ(decode_tm(tm), 1'709'210'096);
  // 2024-01-60 is the same day.
  std::array<int32_t, 11> odd{56, 34, 12, 60, 0, 124, 0, 0, 0, 0, 0x11111111};
  std::memcpy(tm.data(), odd.data(), sizeof odd);
  EXPECT_EQ(decode_tm(tm), 1'709'210'096);
  EXPECT_EQ(fields(tm), expected);
  ASSERT_TRUE(encode_tm(-1, tm));
  EXPECT_EQ(fields(tm)[5], 69);
  EXPECT_EQ(decode_tm(tm), -1);
  EXPECT_FALSE(encode_tm(INT64_MAX, tm));
}

TEST(GuestLayout, the_zone_is_utc) {
  std::array<std::byte, 4> timezone, daylight;
  std::array<std::byte, kGuestTzNameSize> standard, summer;
  encode_utc_zone(timezone, daylight, standard, summer);
  EXPECT_EQ(hex(timezone, 0, 4) + hex(daylight, 0, 4), "0000000000000000");
  EXPECT_STREQ(reinterpret_cast<char*>(standard.data()), "UTC");
  EXPECT_STREQ(reinterpret_cast<char*>(summer.data()), "UTC");
}

TEST(GuestLayout, timespecs_know_now_and_omit) {
  std::array<std::byte, 32> times{};
  auto put64 = [&](size_t at, int64_t v) { std::memcpy(times.data() + at, &v, 8); };
  auto put32 = [&](size_t at, int32_t v) { std::memcpy(times.data() + at, &v, 4); };
  put64(0, 12);
  put32(8, 34);
  put32(24, 0x3ffffffe);
  GuestTimes decoded = decode_times(times);
  EXPECT_EQ(decoded.access.time_ns, 12'000'000'034);
  EXPECT_EQ(decoded.modify.kind, vfs::TimeChange::Kind::kKeep);
  put32(24, 0x3fffffff);
  EXPECT_EQ(decode_times(times).modify.kind, vfs::TimeChange::Kind::kNow);
}

TEST(GuestLayout, iovecs_must_lie_inside_memory) {
  std::array<std::byte, 64> bytes{};
  GuestMemory memory{bytes.data(), bytes.size()};
  auto put = [&](size_t at, uint32_t v) { std::memcpy(bytes.data() + at, &v, 4); };
  put(8, 32);   // buf
  put(12, 16);  // len
  put(16, 0);
  put(20, 64);
  std::array<iovec, 2> out;
  ASSERT_TRUE(decode_iovecs(memory, 8, 2, out));
  EXPECT_EQ(out[0].iov_base, bytes.data() + 32);
  EXPECT_EQ(out[0].iov_len, 16u);
  EXPECT_EQ(out[1].iov_len, 64u);
  put(20, 65);
  EXPECT_FALSE(decode_iovecs(memory, 8, 2, out));
  put(16, 0xffffffff);
  put(20, 1);
  EXPECT_FALSE(decode_iovecs(memory, 8, 2, out));
  EXPECT_FALSE(decode_iovecs(memory, 60, 1, out));
  EXPECT_FALSE(decode_iovecs(memory, 0xfffffff8, 1, out));
  EXPECT_FALSE(decode_iovecs(memory, 0, 3, out));
}

TEST(GuestLayout, strings_must_end_inside_memory) {
  std::array<std::byte, 4> bytes{std::byte{'a'}, std::byte{0}, std::byte{'b'}, std::byte{'c'}};
  GuestMemory memory{bytes.data(), bytes.size()};
  EXPECT_STREQ(memory.c_string(0), "a");
  EXPECT_EQ(memory.c_string(2), nullptr);
  EXPECT_EQ(memory.c_string(4), nullptr);
}

TEST(GuestLayout, environ_is_pointers_and_strings) {
  std::vector<std::string> strings{"A=1", "HOME=/x"};
  EnvironSizes sizes = environ_sizes(strings);
  EXPECT_EQ(sizes.count, 2u);
  EXPECT_EQ(sizes.size_bytes, 12u);
  std::array<std::byte, 8> pointers;
  std::array<std::byte, 12> buffer;
  ASSERT_TRUE(encode_environ(strings, 0x1000, pointers, buffer));
  EXPECT_EQ(hex(pointers, 0, 8), "0010000004100000");
  EXPECT_EQ(std::memcmp(buffer.data(), "A=1\0HOME=/x", 12), 0);
  EXPECT_FALSE(encode_environ(strings, 0, pointers, std::span(buffer).first(11)));
}

}  // namespace
}  // namespace calf::wasm
