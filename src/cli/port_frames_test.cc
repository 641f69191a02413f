#include "cli/port_frames.h"

#include <gtest/gtest.h>

#include "pgwire/wire.h"

namespace calf::cli {
namespace {

using namespace std::string_view_literals;

std::string payload_of(std::string_view stream, std::size_t piece) {
  FrameReader reader;
  std::string out;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    const auto part = stream.substr(at, piece);
    auto bytes = std::as_bytes(std::span(part.data(), part.size()));
    while (!bytes.empty()) {
      const auto next = reader.next(bytes);
      EXPECT_TRUE(next.has_value());
      out += pgwire::as_text(*next);
    }
  }
  EXPECT_FALSE(reader.in_frame());
  return out;
}

TEST(FrameReader, gives_the_payload_however_it_comes) {
  const auto stream = "\0\0\0\3abc\0\0\0\0\0\0\0\1d\0\0\0\2ef"sv;
  for (std::size_t piece : {1u, 2u, 3u, 5u, 100u}) EXPECT_EQ(payload_of(stream, piece), "abcdef");
}

TEST(FrameReader, refuses_a_length_that_no_message_has) {
  FrameReader reader;
  const auto stream = "\x7f\xff\xff\xffx"sv;
  auto bytes = std::as_bytes(std::span(stream.data(), stream.size()));
  EXPECT_FALSE(reader.next(bytes).has_value());
}

TEST(FrameReader, knows_a_frame_that_is_not_whole) {
  for (const auto stream : {"\0\0"sv, "\0\0\0\2a"sv}) {
    FrameReader reader;
    auto bytes = std::as_bytes(std::span(stream.data(), stream.size()));
    while (!bytes.empty()) ASSERT_TRUE(reader.next(bytes).has_value());
    EXPECT_TRUE(reader.in_frame());
  }
}

TEST(PutFrame, writes_what_the_reader_reads) {
  std::vector<std::byte> out;
  put_frame(out, std::as_bytes(std::span("xyz", 3)));
  put_frame(out, {});
  EXPECT_EQ(payload_of(pgwire::as_text(out), 4), "xyz");
}

}  // namespace
}  // namespace calf::cli
