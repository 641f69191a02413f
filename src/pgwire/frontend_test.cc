#include "pgwire/frontend.h"

#include <gtest/gtest.h>

#include "pgwire/wire.h"

namespace calf::pgwire {
namespace {

using namespace std::string_view_literals;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string encoded(auto&& write) {
  Bytes out;
  FrontendEncoder encoder(out);
  write(encoder);
  return std::string(as_text(out));
}

TEST(FrontendEncoder, writes_messages_as_documented) {
  EXPECT_EQ(encoded([](auto& e) { e.query("select 1"); }), "Q\0\0\0\x0dselect 1\0"sv);
  EXPECT_EQ(encoded([](auto& e) { e.sync(); }), "S\0\0\0\4"sv);
  EXPECT_EQ(encoded([](auto& e) { e.execute("p", 3); }), "E\0\0\0\x0ap\0\0\0\0\3"sv);
  EXPECT_EQ(encoded([](auto& e) { e.startup({{"user", "u"}}); }),
            "\0\0\0\x10\0\3\0\0user\0u\0\0"sv);
}

TEST(FrontendEncoder, tells_null_from_the_empty_value) {
  const BoundValue values[] = {{}, {.bytes = "", .format = 1}};
  EXPECT_EQ(encoded([&](auto& e) { e.bind("", "s", values); }),
            "B\0\0\0\x1b\0s\0\0\2\0\0\0\1\0\2\xff\xff\xff\xff\0\0\0\0\0\1\0\0"sv);
}

TEST(FrontendEncoder, cuts_texts_at_a_nul_so_that_they_cannot_begin_another_message) {
  EXPECT_EQ(encoded([](auto& e) { e.query("a\0X\0\0\0\4"sv); }), "Q\0\0\0\6a\0"sv);
}

TEST(MessageDecoder, gives_messages_whatever_the_pieces_they_come_in) {
  const auto stream = "Z\0\0\0\5IC\0\0\0\x0dSELECT 1\0"sv;
  for (std::size_t piece : {1u, 2u, 5u, 7u, 100u}) {
    MessageDecoder decoder;
    std::string types;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      decoder.feed(bytes_of(stream.substr(at, piece)));
      while (true) {
        const auto message = decoder.next();
        ASSERT_TRUE(message.has_value());
        if (!*message) break;
        types += (*message)->type;
        if ((*message)->type == 'C') {
          EXPECT_EQ(parse_command_complete((*message)->body).value(), "SELECT 1");
        }
      }
    }
    EXPECT_EQ(types, "ZC");
    EXPECT_FALSE(decoder.in_message());
  }
}

TEST(MessageDecoder, holds_no_more_than_what_has_come) {
  MessageDecoder decoder;
  decoder.feed(bytes_of("D\x3f\0\0\0"sv));
  EXPECT_LT(decoder.room().size(), 100'000u);
  EXPECT_FALSE(decoder.next().value().has_value());
}

TEST(MessageDecoder, refuses_lengths_that_lie) {
  for (auto stream : {"Z\0\0\0\3"sv, "Z\0\0\0\0"sv, "Z\xff\xff\xff\xff"sv, "Z\x7f\xff\xff\xff"sv}) {
    MessageDecoder decoder;
    decoder.feed(bytes_of(stream));
    EXPECT_FALSE(decoder.next().has_value());
  }
}

TEST(ParseRowDescription, reads_columns) {
  const auto body = "\0\1id\0\0\0\0\5\0\2\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"sv;
  const auto columns = parse_row_description(bytes_of(body));
  ASSERT_TRUE(columns.has_value());
  EXPECT_EQ((*columns)[0].name, "id");
  EXPECT_EQ((*columns)[0].type_oid, 23u);
  EXPECT_EQ((*columns)[0].type_modifier, -1);
}

TEST(ParseDataRow, tells_null_from_the_empty_value) {
  const auto body = "\0\3\0\0\0\1a\0\0\0\0\xff\xff\xff\xff"sv;
  const auto row = parse_data_row(bytes_of(body));
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ((*row)[0], "a");
  EXPECT_EQ((*row)[1], "");
  EXPECT_EQ((*row)[2], std::nullopt);
}

TEST(Parsers, refuse_every_truncation_and_every_surplus_byte) {
  const auto row_description = "\0\1id\0\0\0\0\5\0\2\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"sv;
  const auto data_row = "\0\2\0\0\0\1a\xff\xff\xff\xff"sv;
  const auto report = "SERROR\0C42P01\0Mno\0P15\0\0"sv;
  const auto copy = "\0\0\2\0\0\0\1"sv;
  const auto sasl = "\0\0\0\x0aSCRAM-SHA-256\0\0"sv;
  const auto check = [](std::string_view body, auto&& parse) {
    EXPECT_TRUE(parse(bytes_of(body)).has_value());
    EXPECT_FALSE(parse(bytes_of(std::string(body) + "x")).has_value());
    for (std::size_t size = 0; size < body.size(); ++size) {
      EXPECT_FALSE(parse(bytes_of(body.substr(0, size))).has_value()) << size;
    }
  };
  check(row_description, parse_row_description);
  check(data_row, parse_data_row);
  check(report, parse_report);
  check(copy, parse_copy_response);
  check(sasl, parse_authentication);
  check("I"sv, parse_ready_for_query);
  check("a\0b\0"sv, parse_parameter_status);
  check("\0\2\0\0\0\x17\0\0\0\0"sv, parse_parameter_description);
  check("\0\0\0\7channel\0payload\0"sv, parse_notification);
}

TEST(ParseDataRow, refuses_counts_and_sizes_that_lie) {
  EXPECT_FALSE(parse_data_row(bytes_of("\xff\xff\0\0\0\0"sv)).has_value());
  EXPECT_FALSE(parse_data_row(bytes_of("\0\1\x7f\xff\xff\xff"sv)).has_value());
  EXPECT_FALSE(parse_data_row(bytes_of("\0\1\xff\xff\xff\xfe"sv)).has_value());
}

TEST(ParseReport, gives_its_fields) {
  const auto report = parse_report(bytes_of("SERROR\0VERROR\0C42P01\0Mno table\0Hlook\0P15\0\0"sv));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->sqlstate, "42P01");
  EXPECT_EQ(report->message, "no table");
  EXPECT_EQ(report->position, 15u);
  EXPECT_EQ(report->internal_position, std::nullopt);
}

}  // namespace
}  // namespace calf::pgwire
