#include "archive/page_set.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace calf::archive {
namespace {

using Pages = std::map<std::uint32_t, std::string>;

std::string encode(const PageSetHeader& header, const Pages& pages) {
  std::string bytes;
  const auto out = [&](std::string_view part) -> Result<void> {
    bytes.append(part);
    return {};
  };
  auto writer = PageSetWriter::begin(header, out);
  EXPECT_TRUE(writer);
  for (const auto& [number, page] : pages) EXPECT_TRUE((*writer)->add(number, page));
  EXPECT_TRUE((*writer)->finish());
  return bytes;
}

Result<Pages> decode(std::string_view bytes, std::size_t piece) {
  Pages pages;
  PageSetReader reader(
      "seg/x", [](const PageSetHeader&) -> Result<void> { return {}; },
      [&](std::uint32_t number, std::string_view page) -> Result<void> {
        pages[number] = page;
        return {};
      });
  for (std::size_t i = 0; i < bytes.size(); i += piece) {
    CALF_CHECK_OK(reader.feed(bytes.substr(i, piece)));
  }
  CALF_CHECK_OK(reader.finish());
  return pages;
}

PageSetHeader some_header() {
  PageSetHeader header{.last_part = false,
                       .page_size = 512,
                       .database_pages = 5000,
                       .position = {3, 77},
                       .previous = {3, 76},
                       .time_ms = 1'700'000'000'123,
                       .next_epoch = 9};
  header.wal = {.salt = {1, 2}, .end_offset = 4096, .checksum = {3, 4}};
  header.archive_id[5] = 'x';
  return header;
}

Pages some_pages() {
  Pages pages;
  std::mt19937 dice(1);
  for (std::uint32_t i = 1; i <= 4500; ++i) {
    std::string page(512, 'a');
    for (char& c : page) c = static_cast<char>(dice());
    pages[i] = page;
  }
  return pages;
}

TEST(PageSet, comes_back_as_it_was_in_any_pieces) {
  const Pages pages = some_pages();
  const std::string bytes = encode(some_header(), pages);
  for (const std::size_t piece : {std::size_t{1000}, std::size_t{65536}, bytes.size()}) {
    const auto decoded = decode(bytes, piece);
    ASSERT_TRUE(decoded) << decoded.error().to_string();
    EXPECT_TRUE(*decoded == pages);
  }
  const auto header = parse_page_set_header(bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->position, (Position{3, 77}));
  EXPECT_EQ(header->wal, some_header().wal);
  EXPECT_EQ(header->time_ms, 1'700'000'000'123);
  EXPECT_EQ(header->next_epoch, 9u);
  EXPECT_EQ(header->archive_id, some_header().archive_id);
  EXPECT_FALSE(header->last_part);
}

TEST(PageSet, notices_every_changed_byte) {
  Pages pages{{1, std::string(512, 'a')}, {2, std::string(512, 'b')}};
  const std::string good = encode(some_header(), pages);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x40);
    const auto decoded = decode(bad, bad.size());
    ASSERT_FALSE(decoded) << i;
    EXPECT_EQ(decoded.error().code, ErrorCode::kDataCorrupted);
    EXPECT_NE(decoded.error().message.find("seg/x"), std::string::npos);
  }
}

TEST(PageSet, notices_what_is_missing_or_too_much) {
  const std::string good = encode(some_header(), {{1, std::string(512, 'a')}});
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(decode(std::string_view(good).substr(0, length), 7)) << length;
  }
  EXPECT_FALSE(decode(good + "x", 7));
}

TEST(PageSet, refuses_a_page_beyond_the_database) {
  PageSetHeader header = some_header();
  header.database_pages = 3;
  EXPECT_FALSE(decode(encode(header, {{4, std::string(512, 'a')}}), 100));
}

}  // namespace
}  // namespace calf::archive
