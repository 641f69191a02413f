#include "vfs/tar_read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;
using testing::HasSubstr;

// An entry by hand; what tar programs write is tried below.
std::string entry(const std::string& name, char type, const std::string& contents = "",
                  const std::string& prefix = "") {
  std::string block(512, '\0');
  auto put = [&](size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  char size[12];
  std::snprintf(size, sizeof size, "%011zo", contents.size());
  put(0, name);
  put(124, size);
  put(148, "        ");
  put(156, std::string(1, type));
  put(257, "ustar");
  put(345, prefix);
  unsigned sum = 0;
  for (const char byte : block) sum += static_cast<unsigned char>(byte);
  char checksum[8];
  std::snprintf(checksum, sizeof checksum, "%06o", sum);
  put(148, checksum);
  return block + contents + std::string((512 - contents.size() % 512) % 512, '\0');
}

std::string pax(const std::string& name, const std::string& value) {
  const std::string record = " " + name + "=" + value + "\n";
  size_t length = record.size() + 1;
  while (std::to_string(length).size() + record.size() != length) ++length;
  return entry("extended", 'x', std::to_string(length) + record);
}

Result<void> load(std::string_view archive, FileSystem& target,
                  const std::vector<std::string>& leave_out = {}) {
  const TarSource source = [&](std::span<std::byte> buffer) -> Result<size_t> {
    const size_t part = std::min(buffer.size(), archive.size());
    std::memcpy(buffer.data(), archive.data(), part);
    archive.remove_prefix(part);
    return part;
  };
  return read_tar(source, target, leave_out);
}

std::string refusal(const std::string& archive) {
  const auto loaded = load(archive, *memory());
  return loaded ? "loaded" : loaded.error().message;
}

TEST(TarRead, makes_files_and_the_directories_that_they_are_in) {
  auto tree = memory();
  const std::string text = std::string(40'000, '\0') + "text" + std::string(300'000, '\0');
  const auto loaded =
      load(entry("./", '5') + entry("./a//b/file", '0', text) + entry("/old", '\0', "x") +
               entry("d/", '5') + entry("empty", '0') + entry("name", '0', "p", "pre/fix") +
               std::string(1024, '\0') + "what is behind the end is not read",
           *tree);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(get(*tree, "a/b/file"), text);
  EXPECT_EQ(get(*tree, "old"), "x");
  EXPECT_EQ(get(*tree, "empty"), "");
  EXPECT_EQ(get(*tree, "pre/fix/name"), "p");
  EXPECT_EQ(tree->stat("d", Follow::kNo)->permissions, 0700u);
  EXPECT_EQ(tree->stat("old", Follow::kNo)->permissions, 0600u);
  EXPECT_LT(tree->stat("a/b/file", Follow::kNo)->allocated_bytes, 64u * 1024);
}

TEST(TarRead, leaves_out_what_it_is_told_to) {
  auto tree = memory();
  ASSERT_TRUE(load(entry("lock", '0', "1") + entry("dir/lock", '0', "2") + entry("dir", '5') +
                       entry("out/below/lock", '0', "3"),
                   *tree, {"lock", "out"}));
  EXPECT_EQ(get(*tree, "dir/lock"), "2");
  EXPECT_FALSE(tree->stat("lock", Follow::kNo));
  EXPECT_FALSE(tree->stat("out", Follow::kNo));
}

TEST(TarRead, knows_extended_headers) {
  auto tree = memory();
  const std::string long_path = std::string(120, 'd') + "/" + std::string(130, 'f');
  const std::string gnu_path = std::string(140, 'g');
  std::string sized = entry("sized", '0', "12345");
  const auto loaded = load(entry("all", 'g', "") + pax("mtime", "1.5") + entry("timed", '0', "t") +
                               pax("path", long_path) + entry("short", '0', "long") +
                               entry("././@LongLink", 'L', gnu_path + '\0') +
                               entry("cut", '0', "gnu") + pax("size", "5") + sized,
                           *tree);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(get(*tree, "timed"), "t");
  EXPECT_EQ(get(*tree, long_path), "long");
  EXPECT_EQ(get(*tree, gnu_path), "gnu");
  EXPECT_EQ(get(*tree, "sized"), "12345");
}

TEST(TarRead, reads_what_tar_programs_write) {
  const TemporaryDirectory folder;
  const auto from = directory(folder.path());
  ASSERT_TRUE(from->mkdir("tree", 0700));
  ASSERT_TRUE(from->mkdir("tree/empty", 0700));
  const std::string long_name = "tree/" + std::string(200, 'n');
  put(*from, long_name, "long");
  put(*from, "tree/file", std::string(1'000'000, 'x'));
  for (const std::string format : {"ustar", "gnu", "posix"}) {
    if (format == "ustar") std::filesystem::remove(folder.path() + "/" + long_name);
    const std::string command = "tar --format=" + format + " -cf " + folder.path() + "/" + format +
                                ".tar -C " + folder.path() + "/tree .";
    ASSERT_EQ(std::system(command.c_str()), 0);
    put(*from, long_name, "long");
    std::ifstream file(folder.path() + "/" + format + ".tar", std::ios::binary);
    const std::string archive{std::istreambuf_iterator<char>(file), {}};
    auto tree = memory();
    const auto loaded = load(archive, *tree);
    ASSERT_TRUE(loaded) << format << loaded.error().to_string();
    EXPECT_EQ(get(*tree, "file"), std::string(1'000'000, 'x')) << format;
    EXPECT_TRUE(tree->stat("empty", Follow::kNo)) << format;
    if (format != "ustar") EXPECT_EQ(get(*tree, std::string(200, 'n')), "long") << format;
  }
}

TEST(TarRead, refuses_what_leads_out_of_it) {
  for (const char* path : {"../out", "a/../../out", "..", "a/.."})
    EXPECT_THAT(refusal(entry(path, '0', "x")), HasSubstr("leads out")) << path;
  EXPECT_THAT(refusal(pax("path", "../out") + entry("in", '0', "x")), HasSubstr("leads out"));
  EXPECT_THAT(refusal(pax("path", std::string("a\0b", 3)) + entry("in", '0')),
              HasSubstr("leads out"));
  EXPECT_THAT(refusal(entry(std::string(300, 'x').substr(0, 100), '0', "", std::string(155, 'y'))),
              "loaded");
  EXPECT_THAT(refusal(pax("path", std::string(5000, 'x')) + entry("in", '0')),
              HasSubstr("leads out"));
  for (const char type : {'1', '2', '3', '4', '6', 'K', 'S', 'V'})
    EXPECT_THAT(refusal(entry("thing", type)), HasSubstr("thing is neither file nor directory"));
}

TEST(TarRead, refuses_what_is_cut_off_or_damaged) {
  const std::string whole = entry("dir", '5') + pax("path", "other") +
                            entry("file", '0', std::string(700, 'x')) + std::string(1024, '\0');
  ASSERT_EQ(refusal(whole), "loaded");
  EXPECT_THAT(refusal(""), HasSubstr("ends after 0 bytes"));
  // Between two entries nothing shows.
  for (const size_t size : {1, 511, 513, 1024, 1100, 2047, 2048, 2100, 2700, 3000})
    EXPECT_THAT(refusal(whole.substr(0, size)), HasSubstr("broken"))
        << size << " of " << whole.size();
  for (const size_t at : {0, 130, 156, 300}) {
    std::string damaged = whole;
    damaged[at] ^= 1;
    EXPECT_THAT(refusal(damaged), HasSubstr("the header at byte 0")) << at;
  }
  EXPECT_THAT(refusal(std::string(4096, 'x')), HasSubstr("the header at byte 0"));
  EXPECT_THAT(refusal(pax("size", "99999999999999999999") + entry("f", '0')),
              HasSubstr("extended headers"));
  EXPECT_THAT(refusal(pax("size", "9000000000000000000") + entry("f", '0')), HasSubstr("size"));
  EXPECT_THAT(refusal(pax("size", "4000000000000000000") + entry("f", '0')),
              HasSubstr("ends after"));
  for (const char* records : {"", "5", "99 a=b\n", "6 a=bc", "7 a=b\n", "3 \n", "-1 a=b\n"})
    EXPECT_THAT(refusal(entry("x", 'x', records) + entry("f", '0')),
                *records == '\0' ? HasSubstr("loaded") : HasSubstr("extended headers"))
        << records;
  EXPECT_THAT(refusal(entry("x", 'x', std::string(70'000, '1'))), HasSubstr("too long"));
  EXPECT_THAT(refusal(entry("", '0', "nameless")), HasSubstr("without a name"));
}

TEST(TarRead, hands_on_the_errors_of_its_source_and_target) {
  const TarSource failing = [](std::span<std::byte>) -> Result<size_t> {
    return calf::fail(ErrorCode::kIo, "the line is dead");
  };
  const auto loaded = read_tar(failing, *memory(), {});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message, "the line is dead");
  const auto full = load(entry("big", '0', std::string(1'000'000, 'x')), *memory(64 * 1024));
  ASSERT_FALSE(full);
  EXPECT_THAT(full.error().message, HasSubstr("writing big"));
}

}  // namespace
}  // namespace calf::vfs
