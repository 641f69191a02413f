#include "wasm/supplies/supplies.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>
#include <string>

#include "wasm/supplies/fake_image.h"

namespace calf::supplies {
namespace {

constexpr u32 kSjis = 35;
constexpr u32 kLatin1 = 8;
constexpr u32 kLatin2 = 9;
constexpr u32 kUtf8 = 6;

class Supplies : public testing::Test {
 protected:
  FakeGuest guest_;
  u32 out_ = guest_.put(std::string(256, 'x'));

  // A pg_mb_radix_tree of 16 bits that maps e3 81 82 to 82 a0: two zeros, then a table of one entry
  // for each byte.
  u32 kana_tree() {
    u32 chars = guest_.put(std::string("\0\0\0\0\3\0\4\0\xa0\x82", 10));
    std::string tree(48, '\0');
    std::memcpy(tree.data(), &chars, sizeof chars);
    tree[24] = 2;  // where the table of first bytes begins
    std::memcpy(tree.data() + 28, "\xe3\xe3\x81\x81\x82\x82", 6);
    return guest_.put(tree);
  }
};

TEST_F(Supplies, converts_and_terminates_the_output) {
  u32 text = guest_.put("a\xe3\x81\x82");
  EXPECT_EQ(calf_supply_UtfToLocal(text, 4, out_, kana_tree(), 0, 0, 0, kSjis, 0), 4u);
  EXPECT_EQ(guest_.get(out_, 5), std::string("a\x82\xa0\0x", 5));
}

TEST_F(Supplies, raises_what_cannot_be_translated) {
  u32 text = guest_.put("ab\xe3\x81\x83");
  RaisedError error = guest_.catch_error(
      [&] { calf_supply_UtfToLocal(text, 5, out_, kana_tree(), 0, 0, 0, kSjis, 0); });
  EXPECT_EQ(error.level, 21u);
  EXPECT_EQ(error.sqlstate, "22P05");
  EXPECT_EQ(error.message,
            "character with byte sequence 0xe3 0x81 0x83 in encoding \"UTF8\" has no equivalent "
            "in encoding \"SJIS\"");
}

TEST_F(Supplies, stops_silently_if_no_error_is_wanted) {
  u32 text = guest_.put("ab\xe3\x81\x83");
  EXPECT_EQ(calf_supply_UtfToLocal(text, 5, out_, kana_tree(), 0, 0, 0, kSjis, 1), 2u);
  EXPECT_EQ(guest_.get(out_, 3), std::string("ab\0", 3));
}

TEST_F(Supplies, raises_invalid_text) {
  u32 text = guest_.put("ab\x93");
  RaisedError error =
      guest_.catch_error([&] { calf_supply_LocalToUtf(text, 3, out_, 0, 0, 0, 0, kSjis, 0); });
  EXPECT_EQ(error.sqlstate, "22021");
  EXPECT_EQ(error.message, "invalid byte sequence for encoding \"SJIS\": 0x93");
}

TEST_F(Supplies, raises_wrong_encoding_numbers) {
  RaisedError error =
      guest_.catch_error([&] { calf_supply_LocalToUtf(out_, 1, out_, 0, 0, 0, 0, 99, 0); });
  EXPECT_EQ(error.sqlstate, "22023");
  EXPECT_EQ(error.message, "invalid encoding number: 99");
}

TEST_F(Supplies, converts_nothing_for_a_size_that_is_not_positive) {
  EXPECT_EQ(calf_supply_UtfToLocal(out_, 0, out_, 0, 0, 0, 0, kSjis, 0), 0u);
  EXPECT_EQ(calf_supply_UtfToLocal(out_, static_cast<u32>(-5), out_, 0, 0, 0, 0, kSjis, 0), 0u);
}

TEST_F(Supplies, calls_the_modules_function_through_the_table) {
  u32 text = guest_.put("\xc3\xa9");
  EXPECT_EQ(calf_supply_UtfToLocal(text, 2, out_, 0, 0, 0, kFakeFunction, kSjis, 0), 2u);
  EXPECT_EQ(guest_.get(out_, 3), std::string("\xc3\xaa\0", 3));
}

TEST_F(Supplies, traps_on_functions_that_are_not_in_the_table) {
  u32 text = guest_.put("\xc3\xa9");
  for (u32 index : {2u, 3u, 0xffffffffu}) {
    RaisedError error = guest_.catch_error(
        [&] { calf_supply_UtfToLocal(text, 2, out_, 0, 0, 0, index, kSjis, 0); });
    EXPECT_EQ(error.sqlstate, "trap");
  }
}

TEST_F(Supplies, converts_between_single_byte_encodings_and_mule) {
  u32 table = guest_.put(std::string(127, '\x7e') + std::string(1, '\0'));
  u32 text = guest_.put("a\xb1");
  EXPECT_EQ(calf_supply_local2local(text, out_, 2, kLatin1, kLatin2, table, 0), 2u);
  EXPECT_EQ(guest_.get(out_, 3), std::string("a\x7e\0", 3));
  EXPECT_EQ(calf_supply_latin2mic(text, out_, 2, 0x82, kLatin2, 0), 2u);
  EXPECT_EQ(guest_.get(out_, 4), std::string("a\x82\xb1\0", 4));
  u32 mule = guest_.put("a\x82\xb1");
  EXPECT_EQ(calf_supply_mic2latin(mule, out_, 3, 0x82, kLatin2, 0), 3u);
  EXPECT_EQ(guest_.get(out_, 3), std::string("a\xb1\0", 3));
}

TEST_F(Supplies, names_the_mule_encoding_in_errors_of_both_directions) {
  u32 table = guest_.put(std::string(128, '\0'));
  u32 text = guest_.put("\xb1");
  RaisedError error = guest_.catch_error(
      [&] { calf_supply_latin2mic_with_table(text, out_, 1, 0x82, kLatin2, table, 0); });
  EXPECT_EQ(error.message,
            "character with byte sequence 0xb1 in encoding \"LATIN2\" has no equivalent in "
            "encoding \"MULE_INTERNAL\"");
  u32 mule = guest_.put("\x81\xb1");
  error = guest_.catch_error(
      [&] { calf_supply_mic2latin_with_table(mule, out_, 2, 0x82, kLatin2, table, 0); });
  EXPECT_EQ(error.message,
            "character with byte sequence 0x81 0xb1 in encoding \"MULE_INTERNAL\" has no "
            "equivalent in encoding \"LATIN2\"");
}

TEST_F(Supplies, reports_and_verifies_for_modules_that_convert_themselves) {
  u32 text = guest_.put("\xe2\x82\xac");
  EXPECT_EQ(calf_supply_pg_encoding_verifymbchar(kUtf8, text, 3), 3u);
  EXPECT_EQ(calf_supply_pg_encoding_verifymbchar(kUtf8, text, 2), static_cast<u32>(-1));
  EXPECT_EQ(calf_supply_pg_utf8_islegal(text, 3), 1u);
  EXPECT_EQ(calf_supply_pg_utf8_islegal(text + 1, 2), 0u);
  RaisedError error =
      guest_.catch_error([&] { calf_supply_report_invalid_encoding(kUtf8, text, 2); });
  EXPECT_EQ(error.message, "invalid byte sequence for encoding \"UTF8\": 0xe2 0x82");
  error =
      guest_.catch_error([&] { calf_supply_report_untranslatable_char(kUtf8, kLatin1, text, 3); });
  EXPECT_EQ(error.sqlstate, "22P05");
}

TEST_F(Supplies, sleeps_by_the_image_and_tells_what_is_left) {
  u32 stack = guest_.stack_pointer();
  EXPECT_EQ(calf_supply_sleep(7), 0u);
  EXPECT_EQ(fake_libc.slept_seconds, 7u);
  fake_libc.seconds_left = 3;
  EXPECT_EQ(calf_supply_sleep(7), 3u);
  EXPECT_EQ(guest_.stack_pointer(), stack);
}

TEST_F(Supplies, sets_signal_handlers_by_sigaction) {
  u32 stack = guest_.stack_pointer();
  fake_libc.old_handler = 11;
  EXPECT_EQ(calf_supply_signal(2, 42), 11u);
  EXPECT_EQ(fake_libc.signal, 2u);
  EXPECT_EQ(fake_libc.handler, 42u);
  EXPECT_EQ(fake_libc.flags, 0x10000000u);
  fake_libc.refuse_signal = true;
  EXPECT_EQ(calf_supply_signal(2, 42), static_cast<u32>(-1));
  EXPECT_EQ(guest_.stack_pointer(), stack);
}

TEST_F(Supplies, tells_that_there_are_no_sockets_terminals_or_protections) {
  constexpr u32 kFailed = static_cast<u32>(-1);
  EXPECT_EQ(calf_supply_shutdown(3, 2), kFailed);
  EXPECT_EQ(guest_.guest_errno(), 57u);
  EXPECT_EQ(calf_supply_tcgetattr(0, out_), kFailed);
  EXPECT_EQ(guest_.guest_errno(), 59u);
  EXPECT_EQ(calf_supply_mprotect(65536, 65536, 0), kFailed);
  EXPECT_EQ(guest_.guest_errno(), 52u);
  EXPECT_EQ(calf_supply_madvise(65536, 65536, 4), 0u);
  EXPECT_EQ(calf_supply_gethostbyname(out_), 0u);
}

TEST_F(Supplies, keeps_the_upper_half_of_64_bit_results_in_the_image) {
  calf_supply_setTempRet0(0xdeadbeef);
  EXPECT_EQ(calf_supply_getTempRet0(), 0xdeadbeefu);
}

// Of a type alone: what another module defines is not linked here.
template <typename Function>
struct Signature;
template <typename Return, typename... Args>
struct Signature<Return(Args...)> {
  static std::string text();
};
template <typename Return, typename... Args>
std::string Signature<Return(Args...)>::text() {
  std::string signature = "(";
  for (size_t i = 0; i < sizeof...(Args); i++) signature += i == 0 ? "i32" : ",i32";
  return signature + ")->" + (std::is_void_v<Return> ? "" : "i32");
}

TEST(SuppliesList, names_exactly_the_functions_that_there_are) {
  std::map<std::string, std::string> supplied;
#define CALF_ADD_SUPPLY(name) supplied[#name] = Signature<decltype(calf_supply_##name)>::text();
  CALF_SUPPLIES(CALF_ADD_SUPPLY)
#undef CALF_ADD_SUPPLY

  std::map<std::string, std::string> listed;
  std::ifstream list(CALF_SUPPLIES_LIST);
  for (std::string line; std::getline(list, line);) {
    if (line.empty() || line[0] == '#') continue;
    size_t space = line.find(' ');
    listed[line.substr(0, space)] = line.substr(space + 1);
  }
  EXPECT_EQ(listed, supplied);
}

}  // namespace
}  // namespace calf::supplies
