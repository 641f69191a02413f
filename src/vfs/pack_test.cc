#include "vfs/pack.h"

#include <gtest/gtest.h>

#include <thread>

#include "os/random.h"

#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;

std::string sample_pack() {
  PackBuilder builder({.compression_level = 3});
  EXPECT_TRUE(builder.add_directory("b", 0755));
  EXPECT_TRUE(builder.add_directory("a", 0700));
  EXPECT_TRUE(builder.add_directory("a/empty", 0711));
  EXPECT_TRUE(builder.add_file("a/one", 0600, "one"));
  EXPECT_TRUE(builder.add_file("b/same", 0644, std::string(100'000, 'x')));
  EXPECT_TRUE(builder.add_file("b/same2", 0644, std::string(100'000, 'x')));
  EXPECT_TRUE(builder.add_file("zero", 0644, ""));
  EXPECT_TRUE(builder.add_symlink("b/link", "../a/one"));
  return std::move(builder).finish().value();
}

std::string listing(const Pack& pack) {
  std::string all;
  for (uint32_t i = 0; i < pack.entry_count(); ++i) {
    const Pack::Entry entry = pack.entry(i);
    all += std::string(entry.name) + ">" + std::string(entry.symlink_target) + " " +
           std::to_string(entry.size_bytes) + " " + std::to_string(entry.permissions) + " " +
           std::to_string(entry.first) + "+" + std::to_string(entry.count) + "\n";
  }
  return all;
}

TEST(Pack, finds_what_was_packed) {
  std::string blob = sample_pack();
  auto pack = Pack::open(bytes(blob)).value();
  EXPECT_EQ(pack->entry_count(), 9u);
  auto one = pack->find("a/one");
  ASSERT_TRUE(one);
  EXPECT_EQ(pack->contents(*one).value(), "one");
  EXPECT_EQ(pack->entry(*one).permissions, 0600u);
  EXPECT_EQ(pack->entry(*pack->find("b/link")).symlink_target, "../a/one");
  EXPECT_EQ(pack->contents(*pack->find("b/same2")).value(), std::string(100'000, 'x'));
  EXPECT_EQ(pack->contents(*pack->find("zero")).value(), "");
  EXPECT_FALSE(pack->find("a/none"));
  EXPECT_FALSE(pack->find("a/one/x"));
  EXPECT_EQ(pack->find(""), Pack::kRoot);
}

TEST(Pack, equal_contents_are_stored_once_and_holes_not_at_all) {
  std::string random(500'000, '\0');
  os::random_bytes(std::as_writable_bytes(std::span(random)));
  PackBuilder builder({.compression_level = 1});
  ASSERT_TRUE(builder.add_file("a", 0644, random));
  ASSERT_TRUE(builder.add_file("b", 0644, random));
  ASSERT_TRUE(builder.add_file("hole", 0644, std::string(10'000'000, '\0')));
  std::string blob = std::move(builder).finish().value();
  EXPECT_LT(blob.size(), 510'000u);
  auto pack = Pack::open(bytes(blob)).value();
  EXPECT_EQ(pack->contents(*pack->find("b")).value(), random);
  EXPECT_EQ(pack->contents(*pack->find("hole")).value(), std::string(10'000'000, '\0'));
}

TEST(Pack, the_same_input_gives_the_same_bytes) {
  EXPECT_EQ(sample_pack(), sample_pack());
}

TEST(Pack, rejects_damage_anywhere_in_header_and_index) {
  std::string good = sample_pack();
  auto pack = Pack::open(bytes(good)).value();
  auto header = *reinterpret_cast<const uint64_t*>(good.data() + 16);  // where the index begins
  for (size_t at = 0; at < good.size(); ++at) {
    if (at == 48) at = header;  // the contents are checked when read
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    auto opened = Pack::open(bytes(bad));
    EXPECT_FALSE(opened) << "byte " << at;
  }
  for (size_t size : {size_t{0}, size_t{8}, size_t{47}, good.size() - 1})
    EXPECT_FALSE(Pack::open(bytes(std::string_view(good).substr(0, size))));
}

TEST(Pack, damaged_contents_show_when_read) {
  std::string bad = sample_pack();
  bad[60] ^= 1;
  auto pack = Pack::open(bytes(bad)).value();
  EXPECT_FALSE(pack->contents(*pack->find("a/one")));
}

TEST(Pack, what_was_read_can_be_stored_as_it_is) {
  std::string random(100'000, '\0');
  os::random_bytes(std::as_writable_bytes(std::span(random)));
  PackBuilder builder({.compression_level = 3});
  ASSERT_TRUE(builder.add_file("read", 0644, random));
  ASSERT_TRUE(builder.add_file("unread", 0644, std::string(1'000'000, 'x')));
  const std::string blob = std::move(builder).finish().value();
  const auto pack = Pack::open(bytes(blob)).value();
  ASSERT_TRUE(pack->contents(*pack->find("read")));
  const std::string stored = pack->with_read_contents_stored();
  EXPECT_NE(stored.find(random.substr(0, kPieceSize)), std::string::npos);
  EXPECT_LT(stored.size(), blob.size() + kPieceSize);  // "unread" is as small as before
  const auto again = Pack::open(bytes(stored)).value();
  EXPECT_EQ(listing(*again), listing(*pack));
  EXPECT_EQ(again->contents(*again->find("read")).value(), random);
  EXPECT_EQ(again->contents(*again->find("unread")).value(), std::string(1'000'000, 'x'));
  const Pack::Entry read = again->entry(*again->find("read"));
  const auto piece = again->piece(read, 0).value();
  EXPECT_GE(reinterpret_cast<const char*>(piece.data()), stored.data());  // not a copy
  EXPECT_LT(reinterpret_cast<const char*>(piece.data()), stored.data() + stored.size());
}

TEST(Pack, many_threads_may_read_at_once) {
  std::string blob = sample_pack();
  auto pack = Pack::open(bytes(blob)).value();
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      EXPECT_EQ(pack->contents(*pack->find("b/same")).value(), std::string(100'000, 'x'));
      EXPECT_EQ(pack->contents(*pack->find("a/one")).value(), "one");
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(Pack, unpacks_to_the_host) {
  std::string blob = sample_pack();
  auto pack = Pack::open(bytes(blob)).value();
  TemporaryDirectory host;
  std::string target = host.path() + "/new";
  ASSERT_TRUE(pack->unpack_to(target, {.sync = true}));
  auto fs = directory(target);
  EXPECT_EQ(get(*fs, "b/link"), "one");
  EXPECT_EQ(get(*fs, "b/same"), std::string(100'000, 'x'));
  EXPECT_EQ(fs->stat("a/empty", Follow::kYes).value().permissions, 0711u);
  EXPECT_EQ(fs->stat("a/one", Follow::kYes).value().permissions, 0600u);
  auto again = pack->unpack_to(target, {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(pack->unpack_to(host.path() + "/x", {.subtree = "zero"}).error().code,
            ErrorCode::kNotFound);
  // And back again: the same tree gives the same pack.
  PackBuilder builder({.compression_level = 3});
  ASSERT_TRUE(builder.add_host_directory(target, ""));
  EXPECT_EQ(std::move(builder).finish().value(), blob);
}

TEST(PackBuilder, packs_a_file_system) {
  auto fs = memory();
  ASSERT_TRUE(fs->mkdir("d", 0700));
  put(*fs, "d/f", "abc");
  PackBuilder builder({.compression_level = 1});
  ASSERT_TRUE(builder.add_directory("base", 0755));
  ASSERT_TRUE(builder.add_tree(*fs, "d", "base"));
  std::string blob = std::move(builder).finish().value();
  auto pack = Pack::open(bytes(blob)).value();
  EXPECT_EQ(pack->contents(*pack->find("base/f")).value(), "abc");
}

TEST(PackBuilder, refuses_bad_paths) {
  PackBuilder builder({});
  ASSERT_TRUE(builder.add_file("f", 0644, ""));
  EXPECT_EQ(builder.add_file("f", 0644, "").error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(builder.add_file("none/f", 0644, "").error().code, ErrorCode::kNotFound);
  for (const char* path : {"", "/x", "x/", "a//b", "..", "f/../g", "./x", "f/x"})
    EXPECT_FALSE(builder.add_file(path, 0644, "")) << path;
}

}  // namespace
}  // namespace calf::vfs
