#include "pgwire/startup.h"

#include <gtest/gtest.h>

#include "pgwire/frontend.h"
#include "pgwire/wire.h"

namespace calf::pgwire {
namespace {

using namespace std::string_view_literals;

Bytes startup(std::string_view rest) {
  Bytes out;
  {
    MessageBuilder message(out, 0);
    put_u32(out, kProtocol30);
    put_text(out, rest);
  }
  return out;
}

Bytes ssl_request() {
  Bytes out;
  FrontendEncoder(out).ssl_request();
  return out;
}

Bytes gss_request() {
  Bytes out;
  {
    MessageBuilder message(out, 0);
    put_u32(out, 1234u << 16 | 5680);
  }
  return out;
}

std::string sent_text(const StartupAction& action) {
  const auto* reject = std::get_if<action::Reject>(&action);
  return reject == nullptr ? "not rejected" : std::string(as_text(reject->response));
}

TEST(StartupMachine, gives_the_packet_with_its_parameters) {
  StartupMachine machine({});
  const Bytes bytes = startup("user\0anna\0database\0d\0\0"sv);
  const auto result = machine.feed(bytes);
  const auto& start = std::get<action::Start>(result);
  EXPECT_EQ(start.packet.protocol_version, kProtocol30);
  EXPECT_EQ(start.packet.parameters.at("user"), "anna");
  EXPECT_EQ(start.packet.parameters.at("database"), "d");
  EXPECT_EQ(start.packet.raw, Bytes(bytes.begin() + 4, bytes.end()));
}

TEST(StartupMachine, asks_for_exactly_what_is_missing_when_bytes_come_singly) {
  StartupMachine machine({});
  const Bytes bytes = startup("user\0u\0\0"sv);
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
    EXPECT_EQ(machine.wanted(), i < 4 ? 4 - i : bytes.size() - i);
    const auto result = machine.feed(std::span(bytes).subspan(i, 1));
    ASSERT_TRUE(std::holds_alternative<action::NeedBytes>(result)) << i;
  }
  EXPECT_TRUE(std::holds_alternative<action::Start>(machine.feed(std::span(bytes).last(1))));
}

TEST(StartupMachine, says_nothing_to_lengths_that_lie) {
  for (std::uint32_t length : {0u, 3u, 4u, 7u, 10005u, 0x7fffffffu, 0xffffffffu}) {
    StartupMachine machine({});
    Bytes bytes;
    put_u32(bytes, length);
    const auto result = machine.feed(bytes);
    const auto* reject = std::get_if<action::Reject>(&result);
    ASSERT_NE(reject, nullptr) << length;
    EXPECT_TRUE(reject->response.empty());
    EXPECT_EQ(reject->reason, "invalid length of startup packet");
  }
}

TEST(StartupMachine, accepts_the_longest_packet) {
  std::string rest("user\0u\0options\0"sv);
  rest += std::string(kMaxStartupPacketBytes - 4 - rest.size() - 2, 'x') + std::string(2, '\0');
  const Bytes bytes = startup(rest);
  ASSERT_EQ(bytes.size(), 4 + kMaxStartupPacketBytes);
  StartupMachine machine({});
  EXPECT_TRUE(std::holds_alternative<action::Start>(machine.feed(bytes)));
}

TEST(StartupMachine, rejects_a_broken_layout_with_08P01) {
  for (std::string_view rest :
       {"user\0u\0"sv, "user\0u"sv, "user"sv, ""sv, "user\0u\0\0\0"sv, "user\0u\0\0x"sv, "x"sv}) {
    StartupMachine machine({});
    const std::string sent = sent_text(machine.feed(startup(rest)));
    EXPECT_NE(sent.find("C08P01"), std::string::npos) << testing::PrintToString(rest) << sent;
  }
}

TEST(StartupMachine, rejects_a_missing_user_with_28000) {
  for (std::string_view rest : {"\0"sv, "database\0d\0\0"sv, "user\0\0\0"sv}) {
    StartupMachine machine({});
    const std::string sent = sent_text(machine.feed(startup(rest)));
    EXPECT_NE(sent.find("C28000"), std::string::npos);
    EXPECT_NE(sent.find("no PostgreSQL user name"), std::string::npos);
  }
}

TEST(StartupMachine, rejects_other_major_versions_with_0A000) {
  for (std::uint32_t version : {0u, 0x00020000u, 0x00040000u, 0xffffffffu}) {
    StartupMachine machine({});
    Bytes bytes = startup("user\0u\0\0"sv);
    Bytes number;
    put_u32(number, version);
    std::copy(number.begin(), number.end(), bytes.begin() + 4);
    const std::string sent = sent_text(machine.feed(bytes));
    EXPECT_NE(sent.find("C0A000"), std::string::npos) << version;
  }
}

TEST(StartupMachine, leaves_newer_minor_versions_to_the_engine) {
  StartupMachine machine({});
  Bytes bytes;
  FrontendEncoder(bytes).startup({{"user", "u"}}, 0x0003270f);
  EXPECT_TRUE(std::holds_alternative<action::Start>(machine.feed(bytes)));
}

TEST(StartupMachine, answers_n_when_there_is_no_tls_and_goes_on) {
  StartupMachine machine({});
  EXPECT_EQ(std::get<action::SendByte>(machine.feed(gss_request())).byte, 'N');
  EXPECT_EQ(std::get<action::SendByte>(machine.feed(ssl_request())).byte, 'N');
  EXPECT_TRUE(std::holds_alternative<action::Start>(machine.feed(startup("user\0u\0\0"sv))));
}

TEST(StartupMachine, refuses_a_second_ssl_request) {
  StartupMachine machine({.tls_available = true});
  EXPECT_FALSE(std::get<action::StartTls>(machine.feed(ssl_request())).direct);
  EXPECT_TRUE(std::holds_alternative<action::NeedBytes>(machine.tls_started(false)));
  const std::string sent = sent_text(machine.feed(ssl_request()));
  EXPECT_NE(sent.find("unsupported frontend protocol 1234.5679"), std::string::npos) << sent;
}

TEST(StartupMachine, refuses_bytes_in_the_clear_behind_an_ssl_request) {
  for (bool tls : {false, true}) {
    StartupMachine machine({.tls_available = tls});
    Bytes bytes = ssl_request();
    put_bytes(bytes, startup("user\0u\0\0"sv));
    EXPECT_NE(sent_text(machine.feed(bytes)).find("received unencrypted data after SSL request"),
              std::string::npos);
  }
}

TEST(StartupMachine, direct_tls_needs_tls_and_alpn) {
  EXPECT_TRUE(StartupMachine::looks_like_tls(std::byte{0x16}));
  StartupMachine without({});
  EXPECT_TRUE(std::holds_alternative<action::Reject>(without.direct_tls()));
  StartupMachine no_alpn({.tls_available = true});
  EXPECT_TRUE(std::get<action::StartTls>(no_alpn.direct_tls()).direct);
  EXPECT_NE(sent_text(no_alpn.tls_started(false)).find("ALPN"), std::string::npos);
  StartupMachine machine({.tls_available = true});
  EXPECT_TRUE(std::holds_alternative<action::StartTls>(machine.direct_tls()));
  EXPECT_TRUE(std::holds_alternative<action::NeedBytes>(machine.tls_started(true)));
  EXPECT_TRUE(std::holds_alternative<action::Start>(machine.feed(startup("user\0u\0\0"sv))));
}

TEST(StartupMachine, gives_cancel_requests_with_short_and_long_keys) {
  for (std::size_t size : {std::size_t{4}, std::size_t{32}, kMaxCancelKeyBytes}) {
    Bytes key(size, std::byte{7});
    Bytes bytes;
    FrontendEncoder(bytes).cancel_request(99, key);
    StartupMachine machine({});
    const auto result = machine.feed(bytes);
    const auto& cancel = std::get<action::Cancel>(result);
    EXPECT_EQ(cancel.pid, 99u);
    EXPECT_EQ(cancel.key, key);
  }
}

TEST(StartupMachine, says_nothing_to_cancel_requests_with_impossible_keys) {
  for (std::size_t size : {std::size_t{0}, kMaxCancelKeyBytes + 1}) {
    Bytes bytes;
    FrontendEncoder(bytes).cancel_request(99, Bytes(size));
    StartupMachine machine({});
    EXPECT_EQ(sent_text(machine.feed(bytes)), "");
  }
  StartupMachine machine({});
  Bytes bytes;
  {
    MessageBuilder message(bytes, 0);
    put_u32(bytes, 1234u << 16 | 5678);
    put_u16(bytes, 1);
  }
  EXPECT_EQ(sent_text(machine.feed(bytes)), "");
}

TEST(ErrorResponse, cannot_be_split_by_a_nul_in_a_text) {
  const Bytes bytes = encode_error_response({.message = std::string("a\0Mb", 4)});
  const auto report = parse_report(std::span(bytes).subspan(5));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->message, "aMb");
  EXPECT_EQ(load_u32(std::span(bytes).subspan(1)), bytes.size() - 1);
}

}  // namespace
}  // namespace calf::pgwire
