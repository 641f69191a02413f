#include "initdb/encoding.h"

#include <cctype>
#include <string>
#include <utility>

namespace calf::initdb {
namespace {

// Lower case, letters and digits only. Several names may mean one encoding.
constexpr std::pair<std::string_view, int> kEncodings[] = {
    {"sqlascii", 0},     {"eucjp", 1},        {"euccn", 2},        {"euckr", 3},
    {"euctw", 4},        {"eucjis2004", 5},   {"utf8", kUtf8},     {"unicode", kUtf8},
    {"muleinternal", 7}, {"latin1", 8},       {"iso88591", 8},     {"latin2", 9},
    {"iso88592", 9},     {"latin3", 10},      {"iso88593", 10},    {"latin4", 11},
    {"iso88594", 11},    {"latin5", 12},      {"iso88599", 12},    {"latin6", 13},
    {"iso885910", 13},   {"latin7", 14},      {"iso885913", 14},   {"latin8", 15},
    {"iso885914", 15},   {"latin9", 16},      {"iso885915", 16},   {"latin10", 17},
    {"iso885916", 17},   {"win1256", 18},     {"windows1256", 18}, {"win1258", 19},
    {"windows1258", 19}, {"abc", 19},         {"tcvn", 19},        {"tcvn5712", 19},
    {"vscii", 19},       {"win866", 20},      {"windows866", 20},  {"alt", 20},
    {"win874", 21},      {"windows874", 21},  {"koi8", 22},        {"koi8r", 22},
    {"win1251", 23},     {"windows1251", 23}, {"win", 23},         {"win1252", 24},
    {"windows1252", 24}, {"iso88595", 25},    {"iso88596", 26},    {"iso88597", 27},
    {"iso88598", 28},    {"win1250", 29},     {"windows1250", 29}, {"win1253", 30},
    {"windows1253", 30}, {"win1254", 31},     {"windows1254", 31}, {"win1255", 32},
    {"windows1255", 32}, {"win1257", 33},     {"windows1257", 33}, {"koi8u", 34},
};

}  // namespace

std::optional<int> server_encoding(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) plain += static_cast<char>(std::tolower(byte));
  }
  for (const auto& [known, number] : kEncodings) {
    if (plain == known) return number;
  }
  return std::nullopt;
}

}  // namespace calf::initdb
